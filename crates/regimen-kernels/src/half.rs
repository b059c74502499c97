//! Numbers of 16 bits. Both formats are subsets of f32, so what is computed from them is computed in f32.

use crate::simd::{Simd, simd};

/// A 16-bit number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The upper half of an f32: 8 exponent and 7 fraction bits.
    Bf16,
    /// IEEE 754 binary16: 5 exponent (bias 15) and 10 fraction bits; up to 65504.
    F16,
}

/// An f16's fraction and exponent, moved to where f32 has them, are 2¹¹² too small.
const F16_SCALE: f32 = f32::from_bits((127 + 112) << 23);

impl Half {
    /// The number that these bits stand for.
    #[inline(always)]
    pub fn widen(self, bits: u16) -> f32 {
        match self {
            Self::Bf16 => f32::from_bits(u32::from(bits) << 16),
            Self::F16 => {
                let magnitude = u32::from(bits & 0x7fff);
                let finite = (f32::from_bits(magnitude << 13) * F16_SCALE).to_bits();
                let number = if magnitude < 0x7c00 { finite } else { 0x7f80_0000 | magnitude << 13 };
                f32::from_bits(number | u32::from(bits & 0x8000) << 16)
            }
        }
    }

    /// The nearest number of the format, ties to even; an infinity beyond its range.
    pub fn narrow(self, x: f32) -> u16 {
        let (bits, magnitude) = (x.to_bits(), x.to_bits() & 0x7fff_ffff);
        match self {
            // a NaN keeps a set fraction bit
            Self::Bf16 if x.is_nan() => (bits >> 16) as u16 | 0x40,
            Self::Bf16 => ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16,
            Self::F16 => (bits >> 16 & 0x8000) as u16 | f16_magnitude(magnitude),
        }
    }
}

fn f16_magnitude(bits: u32) -> u16 {
    if bits > 0x7f80_0000 {
        return 0x7e00;
    }
    if bits >= 0x4780_0000 {
        return 0x7c00;
    }
    // below 2⁻¹⁴ adding 0.5 puts the subnormal's bits, rounded, into the low end
    if bits < 0x3880_0000 {
        let shifted = f32::from_bits(bits) + 0.5;
        return (shifted.to_bits() - 0x3f00_0000) as u16;
    }
    let odd = bits >> 13 & 1;
    ((bits + 0xfff + odd - ((127 - 15) << 23)) >> 13) as u16
}

simd!(
    /// The numbers of `bits`, as many as `out` holds.
    pub(crate) fn widen(out: &mut [f32], half: Half, bits: &[u16]) => widen_body);

#[inline(always)]
pub(crate) fn widen_body<V: Simd>(out: &mut [f32], half: Half, bits: &[u16]) {
    match half {
        Half::Bf16 => out.iter_mut().zip(bits).for_each(|(x, b)| *x = Half::Bf16.widen(*b)),
        Half::F16 => out.iter_mut().zip(bits).for_each(|(x, b)| *x = Half::F16.widen(*b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_halves() {
        let known = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(Half::F16.widen(bits), value, "{bits:04x}");
        }
        assert!(Half::F16.widen(0x7e00).is_nan());
        assert!(Half::F16.widen(0x8000).is_sign_negative());
        assert_eq!([0x3f80, 0xc000].map(|bits| Half::Bf16.widen(bits)), [1.0, -2.0]);
    }

    #[test]
    fn every_number_survives() {
        for half in [Half::Bf16, Half::F16] {
            for bits in 0..=u16::MAX {
                let x = half.widen(bits);
                assert!(x.is_nan() || half.narrow(x) == bits, "{half:?} {bits:04x}");
                assert!(!x.is_nan() || half.widen(half.narrow(x)).is_nan(), "{half:?} {bits:04x}");
            }
        }
    }

    /// Against the definition: of the two neighbours the nearer, of two as near the even one.
    #[test]
    fn rounding_is_to_the_nearest_and_even() {
        for half in [Half::Bf16, Half::F16] {
            let largest = if half == Half::F16 { 0x7bff } else { 0x7f7f };
            for low in (0..largest).step_by(7) {
                let (a, b) = (half.widen(low), half.widen(low + 1));
                let middle = f64::midpoint(f64::from(a), f64::from(b)) as f32;
                let even = if low % 2 == 0 { low } else { low + 1 };
                assert_eq!(half.narrow(middle), even, "{half:?} {low:04x}");
                assert_eq!(half.narrow(middle.next_down()), low, "{half:?} {low:04x}");
                assert_eq!(half.narrow(-middle.next_up()), (low + 1) | 0x8000, "{half:?} {low:04x}");
            }
        }
        assert_eq!([65519.0, 65520.0].map(|x| Half::F16.narrow(x)), [0x7bff, 0x7c00]);
        assert_eq!(Half::Bf16.widen(Half::Bf16.narrow(f32::MAX)), f32::INFINITY);
    }

    #[test]
    fn slices_are_widened_alike_at_every_length() {
        for half in [Half::Bf16, Half::F16] {
            let bits: Vec<u16> = (0..97_u16).map(|i| i.wrapping_mul(677)).collect();
            for len in [0, 1, 15, 16, 33, 97] {
                let mut out = vec![0.0; len];
                widen(&mut out, half, &bits);
                let same = out.iter().zip(&bits).all(|(x, b)| x.to_bits() == half.widen(*b).to_bits());
                assert!(same, "{half:?} {len}");
            }
        }
    }
}
