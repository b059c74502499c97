//! Any bytes as JSONL, JSON, CSV and text, with every schema. A row that was seen is the same when it is read again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use regimen_base::Split;
use regimen_data::{FileSource, InMemory, ReadOptions, Schema, Source, TextSplit};

const SCHEMAS: [&str; 9] = [
    "text", "messages", "conversations", "prompt-completion", "instruction", "preference", "stepwise", "tokens", "prompt",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let name = ["a.jsonl", "a.json", "a.csv", "a.txt"][usize::from(first % 4)];
    let schema: Option<Schema> = SCHEMAS.get(usize::from(first / 4)).and_then(|s| s.parse().ok());
    let text = [TextSplit::Auto, TextSplit::BlankLines, TextSplit::Bytes(7)][usize::from(first % 3)];
    let files = InMemory::new().with(name, bytes);
    let options = ReadOptions { schema, text, eval: 0.1, max_line_bytes: 4096, ..ReadOptions::default() };
    let Ok(source) = FileSource::open(0, Path::new(name), &files, &options) else { return };
    for split in [Split::Train, Split::Eval] {
        for index in 0..source.len(split).unwrap_or(0) {
            source.get(index, split).expect("the row was there");
            assert!(!source.place(index, split).is_empty());
        }
    }
});
