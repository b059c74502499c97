//! Which examples come next. A sampler keeps cursors and nothing else: what stands at a position is computed from the
//! key, so any position can be reached without passing the ones before it.

mod mix;
mod permutation;
mod phases;
mod sequence;
mod shuffle;

use regimen_base::{Error, Key, Persist, Result, Split};

use crate::{Catalogue, ExampleId, Ledger};

pub use mix::Mix;
pub use permutation::Permutation;
pub use phases::{Phases, Recency};
pub use sequence::Sequence;
pub use shuffle::Shuffle;

/// One example to train on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Draw {
    /// Which example.
    pub id: ExampleId,
    /// How often the cursor has already been through the whole source: the epoch. Keys of random transforms contain
    /// it, so that each pass sees another view of an example.
    pub view: u64,
    /// What the loss weights of its tokens are multiplied with.
    pub weight: f32,
}

/// Chooses examples of the training split.
pub trait Sampler: Persist + Send {
    /// The next `n` draws. `key` is the stage's own, the same at every call; what depends on a position comes from
    /// the key at that position.
    ///
    /// # Errors
    /// The catalogue does not suit the sampler: nothing in it, no end where an end is needed.
    fn draw(&mut self, n: usize, catalogue: &Catalogue, ledger: &Ledger, key: Key) -> Result<Vec<Draw>>;
    /// How many draws there have been.
    fn position(&self) -> u64;
    /// Goes to where `position` draws would have led.
    fn seek(&mut self, position: u64, catalogue: &Catalogue, key: Key) -> Result<()>;
}

/// The number of training examples of all sources, which must end.
fn finite(catalogue: &Catalogue, sampler: &str) -> Result<u64> {
    match catalogue.total(Split::Train) {
        Some(0) => Err(nothing(catalogue)),
        Some(total) => Ok(total),
        None => Err(Error::usage(format!(
            "sampler `{sampler}` needs sources that end, and a task without `take` does not"
        ))
        .remedy("limit the task with `take`, or use the sampler `mix`")),
    }
}

fn nothing(catalogue: &Catalogue) -> Error {
    let names: Vec<_> = catalogue.sources().iter().map(|s| format!("`{}`", s.name())).collect();
    Error::data(format!("there is nothing to train on in {}", names.join(", "))).remedy("check the data")
}

#[cfg(test)]
mod tests;
