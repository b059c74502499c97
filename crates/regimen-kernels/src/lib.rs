//! The fused CPU kernels of a small decoder: matrix products, norms, rotary positions, attention, activations,
//! log-probabilities, AdamW, whole training passes and batched decoding. Slices in, slices out.
//!
//! **Exactness.** Every element of every matrix product is one chain of fused multiply-adds in k order; every other sum
//! has one fixed order that depends on its own length alone. So results do not depend on blocking, thread count,
//! batch size, batch split or instruction set, and decoding gives the trainer's bits.
//!
//! Threads are those of the current [`Team`].

pub mod activation;
mod adamw;
mod allocator;
pub mod attention;
mod block;
mod buffer;
mod chain;
mod cross_entropy;
mod decode;
mod decoder;
mod dropout;
mod finite;
pub mod gemm;
#[cfg(test)]
mod gemm_tests;
mod global_norm;
mod grads;
mod half;
mod linear;
mod math;
pub mod norm;
mod pack;
mod par;
mod plan;
mod reference;
pub mod rope;
mod sample;
mod shape;
mod simd;
mod span;
pub mod strips;
mod team;
mod tile;
mod turns;
mod weights;

/// The version of the arithmetic. It goes up whenever a change makes results differ in their bits, so that results that
/// were recorded before can be told from those that can be made again.
pub const NUMERICS: u32 = 1;

pub use adamw::{AdamW, adamw};
pub use allocator::keep_freed_memory;
pub use chain::{Chain, ChainShape, Elementwise};
pub use cross_entropy::{PickedRows, logprob};
pub use decode::Decoding;
pub use decoder::{Decoder, Pick, Rows, Upstream};
pub use dropout::dropout_mask;
pub use finite::first_not_finite;
pub use global_norm::global_norm;
pub use grads::Grads;
pub use half::Half;
pub use reference::Reference;
pub use sample::{Drawn, Sampling, Scratch, draw};
pub use shape::{
    Activation, Entry, Layout, Lora, Norm, Positions, Projection, RopeScaling, Rotary, Shape, Targets,
    can_be_half,
};
pub use simd::{Level, best_level, force_level, level, supported};
pub use span::{Span, Watch, span, watch};
pub use team::{Team, threads};
pub use weights::Weights;
