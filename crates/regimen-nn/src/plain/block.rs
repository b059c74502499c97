//! One pre-norm layer, and the stack of them.

use burn::{Tensor, activation};
use regimen_base::Result;
use regimen_kernels::Activation;

use super::pass::Pass;
use crate::net::Tokens;

impl Pass<'_> {
    /// The stream after all layers and the final norm, `[B, T, D]`.
    pub(super) fn trunk(&mut self, tokens: &Tokens<'_>) -> Result<Tensor<3>> {
        let embedded = self.embed(tokens);
        let mut x = self.tap("embed", "btd", embedded)?;
        for layer in 0..self.shape.layers {
            x = self.block(layer, x)?;
        }
        let x = self.norm("model.norm", x);
        self.tap("final", "btd", x)
    }

    fn block(&mut self, layer: usize, x_btd: Tensor<3>) -> Result<Tensor<3>> {
        let path = format!("model.layers.{layer}");
        let site = |name: &str| format!("blocks.{layer}.{name}");
        let x = self.tap(&site("resid.pre"), "btd", x_btd)?;
        let normed = self.norm(&format!("{path}.input_layernorm"), x.clone());
        let below = x.clone();
        let mut x = x + self.attention(layer, normed)?;
        if self.shape.ffn > 0 {
            x = self.tap(&site("resid.mid"), "btd", x)?;
            let read = if self.shape.parallel { below } else { x.clone() };
            let normed = self.norm(&format!("{path}.post_attention_layernorm"), read);
            x = x + self.mlp(layer, normed)?;
        }
        self.tap(&site("resid.post"), "btd", x)
    }

    fn mlp(&mut self, layer: usize, x_btd: Tensor<3>) -> Result<Tensor<3>> {
        let path = format!("model.layers.{layer}.mlp");
        let site = |name: &str| format!("blocks.{layer}.mlp.{name}");
        let up = self.linear(&format!("{path}.up_proj"), x_btd.clone());
        let gated = self.shape.activation == Activation::SwiGlu;
        let pre = if gated { self.linear(&format!("{path}.gate_proj"), x_btd) } else { up.clone() };
        let pre = self.tap(&site("pre"), "btd", pre)?;
        let post = match self.shape.activation {
            Activation::SwiGlu => activation::silu(pre) * up,
            Activation::Gelu => gelu(pre),
            Activation::GeluTanh => activation::gelu_approximate(pre),
            Activation::Relu2 => activation::relu(pre).square(),
        };
        let post = self.tap(&site("post"), "btd", post)?;
        let out = self.linear(&format!("{path}.down_proj"), post);
        self.tap(&site("out"), "btd", out)
    }
}

/// The exact GELU (Hendrycks and Gimpel 2016). Burn's own has the gradient of the tanh form on some devices.
fn gelu(x: Tensor<3>) -> Tensor<3> {
    let above = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * above * 0.5
}
