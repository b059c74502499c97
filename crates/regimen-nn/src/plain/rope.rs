//! Rotary position embedding, halves layout (Su et al. 2021, as in Llama).

use burn::{Tensor, TensorData};
use regimen_kernels::Shape;

/// cos and sin of every position and frequency, `[1, 1, T, head_dim/2]`.
pub(super) struct Rope {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rope {
    pub(super) fn new(shape: &Shape, longest: usize, device: &burn::Device) -> Self {
        let inv_freq = shape.inv_freq();
        let angles = || (0..longest).flat_map(|t| inv_freq.iter().map(move |f| t as f32 * f));
        let dims = [1, 1, longest, inv_freq.len()];
        let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, dims), device);
        Self { cos: tensor(angles().map(f32::cos).collect()), sin: tensor(angles().map(f32::sin).collect()) }
    }

    /// Rotates `[B, H, T, head_dim]`.
    pub(super) fn rotate(&self, x_bhtd: Tensor<4>) -> Tensor<4> {
        let half = x_bhtd.dims()[3] / 2;
        let (a, b) = (x_bhtd.clone().narrow(3, 0, half), x_bhtd.narrow(3, half, half));
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![first, b * cos + a * sin], 3)
    }
}
