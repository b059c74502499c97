//! Grouped-query causal attention (Ainslie et al. 2023).

use burn::{Tensor, activation};
use regimen_base::Result;

use super::pass::Pass;

/// What a masked score holds: far below any other, and still a number on every device.
const MASKED: f32 = f32::MIN;

impl Pass<'_> {
    /// What attention of `layer` adds to the stream.
    pub(super) fn attention(&mut self, layer: usize, x_btd: Tensor<3>) -> Result<Tensor<3>> {
        let path = format!("model.layers.{layer}.self_attn");
        let (heads, groups) = (self.shape.heads, self.shape.kv_heads);
        let q = self.heads(layer, "q", heads, x_btd.clone())?;
        let k = self.heads(layer, "k", groups, x_btd.clone())?;
        let v = self.heads(layer, "v", groups, x_btd)?;
        let (q, k) = if self.shape.qk_norm {
            (self.rms(&format!("{path}.q_norm"), q), self.rms(&format!("{path}.k_norm"), k))
        } else {
            (q, k)
        };
        let q = self.rope.rotate(q.swap_dims(1, 2));
        let k = repeat(self.rope.rotate(k.swap_dims(1, 2)), heads / groups);
        let pattern = self.pattern(layer, q, k)?;
        let z_bthd = pattern.matmul(repeat(v.swap_dims(1, 2), heads / groups)).swap_dims(1, 2);
        let z_bthd = self.tap(&format!("blocks.{layer}.attn.z"), "bthd", z_bthd)?;
        let [documents, longest, _, dim] = z_bthd.dims();
        let out = self.linear(&format!("{path}.o_proj"), z_bthd.reshape([documents, longest, heads * dim]));
        self.tap(&format!("blocks.{layer}.attn.out"), "btd", out)
    }

    fn heads(&mut self, layer: usize, which: &str, heads: usize, x_btd: Tensor<3>) -> Result<Tensor<4>> {
        let [documents, longest, _] = x_btd.dims();
        let projected = self.linear(&format!("model.layers.{layer}.self_attn.{which}_proj"), x_btd);
        let x_bthd = projected.reshape([documents, longest, heads, self.shape.head_dim]);
        self.tap(&format!("blocks.{layer}.attn.{which}"), "bthd", x_bthd)
    }

    fn pattern(&mut self, layer: usize, q_bhtd: Tensor<4>, k_bhtd: Tensor<4>) -> Result<Tensor<4>> {
        let scale = (self.shape.head_dim as f32).sqrt();
        let scores = q_bhtd.matmul(k_bhtd.transpose()).div_scalar(scale);
        let future = self.future.clone().expand(scores.dims());
        let site = format!("blocks.{layer}.attn.scores");
        let mut scores = self.tap(&site, "bhqk", scores.mask_fill(future.clone(), MASKED))?;
        if self.clamped(&site) {
            scores = scores.mask_fill(future.clone(), MASKED);
        }
        let site = format!("blocks.{layer}.attn.pattern");
        let pattern = self.tap(&site, "bhqk", activation::softmax(scores, 3))?;
        // a clamp must not let a position see the future
        Ok(if self.clamped(&site) { pattern.mask_fill(future, 0.0) } else { pattern })
    }
}

/// Each group of `[B, G, T, D]` for as many heads as share it.
fn repeat(x_bgtd: Tensor<4>, times: usize) -> Tensor<4> {
    let [documents, groups, longest, dim] = x_bgtd.dims();
    let x = x_bgtd.unsqueeze_dim::<5>(2).expand([documents, groups, times, longest, dim]);
    x.reshape([documents, groups * times, longest, dim])
}
