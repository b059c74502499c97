//! Any bytes as the weights of a small model, as a checkpoint's configuration, and as adapters.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use regimen_core::model::{Folder, Model};
use regimen_base::{Error, Result};
use regimen_nn::hf::{Hold, TensorFile, read_adapter_config, read_config};
use regimen_nn::Device;

const CONFIG: &[u8] = include_bytes!("../../fixtures/decoder/llama-tied/config.json");
static TOKENIZER: OnceLock<Vec<u8>> = OnceLock::new();

/// A folder whose weights are the input.
struct With<'a>(&'a [u8]);

impl Folder for With<'_> {
    fn has(&self, name: &str) -> bool {
        self.read(name).is_ok()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        match name {
            "config.json" => Ok(CONFIG.to_vec()),
            "tokenizer.json" => Ok(TOKENIZER.get_or_init(tokenizer).clone()),
            "model.safetensors" => Ok(self.0.to_vec()),
            _ => Err(Error::data(format!("there is no {name}"))),
        }
    }
}

fn tokenizer() -> Vec<u8> {
    let tokenizer = regimen_data::Tokenizer::char("0123456789+=", regimen_data::Unknown::Refuse).expect("it is ours");
    let mut files = tokenizer.files().into_iter();
    files.find(|(name, _)| name == "tokenizer.json").expect("it has one").1
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = TensorFile::read(bytes) {
        for tensor in file.tensors().values() {
            let _ = tensor.to_f32();
        }
    }
    let _ = Model::read(&With(bytes), &Device::cpu(), Hold::AsStored);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let shape = read_config(std::str::from_utf8(CONFIG).expect("UTF-8")).expect("a fixture").shape;
        let _ = read_adapter_config(text, &shape);
        if let Ok(config) = read_config(text) {
            // what is accepted can be laid out without an overflow
            let _ = regimen_nn::Arch::Decoder(config.shape).layout().len();
        }
    }
});
