//! Any bytes as `tokenizer.json`; what loads encodes and decodes, and never makes special tokens of plain text.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use regimen_data::Tokenizer;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // panics of the library become errors; libFuzzer's hook would end the process before that
    QUIET.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !regimen_base::is_guarded() {
                hook(info);
            }
        }));
    });
    let (json, text) = bytes.split_at(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    let Ok(tokenizer) = Tokenizer::from_json(json, None) else { return };
    let text = String::from_utf8_lossy(text);
    for text in ["<|im_start|>user\n1+1=", &text] {
        if let Ok(ids) = tokenizer.encode_text(text) {
            let _ = tokenizer.decode(&ids, false);
        }
        let _ = tokenizer.encode_template(text);
    }
    let _ = tokenizer.files();
});
