//! Nets: named parameters on the host, the fused engine and its plain-Burn twin behind one trait, taps, checkpoints.
//!
//! Weights and gradients of a net are two flat vectors with one [`Layout`]. On the processor a decoder runs on the
//! fused engine of `regimen-kernels`; what it puts out (log-probs, entropies, logits, hidden states) become leaves of
//! a small autodiff graph in which objectives are written, and the gradients of those leaves go back into the engine.
//! On any other device, and where activations are clamped, the plain twin builds the whole graph instead.

pub mod adapter;
mod device;
mod fused;
pub mod gguf;
pub mod hf;
mod init;
mod layout;
mod mlp;
mod net;
mod params;
mod plain;
mod taps;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod interventions;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod surrogate;
#[cfg(test)]
mod testing;

pub use device::Device;
pub use fused::FusedDecoder;
pub use init::Init;
pub use layout::{Entry, Layout};
pub use mlp::{Mlp, MlpInit, MlpNet};
pub use net::{Arch, Inputs, Net, Outputs, Tokens, Vectors, Want, build, build_in};
pub use params::{Params, matches};
pub use plain::PlainDecoder;
pub use regimen_kernels::{
    Activation, Elementwise, Half, Lora, Norm, Pick, Positions, Projection, RopeScaling, Rotary, Shape,
    Targets,
};
pub use taps::{Clamp, Reading, Rule, Selection, Taps, Value, sites};
