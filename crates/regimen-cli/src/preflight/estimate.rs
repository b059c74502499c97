//! Memory, work and time of a stage, from its shapes: pure arithmetic.

use regimen_nn::{Arch, Shape};

use super::load::{Load, Work};

/// What takes memory at the stage's fullest moment, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Weights, their gradient and the copy of it that the optimiser reads.
    pub weights: u64,
    /// What reading the model takes beyond all that comes after it.
    pub reading: u64,
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
            ("reading the model", self.reading),
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

/// Bytes of a tokenizer for each of its tokens: with the 49 152 of SmolLM2 the program has 132 MB before it reads any weight.
const TOKEN: u64 = 2 << 10;

/// Bytes of a number.
const F32: u64 = 4;

/// The peak of a stage.
pub fn memory(load: &Load) -> Memory {
    let (weights, trained) = (load.weight_bytes(), F32 * load.trained());
    let trains = load.steps > 0;
    let mut memory = Memory {
        weights: if trains { weights + 2 * trained } else { weights },
        casts: load.casts as u64 * (weights + head(load) + forward(load)),
        rest: PROGRAM + tokenizer(load) + load.data_bytes,
        ..Memory::default()
    };
    if trains {
        memory.optimizer = 2 * trained;
        memory.activations = activations(load);
        // weights and moments, as they are and as bytes of a file
        memory.checkpoint = weights + 4 * trained;
    }
    if let Some(shape) = load.arch.decoder().filter(|_| load.decodes() || load.replies) {
        let row = 2 * shape.layers * shape.kv_heads * shape.head_dim;
        // a decoder of its own, with the head packed and the embedding as it is
        memory.cache = weights + head(load) + F32 * (load.slots * load.longest * row) as u64;
    }
    if load.loaded {
        memory.reading = reading(load).saturating_sub(memory.total());
    }
    memory
}

/// The file, which may be of f32, and its numbers. With adapters the numbers once more, unless they are of 16 bits, which
/// are shared; then the largest tensor twice in f32.
fn reading(load: &Load) -> u64 {
    let (file, weights) = (F32 * load.parameters(), load.weight_bytes());
    let largest = F32 * load.embedding();
    match (load.half, load.adapted()) {
        (true, _) => file + weights + 2 * largest,
        (false, true) => file + 2 * weights,
        (false, false) => file + weights,
    }
}

/// What the engine holds for the tokens of a pass. Every layer keeps what enters it; and, unless that is computed again,
/// its middle, queries, keys, values, attention's output and the feed-forward part's inner values. The gradients of the
/// residual stream are whole, those inside a layer belong to a chunk of the tokens. Of the logits up to 32 MiB are kept,
/// with their gradients. Packed matrices: the head for either direction, and one layer.
fn activations(load: &Load) -> u64 {
    let s = match &load.arch {
        Arch::Decoder(shape) => shape,
        // behind the input and each layer, and the gradient of each
        Arch::Mlp(mlp) => {
            let row: usize = mlp.chain().sizes.iter().sum();
            return F32 * load.pass_tokens() * (2 * mlp.paths * row) as u64;
        }
    };
    let inside = inside(s);
    let layers = if load.checkpointing { 1 } else { s.layers };
    let kept = (s.layers + 1) * s.width + layers * inside;
    let tokens = load.pass_tokens();
    let chunk = tokens.min(CHUNK_TOKENS) * 3 * (inside + s.ffn + 5 * s.width) as u64;
    let logits = 2 * (tokens * s.vocab as u64).min(1 << 23);
    F32 * (tokens * (kept + 4 * s.width) as u64 + chunk + logits) + packed(load)
}

/// Numbers of a token inside of a layer.
fn inside(s: &Shape) -> usize {
    let raw = if s.qk_norm { s.q_width() + s.kv_width() } else { 0 };
    s.width + s.qkv_width() + raw + s.q_width() + s.heads + s.inner_width()
}

