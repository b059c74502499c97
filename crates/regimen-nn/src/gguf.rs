//! GGUF, the file format of llama.cpp: weights (often quantised), facts and tokenizer in one file. Read into f32 for
//! training, and written.

mod config;
mod names;
mod quant;
mod read;
mod value;
mod write;

use regimen_base::{Error, Result};

pub use config::read_config;
pub use quant::Kind;
pub use read::{Gguf, Tensor};
pub use value::Value;
pub use write::{Store, write};

use crate::hf::Config;
use crate::hf::finite;
use crate::params::Params;

/// Reads every parameter, dequantised. After an error `params` holds some of them and is of no more use.
///
/// # Errors
/// Names the tensor that is missing, unknown, of another shape, of an unknown type, or not finite.
pub fn read_weights(file: &Gguf<'_>, config: &Config, params: &mut Params) -> Result<()> {
    let remedy = "download the file again, or convert the model anew";
    let wrong = |what: String| Error::data(what).remedy(remedy);
    let stored = names::stored(config, file.tensors().contains_key("output.weight"));
    if let Some(extra) = file.tensors().keys().find(|name| !names::known(name, &stored)) {
        return Err(wrong(format!("tensor `{extra}` is not part of this architecture")));
    }
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
        finite(&tensor.name, &tensor.shape, &numbers)?;
        tensor.scatter(numbers, params);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
