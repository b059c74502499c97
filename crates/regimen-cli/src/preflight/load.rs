//! A stage as the estimates see it.

use regimen_kernels::can_be_half;
use regimen_nn::{Arch, Shape};

/// Tokens of each kind over a whole stage, or what they cost.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Work<T> {
    /// Trained on.
    pub trained: T,
    /// Written by the policy, as far as its data lets one guess.
    pub generated: T,
}

/// A stage as the estimates see it.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// The stage's id.
    pub stage: String,
    /// The net.
    pub arch: Arch,
    /// Whether matrices are held in 16 bits.
    pub half: bool,
    /// Optimiser steps; 0 where nothing is trained.
    pub steps: u64,
    /// Tokens over the whole stage.
    pub work: Work<f64>,
    /// Tokens trained on in one step.
    pub step_tokens: f64,
    /// Tokens in one pass at the most.
    pub micro_batch_tokens: usize,
    /// Whether activations are computed again in the backward pass.
    pub checkpointing: bool,
    /// Mean length of a row in tokens.
    pub mean_length: f64,
    /// Whether the net comes from files.
    pub loaded: bool,
    /// Whether replies are drawn to be judged.
    pub replies: bool,
    /// Other models.
    pub casts: usize,
    /// Rows decoded side by side.
    pub slots: usize,
    /// The longest of them, in tokens.
    pub longest: usize,
    /// What is known of its items once they are in memory.
    pub data_bytes: u64,
}

impl Load {
    /// How many parameters the net has.
    pub fn parameters(&self) -> u64 {
        self.arch.layout().len() as u64
    }

    /// Bytes of its weights.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = |path: &str, shape: &[usize]| if self.half && can_be_half(path, shape) { 2 } else { 4 };
        let layout = self.arch.layout();
        layout.entries().iter().map(|e| bytes(&e.path, &e.shape) * e.range.len() as u64).sum()
    }

    /// Numbers of its embedding.
    pub fn embedding(&self) -> u64 {
        self.arch.decoder().map_or(0, |shape| (shape.vocab * shape.width) as u64)
    }

    /// Whether it has adapters.
    pub fn adapted(&self) -> bool {
        self.arch.decoder().is_some_and(|shape| shape.lora.is_some())
    }

    /// How many of them train: all, or the adapters.
    pub fn trained(&self) -> u64 {
        let Some(shape) = self.arch.decoder().filter(|shape| shape.lora.is_some()) else {
            return self.parameters();
        };
        self.parameters() - Arch::Decoder(Shape { lora: None, ..shape.clone() }).layout().len() as u64
    }

    /// Whether the policy writes.
    pub fn decodes(&self) -> bool {
        self.slots > 0
    }

    /// Tokens in one pass: a step's, as far as they fit; a row is never cut.
    pub fn pass_tokens(&self) -> u64 {
        (self.step_tokens.ceil() as u64).min(self.micro_batch_tokens as u64).max(1)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use regimen_kernels::{Activation, Norm, Positions};

    /// A stage of a small model.
    pub fn load() -> Load {
        let shape = Shape {
            vocab: 64,
            width: 96,
            layers: 3,
            heads: 4,
            kv_heads: 4,
            head_dim: 24,
            ffn: 256,
            norm: Norm::Rms,
            activation: Activation::SwiGlu,
            norm_eps: 1e-5,
            positions: Positions::rotary(10_000.0),
            qk_norm: false,
            tied: true,
            attention_bias: false,
            output_bias: false,
            mlp_bias: false,
            parallel: false,
            lora: None,
            max_positions: 256,
        };
        Load {
            stage: "a".to_owned(),
            arch: Arch::Decoder(shape),
            half: false,
            steps: 100,
            work: Work { trained: 100.0 * 4000.0, generated: 0.0 },
            step_tokens: 4000.0,
            micro_batch_tokens: 8192,
            checkpointing: false,
            mean_length: 40.0,
            loaded: false,
            replies: false,
            casts: 0,
            slots: 0,
            longest: 0,
            data_bytes: 0,
        }
    }

    #[test]
    fn parameters_are_those_of_the_layout() {
        // embedding, three blocks (norms, q k v o, gate up down), the last norm
        let block = 2 * 96 + 4 * 96 * 96 + 3 * 96 * 256;
        assert_eq!(load().parameters(), 64 * 96 + 3 * block + 96);
    }
}
