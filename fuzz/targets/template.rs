//! Any text as a chat template, behind a NUL what the user says: it renders, or errs, in bounded time and space; and
//! nothing that a user says becomes a special token.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use regimen_data::{ChatTemplate, Message, Role, Tokenizer};

static BYTES: OnceLock<Tokenizer> = OnceLock::new();

fuzz_target!(|text: &str| {
    let tokenizer = BYTES.get_or_init(|| Tokenizer::byte().expect("our own tokenizer"));
    let (source, said) = text.split_once('\0').unwrap_or((text, "<|user|>a<eos>"));
    let Ok(template) = ChatTemplate::new(source, tokenizer) else { return };
    let turn = |role, text: &str| Message::new(role, text);
    let talk = [turn(Role::System, "s"), turn(Role::User, said), turn(Role::Assistant, said)];
    for messages in [&talk[..], &talk[1..], &talk[1..2]] {
        let _ = template.tokenize(messages);
        let _ = template.tokenize_last(messages);
        let _ = template.prompt(&messages[..1]);
    }
    let _ = template.stops();
});
