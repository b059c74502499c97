//! Where examples come from: files and tasks.

mod choose;
mod file;
mod holdout;
mod task;

use regimen_base::{Result, Split};

use crate::Example;

pub use file::FileSource;
pub use task::TaskSource;

/// A numbered series of examples for each split. `get` is pure: the same index gives the same example, always.
pub trait Source: Send + Sync {
    /// Its position in the [`crate::Catalogue`], which the ids of its examples carry.
    fn number(&self) -> u32;
    /// What messages call it: a path or a task.
    fn name(&self) -> &str;
    /// How many examples the split has; `None` for no end.
    fn len(&self, split: Split) -> Option<u64>;
    /// Whether the split has nothing.
    fn is_empty(&self, split: Split) -> bool {
        self.len(split) == Some(0)
    }
    /// The example at `index`.
    ///
    /// # Errors
    /// `index` is past the end.
    fn get(&self, index: u64, split: Split) -> Result<Example>;
    /// Where the example stands, for messages: `a.jsonl:12`, `countdown#7`.
    fn place(&self, index: u64, split: Split) -> String;
    /// Whether its rows come from files, and not from a task.
    fn is_in_files(&self) -> bool {
        false
    }
    /// A hash of what an example says, where it is known without looking.
    fn fingerprint(&self, _index: u64, _split: Split) -> Option<u64> {
        None
    }
    /// One line about the source: what was detected, how much there is.
    fn describe(&self) -> String;
}
