//! Any bytes as Parquet.
#![no_main]

use std::path::Path;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use regimen_base::Split;
use regimen_data::{FileSource, InMemory, ReadOptions, Source};

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // the reader turns panics of the parquet crate into errors; libFuzzer's hook would end the process before that
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let files = InMemory::new().with("a.parquet", bytes);
    if let Ok(source) = FileSource::open(0, Path::new("a.parquet"), &files, &ReadOptions::default()) {
        for index in 0..source.len(Split::Train).unwrap_or(0).min(64) {
            source.get(index, Split::Train).expect("the row was there");
        }
    }
});
