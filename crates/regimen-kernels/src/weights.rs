//! A decoder's weights as the engines read them.

use std::ops::Range;

use crate::half::{Half, widen};

/// All weights of a layout: f32, or with matrices in 16 bits, which are widened where they are used. Results are those
/// of the same numbers in f32, bit for bit.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    flat: &'a [f32],
    half: Option<(Half, &'a [u16])>,
}

/// A matrix as it is held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Matrix<'a> {
    Full(&'a [f32]),
    Half(Half, &'a [u16]),
}

impl<'a> Weights<'a> {
    /// Matrices that begin below `bits.len()` ([`crate::can_be_half`]) are read from there, at the places that
    /// they have in `flat`; everything else lies in `flat`.
    pub fn with_half(flat: &'a [f32], half: Half, bits: &'a [u16]) -> Self {
        Self { flat, half: Some((half, bits)) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flat.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty()
    }

    /// Norms, biases and learned positions, at their places.
    pub(crate) fn vectors(&self) -> &'a [f32] {
        self.flat
    }

    pub(crate) fn matrix(&self, range: Range<usize>) -> Matrix<'a> {
        match self.half {
            Some((half, bits)) if range.start < bits.len() => Matrix::Half(half, &bits[range]),
            _ => Matrix::Full(&self.flat[range]),
        }
    }

    /// Some of a matrix's numbers.
    pub(crate) fn read(&self, out: &mut [f32], start: usize) {
        match self.matrix(start..start + out.len()) {
            Matrix::Full(numbers) => out.copy_from_slice(numbers),
            Matrix::Half(half, bits) => widen(out, half, bits),
        }
    }
}

impl<'a> From<&'a [f32]> for Weights<'a> {
    fn from(flat: &'a [f32]) -> Self {
        Self { flat, half: None }
    }
}

impl<'a> From<&'a Vec<f32>> for Weights<'a> {
    fn from(flat: &'a Vec<f32>) -> Self {
        flat.as_slice().into()
    }
}
