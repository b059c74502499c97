//! The three sizes that are measured.

use clap::ValueEnum;
use regimen_kernels::{Reference, Shape};

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
    reference: Reference,
    steps: u64,
    /// The digest of the start weights that others load.
    digest: &'static str,
    /// Losses that PyTorch reaches from those weights, by step.
    losses: &'static [(usize, f64)],
}

static XS: Facts = Facts {
    reference: Reference::XS,
    steps: 40,
    digest: "blake3:8a2e3bc41c596445188a894cd000a9171d2122b41925c632fe1907fa92945edc",
    losses: &[(0, 4.172_252), (10, 4.176_954), (24, 4.160_471), (39, 4.164_592)],
};

static TINY: Facts = Facts {
    reference: Reference::TINY,
    steps: 25,
    digest: "blake3:56a88f03fec08f5633452f8be602c37aec597d81b725ffa6070268fda9381161",
    losses: &[(0, 4.179_110), (10, 4.163_128), (24, 4.161_509)],
};

static SMALL: Facts = Facts {
    reference: Reference::SMALL,
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
        self.facts().reference.name
    }

    /// Documents in a training step.
    pub fn batch(self) -> usize {
        self.facts().reference.batch
    }

    /// Predicted tokens of a document.
    pub fn context(self) -> usize {
        self.facts().reference.context
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
        self.facts().reference.shape.clone()
    }
}
