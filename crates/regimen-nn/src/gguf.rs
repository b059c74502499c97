//! GGUF, the file format of llama.cpp: weights (often quantised), facts and tokenizer in one file. Read into f32 for
//! training, and written.

mod config;
mod names;
mod quant;
mod read;
mod value;
mod write;

use regimen_base::{Error, Result};
use regimen_kernels::Half;

pub use config::read_config;
pub use quant::Kind;
pub use read::{Gguf, Tensor};
pub use value::Value;
pub use write::{Store, write};

use crate::device::Device;
use crate::hf::Config;
use crate::hf::fits;
use crate::net::{Arch, Net, build_with, check_shape};
use crate::params::Params;

/// A net of the weights, dequantised to f32, or its matrices to 16 bits.
///
/// # Errors
/// Names the tensor that is missing, unknown, of another shape, of an unknown type, not finite, or beyond the 16 bits.
pub fn read_net(
    file: &Gguf<'_>,
    config: &Config,
    device: &Device,
    half: Option<Half>,
) -> Result<Box<dyn Net>> {
    check_shape(&config.shape)?;
    build_with(&config.shape, device, read_weights(file, config, half)?)
}

fn read_weights(file: &Gguf<'_>, config: &Config, half: Option<Half>) -> Result<Params> {
    let remedy = "download the file again, or convert the model anew";
    let wrong = |what: String| Error::data(what).remedy(remedy);
    let stored = names::stored(config, file.tensors().contains_key("output.weight"));
    if let Some(extra) = file.tensors().keys().find(|name| !names::known(name, &stored)) {
        return Err(wrong(format!("tensor `{extra}` is not part of this architecture")));
    }
    let mut params = Params::zeros_in(Arch::Decoder(config.shape.clone()).layout(), half);
    for tensor in stored {
        let Some(found) = file.tensors().get(&tensor.name) else {
            return Err(wrong(format!("tensor `{}` {:?} is missing", tensor.name, tensor.shape)));
        };
        if found.shape != tensor.shape {
            let (name, has, wants) = (&tensor.name, &found.shape, &tensor.shape);
            return Err(wrong(format!(
                "tensor `{name}` has shape {has:?}, the architecture wants {wants:?}"
            )));
        }
        let numbers = found.to_f32().map_err(|why| wrong(format!("tensor `{}` {why}", tensor.name)))?;
        fits(&tensor.name, &tensor.shape, &numbers, tensor.half(&params))?;
        tensor.scatter(numbers, &mut params);
    }
    Ok(params)
}

#[cfg(test)]
mod tests;
