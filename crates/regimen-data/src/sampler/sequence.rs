//! In the order of the files, again from the start at the end.

use regimen_base::{Key, Persist, Result, Split, State, StateError};

use super::{Draw, Sampler};
use crate::{Catalogue, Ledger};

/// All sources end to end, in order; a last source without end is never left.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    position: u64,
}

impl Sampler for Sequence {
    fn draw(&mut self, n: usize, catalogue: &Catalogue, _: &Ledger, _: Key) -> Result<Vec<Draw>> {
        let total = catalogue.total(Split::Train);
        if total == Some(0) {
            return Err(super::nothing(catalogue));
        }
        let draws = (self.position..self.position + n as u64).filter_map(|p| {
            let (view, at) = total.map_or((0, p), |total| (p / total, p % total));
            catalogue.at(at, Split::Train).map(|id| Draw { id, view, weight: 1.0 })
        });
        let draws = draws.collect();
        self.position += n as u64;
        Ok(draws)
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn seek(&mut self, position: u64, _: &Catalogue, _: Key) -> Result<()> {
        self.position = position;
        Ok(())
    }
}

impl Persist for Sequence {
    fn save(&self) -> State {
        State::new().with("position", self.position)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        self.position = state.take_u64("position")?;
        state.finish()
    }
}
