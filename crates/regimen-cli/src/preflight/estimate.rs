//! Memory, work and time of a stage, from its shapes: pure arithmetic.

use super::load::{Load, Work};

/// What takes memory at the stage's fullest moment, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Weights, their gradient and the copy of it that the optimiser reads.
    pub weights: u64,
    /// The optimiser's moments.
    pub optimizer: u64,
    /// Frozen copies of other models.
    pub casts: u64,
    /// What a forward pass keeps for its backward pass.
    pub activations: u64,
    /// Packed weights, keys and values of the decoder.
    pub cache: u64,
    /// The bytes of a checkpoint while it is written.
    pub checkpoint: u64,
    /// The program, its data and what allocation wastes.
    pub rest: u64,
}

/// One line of [`Memory`].
pub struct Share {
    /// What it is.
    pub name: &'static str,
    /// How large.
    pub bytes: u64,
}

impl Memory {
    /// Everything together.
    pub fn total(&self) -> u64 {
        self.parts().map(|p| p.bytes).sum()
    }

    /// The parts, by name.
    pub fn parts(&self) -> impl Iterator<Item = Share> {
        [
            ("weights and gradients", self.weights),
            ("optimiser", self.optimizer),
            ("other models", self.casts),
            ("activations", self.activations),
            ("decoding", self.cache),
            ("checkpoint", self.checkpoint),
            ("program and data", self.rest),
        ]
        .into_iter()
        .map(|(name, bytes)| Share { name, bytes })
    }
}

/// The program's own pages, threads and tables.
const PROGRAM: u64 = 48 << 20;

/// Bytes of a number.
const F32: u64 = 4;

/// The peak of a stage.
pub fn memory(load: &Load) -> Memory {
    let (weights, trained) = (F32 * load.parameters(), F32 * load.trained());
    let trains = load.steps > 0;
    let mut memory = Memory {
        weights: if trains { weights + 2 * trained } else { weights },
        casts: load.casts as u64 * weights,
        rest: PROGRAM + load.data_bytes,
        ..Memory::default()
    };
    if trains {
        memory.optimizer = 2 * trained;
        memory.activations = activations(load);
        // weights and moments, as they are and as bytes of a file
        memory.checkpoint = weights + 4 * trained;
    }
    if load.decodes() {
        let shape = &load.shape;
        let row = 2 * shape.layers * shape.kv_heads * shape.head_dim;
        memory.cache = weights + F32 * (load.slots * load.longest * row) as u64;
    }
    memory
}

/// Kept by every layer for each token: its input, two norms, queries, keys, values, attention's output, the feed-forward
/// part's inner values. The backward pass writes half as much again; besides, there is a chunk of the logits.
fn activations(load: &Load) -> u64 {
    let shape = &load.shape;
    let inner = shape.heads * shape.head_dim;
    let layer = 8 * shape.width + 4 * inner + 3 * shape.ffn;
    let tokens = load.pass_tokens();
    let logits = tokens.min(1024) * shape.vocab as u64;
    let kept = tokens * (shape.layers * layer + 4 * shape.width) as u64;
    F32 * (kept + kept / 2 + 2 * logits)
}

/// Floating-point operations of the whole stage: 6 a parameter and trained token, 2 a parameter and token that is only
/// read or written, and what attention adds.
pub fn flops(load: &Load) -> Work<f64> {
    let parameters = load.parameters() as f64;
    let shape = &load.shape;
    let inner = (shape.layers * shape.heads * shape.head_dim) as f64;
    // scores and values over half of the row on average, 2 operations each
    let attention = 2.0 * inner * load.mean_length;
    let casts = load.casts as f64 * 2.0;
    Work {
        trained: load.work.trained * ((6.0 + casts) * parameters + 3.0 * attention),
        generated: load.work.generated * (2.0 * parameters + attention),
    }
}

/// The share of the matrix-product speed that training reaches.
const TRAINING: f64 = 0.6;

/// The same for decoding, whose products are thin.
const DECODING: f64 = 0.25;

/// Seconds of the whole stage on a machine that multiplies matrices at `speed` operations a second.
pub fn seconds(load: &Load, speed: f64) -> f64 {
    let flops = flops(load);
    (flops.trained / TRAINING + flops.generated / DECODING) / speed.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::a_load as load;

    #[test]
    fn memory_counts_what_is_there() {
        let mut load = load();
        let weights = 4 * load.parameters();
        let m = memory(&load);
        assert_eq!((m.weights, m.optimizer, m.casts, m.cache), (3 * weights, 2 * weights, 0, 0));
        load.casts = 1;
        load.work.generated = 1000.0;
        (load.slots, load.longest) = (64, 100);
        let m = memory(&load);
        let (row, rows) = (2 * load.shape.layers * load.shape.kv_heads * load.shape.head_dim, 64 * 100);
        assert_eq!((m.casts, m.cache), (weights, weights + (4 * rows * row) as u64));
        assert_eq!(m.total(), m.parts().map(|p| p.bytes).sum::<u64>());
    }

    #[test]
    fn an_evaluation_keeps_nothing_for_a_backward_pass() {
        let m = memory(&Load { steps: 0, ..load() });
        assert_eq!((m.optimizer, m.activations, m.checkpoint), (0, 0, 0));
    }

    #[test]
    fn activations_follow_the_pass_and_not_the_batch() {
        let small = load();
        let long = Load {
            work: Work { trained: 10.0 * small.work.trained, ..small.work },
            steps: 10 * small.steps,
            ..small.clone()
        };
        assert_eq!(memory(&small).activations, memory(&long).activations);
        let wide = Load { step_tokens: 1e9, ..small.clone() };
        assert!(
            memory(&wide).activations > memory(&small).activations,
            "a full pass is larger than a small batch"
        );
    }

    #[test]
    fn work_is_six_a_parameter_and_token() {
        let load = Load { mean_length: 0.0, ..load() };
        let p = load.parameters() as f64;
        assert_eq!(flops(&load).trained, 6.0 * p * load.work.trained);
        let read = Load { casts: 1, ..load.clone() };
        assert_eq!(flops(&read).trained, 8.0 * p * load.work.trained);
        let written = Load { work: Work { trained: 0.0, generated: 10.0 }, ..load.clone() };
        assert_eq!(flops(&written).generated, 20.0 * p);
        assert!((seconds(&load, 1e9) - flops(&load).trained / 0.6e9).abs() < 1e-12);
    }
}
