//! The three decoders that speed is measured on: Llama-style, RMS norms, SwiGLU, an untied head, f32.

use crate::shape::{Activation, Norm, Positions, Shape};

/// A decoder with the batch of a training step.
#[derive(Clone, Debug)]
pub struct Reference {
    /// What it is called.
    pub name: &'static str,
    /// The decoder.
    pub shape: Shape,
    /// Predicted tokens of a document.
    pub context: usize,
    /// Documents in a training step.
    pub batch: usize,
}

impl Reference {
    /// 109 k parameters, 32 × 64 tokens a step.
    pub const XS: Self = Self { name: "xs", shape: llama(64, 64, 2, 4, 176), context: 64, batch: 32 };
    /// 820 k parameters, 32 × 128 tokens a step.
    pub const TINY: Self = Self { name: "tiny", shape: llama(64, 128, 4, 4, 352), context: 128, batch: 32 };
    /// 13.8 M parameters, 8 × 256 tokens a step.
    pub const SMALL: Self =
        Self { name: "small", shape: llama(4096, 384, 6, 6, 1024), context: 256, batch: 8 };
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::XS, Self::TINY, Self::SMALL];
}

const fn llama(vocab: usize, width: usize, layers: usize, heads: usize, ffn: usize) -> Shape {
    Shape {
        vocab,
        width,
        layers,
        heads,
        kv_heads: heads,
        head_dim: width / heads,
        ffn,
        norm: Norm::Rms,
        activation: Activation::SwiGlu,
        norm_eps: 1e-5,
        positions: Positions::rotary(1e4),
        qk_norm: false,
        tied: false,
        attention_bias: false,
        output_bias: false,
        mlp_bias: false,
        parallel: false,
        lora: None,
        max_positions: 512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Layout;

    #[test]
    fn sizes_have_the_parameters_they_are_known_for() {
        let counts = Reference::ALL.map(|r| Layout::new(&r.shape).len());
        assert_eq!(counts, [108_864, 820_352, 13_767_552]);
    }
}
