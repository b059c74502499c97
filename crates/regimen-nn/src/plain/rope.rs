//! Rotary position embedding, halves layout (Su et al. 2021, as in Llama), of whole heads or of their first numbers.

use burn::{Tensor, TensorData};
use regimen_kernels::Shape;

/// cos and sin of every position and frequency, `[1, 1, T, pairs]`; none where nothing turns.
pub(super) struct Rope(Option<[Tensor<4>; 2]>);

impl Rope {
    pub(super) fn new(shape: &Shape, longest: usize, device: &burn::Device) -> Self {
        let inv_freq = shape.inv_freq();
        if inv_freq.is_empty() {
            return Self(None);
        }
        let angles = || (0..longest).flat_map(|t| inv_freq.iter().map(move |f| t as f32 * f));
        let dims = [1, 1, longest, inv_freq.len()];
        let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, dims), device);
        Self(Some([f32::cos, f32::sin].map(|f| tensor(angles().map(f).collect()))))
    }

    /// Rotates `[B, H, T, head_dim]`.
    pub(super) fn rotate(&self, x_bhtd: Tensor<4>) -> Tensor<4> {
        let Some([cos, sin]) = self.0.clone() else { return x_bhtd };
        let (half, width) = (cos.dims()[3], x_bhtd.dims()[3]);
        let rest = (2 * half < width).then(|| x_bhtd.clone().narrow(3, 2 * half, width - 2 * half));
        let (a, b) = (x_bhtd.clone().narrow(3, 0, half), x_bhtd.narrow(3, half, half));
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        let turned = [first, b * cos + a * sin];
        Tensor::cat(turned.into_iter().chain(rest).collect(), 3)
    }
}
