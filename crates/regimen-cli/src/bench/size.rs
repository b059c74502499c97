//! The three sizes that are measured.

use clap::ValueEnum;
use regimen_kernels::{Activation, Norm, Shape};

/// A model with a batch: Llama-style, RMS norms, SwiGLU, an untied head, f32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Size {
    /// 109 k parameters, 32 × 64 tokens a step.
    Xs,
    /// 820 k parameters, 32 × 128 tokens a step.
    Tiny,
    /// 13.8 M parameters, 8 × 256 tokens a step.
    Small,
}

/// Everything about a size.
struct Facts {
    name: &'static str,
    vocab: usize,
    width: usize,
    layers: usize,
    heads: usize,
    ffn: usize,
    context: usize,
    batch: usize,
    steps: u64,
    /// The digest of the start weights that others load.
    digest: &'static str,
    /// Losses that PyTorch reaches from those weights, by step.
    losses: &'static [(usize, f64)],
}

const XS: Facts = Facts {
    name: "xs",
    vocab: 64,
    width: 64,
    layers: 2,
    heads: 4,
    ffn: 176,
    context: 64,
    batch: 32,
    steps: 40,
    digest: "blake3:8a2e3bc41c596445188a894cd000a9171d2122b41925c632fe1907fa92945edc",
    losses: &[(0, 4.172_252), (10, 4.176_954), (24, 4.160_471), (39, 4.164_592)],
};

const TINY: Facts = Facts {
    name: "tiny",
    vocab: 64,
    width: 128,
    layers: 4,
    heads: 4,
    ffn: 352,
    context: 128,
    batch: 32,
    steps: 25,
    digest: "blake3:56a88f03fec08f5633452f8be602c37aec597d81b725ffa6070268fda9381161",
    losses: &[(0, 4.179_110), (10, 4.163_128), (24, 4.161_509)],
};

const SMALL: Facts = Facts {
    name: "small",
    vocab: 4096,
    width: 384,
    layers: 6,
    heads: 6,
    ffn: 1024,
    context: 256,
    batch: 8,
    steps: 15,
    digest: "blake3:3e1d48842b9e09381b48c1a81b8adc46506381242c855a3cea60e30a75b564ba",
    losses: &[(0, 8.395_345), (10, 8.404_740), (14, 8.390_351)],
};

impl Size {
    fn facts(self) -> &'static Facts {
        match self {
            Self::Xs => &XS,
            Self::Tiny => &TINY,
            Self::Small => &SMALL,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Documents in a training step.
    pub fn batch(self) -> usize {
        self.facts().batch
    }

    /// Predicted tokens of a document.
    pub fn context(self) -> usize {
        self.facts().context
    }

    /// Predicted tokens of a step.
    pub fn step_tokens(self) -> usize {
        self.batch() * self.context()
    }

    /// Steps that a measurement takes when nobody says.
    pub fn steps(self) -> u64 {
        self.facts().steps
    }

    /// The digest of the weights from which [`Size::losses`] are reached.
    pub fn digest(self) -> &'static str {
        self.facts().digest
    }

    /// Losses of PyTorch from the same weights on the same tokens, by step.
    pub fn losses(self) -> &'static [(usize, f64)] {
        self.facts().losses
    }

    /// The decoder.
    pub fn shape(self) -> Shape {
        let f = self.facts();
        Shape {
            vocab: f.vocab,
            width: f.width,
            layers: f.layers,
            heads: f.heads,
            kv_heads: f.heads,
            head_dim: f.width / f.heads,
            ffn: f.ffn,
            norm: Norm::Rms,
            activation: Activation::SwiGlu,
            norm_eps: 1e-5,
            rope_theta: 1e4,
            qk_norm: false,
            tied: false,
            attention_bias: false,
            max_positions: 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_parameters_they_are_known_for() {
        let counts =
            [Size::Xs, Size::Tiny, Size::Small].map(|s| regimen_kernels::Layout::new(&s.shape()).len());
        assert_eq!(counts, [108_864, 820_352, 13_767_552]);
    }
}
