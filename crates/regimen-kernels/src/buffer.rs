//! Buffers that live across steps.

use std::cell::Cell;

use crate::simd::LANES;

/// Room for `len` floats; what was there is lost when it grows. New memory is zeroed by the system, page by page on
/// first touch, so the threads that work on a buffer bring it in side by side; writing zeros here would do it alone.
pub(crate) fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        // ragged batches grow little by little: room to spare the second time
        let room = if buffer.is_empty() { len } else { len + len / 8 };
        *buffer = Vec::new();
        *buffer = vec![0.0; room];
    }
}

/// Floats from row to row of a left operand of products, `width` a row: a cache line more where the rows that a register
/// tile reads side by side would compete for the same sets of the first-level cache.
pub(crate) fn spaced(width: usize) -> usize {
    width + if width > 0 && width.is_multiple_of(HALF_PAGE) { LANES } else { 0 }
}

/// Floats after which every second row finds the sets of the first again.
const HALF_PAGE: usize = 512;

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A buffer that the thread keeps between calls.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// At least `len` floats of any content.
    pub fn take(len: usize) -> Self {
        let mut buffer = SCRATCH.take();
        grow(&mut buffer, len);
        Self(buffer)
    }

    pub fn floats(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.0));
    }
}
