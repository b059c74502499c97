//! Every example once an epoch, in a new order each epoch.

use regimen_base::{Key, Persist, Result, Split, State, StateError};

use super::{Draw, Permutation, Sampler, finite};
use crate::{Catalogue, Ledger};

/// A keyed permutation of all sources together, another one each epoch.
#[derive(Clone, Debug, Default)]
pub struct Shuffle {
    position: u64,
}

impl Sampler for Shuffle {
    fn draw(&mut self, n: usize, catalogue: &Catalogue, _: &Ledger, key: Key) -> Result<Vec<Draw>> {
        let total = finite(catalogue, "shuffle")?;
        let mut draws = Vec::with_capacity(n);
        let end = self.position + n as u64;
        while self.position < end {
            let epoch = self.position / total;
            let order = Permutation::new(total, key.child("shuffle").at(epoch));
            while self.position < end && self.position / total == epoch {
                let at = order.get(self.position % total);
                draws.extend(catalogue.at(at, Split::Train).map(|id| Draw { id, view: epoch, weight: 1.0 }));
                self.position += 1;
            }
        }
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

impl Persist for Shuffle {
    fn save(&self) -> State {
        State::new().with("position", self.position)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        self.position = state.take_u64("position")?;
        state.finish()
    }
}
