//! The float formats that checkpoints use, as f32.

use safetensors::Dtype;

/// The numbers of a tensor, or `None` when `dtype` is not one of f32, bf16 and f16.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::BF16 => Some(halves(bytes).map(|h| f32::from_bits(u32::from(h) << 16)).collect()),
        Dtype::F16 => Some(halves(bytes).map(from_f16).collect()),
        _ => None,
    }
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b))
}

/// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
pub(crate) fn from_f16(h: u16) -> f32 {
    let sign = u32::from(h >> 15) << 31;
    let exponent = u32::from(h >> 10 & 0x1f);
    let fraction = u32::from(h & 0x3ff);
    match exponent {
        // subnormal: fraction · 2⁻²⁴ is exact in f32
        0 => f32::from_bits((fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits() | sign),
        31 => f32::from_bits(sign | 0xff << 23 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
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
            assert_eq!(from_f16(bits), value, "{bits:04x}");
        }
        assert!(from_f16(0x7e00).is_nan());
        assert!(from_f16(0x8000).is_sign_negative());
    }

    #[test]
    fn bf16_is_the_upper_half() {
        assert_eq!(to_f32(Dtype::BF16, &[0x80, 0x3f, 0x00, 0xc0]), Some(vec![1.0, -2.0]));
        assert_eq!(to_f32(Dtype::I64, &[0; 8]), None);
    }
}
