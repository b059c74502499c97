//! Examples, tokens, tasks, readers, tokenizers, transforms and samplers: everything between a file or a task and
//! the token ids of a batch.
//!
//! This crate reads bytes, never files: whoever calls it opens them (see [`Files`]).

mod catalogue;
mod columns;
mod example;
mod files;
mod ledger;
mod read;
pub mod sampler;
mod source;
pub mod task;
mod template;
mod tokenizer;
pub mod transform;

pub use catalogue::Catalogue;
pub use columns::{Columns, Detected, Schema};
pub use example::{Body, Example, ExampleId, Features, Goal, Message, Role, Token, Wanted, prompt_of};
pub use files::{Files, InMemory, Parts};
pub use ledger::{Ledger, Seen, Totals};
pub use read::{Place, ReadOptions, Row, Rows, TextSplit};
pub use sampler::{Draw, Sampler};
pub use source::{FileSource, Source, TaskSource};
pub use template::ChatTemplate;
pub use tokenizer::{DecodeStream, GgufVocabulary, Tokenizer, Unknown};
pub use transform::{Notes, Transform, apply_all};
