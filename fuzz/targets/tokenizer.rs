//! Any bytes as `tokenizer.json`; what loads encodes and decodes, and never makes special tokens of plain text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regimen_data::Tokenizer;

fuzz_target!(|bytes: &[u8]| {
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
