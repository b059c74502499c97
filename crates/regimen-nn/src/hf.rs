//! Checkpoints in Hugging Face's formats: `config.json`, `generation_config.json` and safetensors, from and to bytes.

mod config;
mod family;
mod float;
mod generation;
mod peft;
mod stored;
mod tensors;
mod weights;

pub(crate) use weights::fits;

pub use config::{Config, read_config, write_config};
pub use family::Family;
pub use generation::{Generation, write_generation_config};
pub use peft::{
    AdapterConfig, all_names, is_adapter, parse_targets, read_adapter, read_adapter_config, write_adapter,
    write_adapter_config,
};
pub use stored::{Part, Stored};
pub use tensors::{Found, TensorFile, write_tensors};
pub use weights::{Hold, WeightReader, read_own_weights, read_weights, write_own_weights, write_weights};