/// What another model's engine holds for the tokens of a pass: one layer, packed and with its values, and the logits.
fn forward(load: &Load) -> u64 {
    let Some(s) = load.arch.decoder() else { return 0 };
    let (tokens, row) = (load.pass_tokens(), 2 * s.width + inside(s));
    F32 * (tokens * row as u64 + (tokens * s.vocab as u64).min(1 << 23)) + layer(load)
}

fn tokenizer(load: &Load) -> u64 {
    load.arch.decoder().map_or(0, |shape| TOKEN * shape.vocab as u64)
}

/// Tokens whose gradients are inside of a layer at once, about.
const CHUNK_TOKENS: u64 = 512;

/// Bytes of the matrices that a training pass has packed: the head for either direction, and one layer, which is widened.
fn packed(load: &Load) -> u64 {
    2 * head(load) + layer(load)
}

/// Bytes of one packed layer.
fn layer(load: &Load) -> u64 {
    let of = |s: &Shape| s.width * (s.qkv_width() + s.q_width() + s.inner_width() + s.ffn);
    F32 * load.arch.decoder().map_or(0, of) as u64
}

/// Bytes of the packed head.
fn head(load: &Load) -> u64 {
    let bytes = if load.half { F32 / 2 } else { F32 };
    bytes * load.embedding()
}

/// Floating-point operations of the whole stage: 4 a parameter and trained token, 2 more for one that trains, 2 a parameter
/// and token that is only read or written, and what attention adds.
pub fn flops(load: &Load) -> Work<f64> {
    let parameters = load.parameters() as f64;
    let inner = load.arch.decoder().map_or(0, |shape| shape.layers * shape.heads * shape.head_dim) as f64;
    // scores and values over half of the row on average, 2 operations each
    let attention = 2.0 * inner * load.mean_length;
    let casts = load.casts as f64 * 2.0;
    Work {
        trained: load.work.trained
            * ((4.0 + casts) * parameters + 2.0 * load.trained() as f64 + 3.0 * attention),
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
        let shape = load.arch.decoder().expect("a decoder");
        let (row, rows) = (2 * shape.layers * shape.kv_heads * shape.head_dim, 64 * 100);
        let head = head(&load);
        assert_eq!(
            (m.casts, m.cache),
            (weights + head + forward(&load), weights + head + (4 * rows * row) as u64)
        );
        assert_eq!(m.total(), m.parts().map(|p| p.bytes).sum::<u64>());
    }

    #[test]
    fn reading_counts_when_it_takes_the_most() {
        let still = |load: Load| memory(&Load { loaded: true, steps: 0, slots: 0, ..load });
        let weights = 4 * load().parameters();
        assert_eq!(still(load()).total(), weights + still(load()).rest.max(weights));
        let small = load().arch.decoder().cloned().expect("a decoder");
        let large = Load { arch: Arch::Decoder(Shape { vocab: 1 << 18, width: 960, ..small }), ..load() };
        let (file, head) = (4 * large.parameters(), 4 * (960 << 18));
        assert_eq!(still(large.clone()).total(), 2 * file);
        let half = Load { half: true, ..large };
        assert_eq!(still(half.clone()).total(), file + half.weight_bytes() + 2 * head);
        assert!(
            half.weight_bytes() < file * 51 / 100
                && memory(&half).total() < memory(&Load { half: false, ..half }).total()
        );
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
    fn checkpointing_takes_less() {
        let whole = load();
        let again = Load { checkpointing: true, ..whole.clone() };
        let tokens = F32 * whole.pass_tokens();
        // the middle, queries, keys, values, attention's output and log-sums, gate and up: of two layers out of three
        let inside = (96 + 3 * 96 + 96 + 4 + 2 * 256) as u64;
        assert_eq!(memory(&whole).activations - memory(&again).activations, 2 * tokens * inside);
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
