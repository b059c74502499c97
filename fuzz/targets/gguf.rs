//! Any bytes as a GGUF file: its facts, its tensors, its tokenizer, and the model in it.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use regimen_core::model::Model;
use regimen_nn::Device;
use regimen_nn::gguf::Gguf;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // panics of the tokenizer's library become errors; libFuzzer's hook would end the process before that
    QUIET.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !regimen_base::is_guarded() {
                hook(info);
            }
        }));
    });
    let Ok(file) = Gguf::read(bytes) else { return };
    for tensor in file.tensors().values() {
        let _ = tensor.to_f32();
    }
    let model = Model::read_gguf(bytes, &Device::cpu(), None);
    if let Some(tokenizer) = model.as_ref().ok().and_then(|model| model.tokenizer().ok()) {
        let _ = tokenizer.encode_text("1+1=2, \u{e9}\u{1F600}").map(|ids| tokenizer.decode(&ids, false));
    }
});
