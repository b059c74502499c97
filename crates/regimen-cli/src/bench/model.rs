//! The model that is measured: read from a folder, or made here.

use std::fs;
use std::path::Path;

use regimen_base::{Error, Result};
use regimen_core::model::{Folder, Model};
use regimen_data::{Tokenizer, Unknown};
use regimen_nn::hf::Hold;
use regimen_nn::{Arch, Device, build};

use super::{Size, weights};

/// The checkpoint in `folder`, or the start weights that the peers have too.
///
/// # Errors
/// An unreadable checkpoint, or one of another shape than `size`.
pub fn model(size: Size, folder: Option<&Path>) -> Result<Model> {
    let device = Device::cpu();
    let Some(folder) = folder else { return made(size, &device) };
    let within = |e: Error| e.within(folder.display().to_string());
    let model = Model::read(&Lying(folder), &device, Hold::Full).map_err(within)?;
    let (found, want) = (model.shape()?, size.shape());
    if *found != (regimen_kernels::Shape { max_positions: found.max_positions, ..want.clone() })
        || found.max_positions <= size.context()
    {
        return Err(within(
            Error::data(format!("this is not a model of size {}", size.name()))
                .remedy("make the checkpoints with make_init.py of the peers' scripts"),
        ));
    }
    Ok(model)
}

/// Whether PyTorch's losses are known for these weights.
pub fn has_known_losses(size: Size, folder: Option<&Path>) -> Result<bool> {
    let Some(folder) = folder else { return Ok(true) };
    Ok(regimen_core::run::digest(&read(folder, "model.safetensors")?) == size.digest())
}

fn made(size: Size, device: &Device) -> Result<Model> {
    let shape = size.shape();
    let layers = shape.layers;
    let mut net = build(&Arch::Decoder(shape), device)?;
    weights::fill(net.params_mut(), layers);
    // nothing is ever read or written as text here; any tokenizer that fits will do
    let tokenizer = Tokenizer::char("0123456789+=", Unknown::Refuse)?;
    Ok(Model::new(net, Some(tokenizer)))
}

/// A folder of the peers' scripts.
struct Lying<'a>(&'a Path);

impl Folder for Lying<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.join(name).is_file()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        read(self.0, name)
    }
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    fs::read(&path).map_err(|e| {
        Error::usage(format!("cannot read {}: {e}", path.display()))
            .remedy("make the checkpoints with make_init.py of the peers' scripts")
    })
}
