//! The float formats that checkpoints use, as f32 and as they are.

use regimen_kernels::Half;
use safetensors::Dtype;

/// The 16-bit format that `dtype` is, if it is one.
pub(super) fn half(dtype: Dtype) -> Option<Half> {
    match dtype {
        Dtype::BF16 => Some(Half::Bf16),
        Dtype::F16 => Some(Half::F16),
        _ => None,
    }
}

/// The numbers of a tensor, or `None` when `dtype` is not one of f32, bf16 and f16.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    if dtype == Dtype::F32 {
        return Some(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect());
    }
    let half = half(dtype)?;
    Some(bytes.as_chunks().0.iter().map(|b| half.widen(u16::from_le_bytes(*b))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_formats_are_read() {
        assert_eq!(to_f32(Dtype::BF16, &[0x80, 0x3f, 0x00, 0xc0]), Some(vec![1.0, -2.0]));
        assert_eq!(to_f32(Dtype::F16, &[0x00, 0x3c, 0x00, 0xc0]), Some(vec![1.0, -2.0]));
        assert_eq!(to_f32(Dtype::F32, &[0, 0, 0x80, 0x3f]), Some(vec![1.0]));
        assert_eq!(to_f32(Dtype::I64, &[0; 8]), None);
    }
}
