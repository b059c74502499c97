//! Checkpoints in Hugging Face's formats: `config.json`, `generation_config.json` and safetensors, from and to bytes.

mod config;
mod float;
mod generation;
mod tensors;
mod weights;

pub use config::{Config, read_config, write_config};
pub use generation::{Generation, write_generation_config};
pub use tensors::{Found, TensorFile, write_tensors};
pub use weights::{read_weights, write_weights};
