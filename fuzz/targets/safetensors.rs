//! Any bytes as a safetensors file of weights, and as a checkpoint's configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regimen_nn::hf;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tensors) = hf::Tensors::read(bytes) {
        for tensor in tensors.tensors().values() {
            let _ = tensor.to_f32();
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = hf::read_config(text);
    }
});
