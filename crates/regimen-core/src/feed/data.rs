//! Batches of static data: draws, transformed into units.

use std::collections::VecDeque;

use regimen_base::{Error, Persist, Result, ResultExt, Split, State, StateError};
use regimen_data::{Body, Example, ExampleId};
use regimen_data::{Notes, Transform, apply_all};

use super::supply::Supply;
use crate::picks::Unit;

/// After so many draws without a single token to learn, the masks are taken to be broken.
const MOST_EMPTY: usize = 1000;

/// A stream of static data.
pub struct DataFeed {
    /// Where examples come from.
    pub supply: Supply,
    /// What is done to them.
    pub transforms: Vec<Box<dyn Transform>>,
    /// Units in an optimiser batch.
    pub batch: usize,
    /// The longest sequence the net can read.
    pub context: usize,
    /// What the transforms dropped.
    pub notes: Notes,
    /// Units of the newest draw that wait for the next batch, that draw's position, and how many of its units are out.
    waiting: VecDeque<Unit>,
    position: u64,
    taken: u64,
}

impl DataFeed {
    /// A feed at its beginning.
    pub fn new(supply: Supply, transforms: Vec<Box<dyn Transform>>, batch: usize, context: usize) -> Self {
        Self {
            supply,
            transforms,
            batch,
            context,
            notes: Notes::default(),
            waiting: VecDeque::new(),
            position: 0,
            taken: 0,
        }
    }

    /// The next batch.
    ///
    /// # Errors
    /// Unreadable rows, sequences that do not fit, data without anything to learn.
    pub fn next(&mut self, step: u64) -> Result<Vec<Unit>> {
        let mut units = Vec::with_capacity(self.batch);
        let mut empty = 0;
        while units.len() < self.batch {
            if self.waiting.is_empty() {
                self.refill()?;
                empty = if self.waiting.is_empty() { empty + 1 } else { 0 };
                if empty > MOST_EMPTY {
                    return Err(Error::data(format!(
                        "{MOST_EMPTY} examples in a row have no token to learn from"
                    ))
                    .remedy(
                        "check the transforms: a mask of 0 % trains nothing (`regimen check` shows the rows)",
                    ));
                }
                continue;
            }
            if let Some(unit) = self.waiting.pop_front() {
                self.taken += 1;
                self.supply.ledger.record(unit.example, unit.tokens.len() as u64, step);
                units.push(unit);
            }
        }
        Ok(units)
    }

    /// Looks at up to `n` examples, evenly spread, without touching the feed: how many were looked at, the units they
    /// make, and the tokens of these.
    ///
    /// # Errors
    /// Unreadable rows.
    pub fn probe(&self, n: u64) -> Result<(u64, u64, u64)> {
        let (mut seen, mut units, mut tokens) = (0, 0, 0);
        let sources = self.supply.catalogue.sources();
        for (s, source) in sources.iter().enumerate() {
            let len = source.len(Split::Train).unwrap_or(n);
            let take = (n / sources.len() as u64).clamp(1, len.max(1)).min(len);
            for i in 0..take {
                let id = ExampleId { source: s as u32, index: i * len / take };
                let example = self.supply.catalogue.get(id, Split::Train)?;
                let key = self.supply.key.child("probe").at(i);
                let done = apply_all(&self.transforms, example, key, &mut Notes::default());
                for done in done.within(|| source.place(id.index, Split::Train))? {
                    for sequence in done.body.sequences() {
                        units += 1;
                        tokens += sequence.len() as u64;
                    }
                }
                seen += 1;
            }
        }
        Ok((seen, units, tokens))
    }

    fn refill(&mut self) -> Result<()> {
        self.position = self.supply.sampler.position();
        self.taken = 0;
        let (draw, example) = self.supply.draw()?;
        let key = self.supply.view_key(&draw);
        let place = || self.supply.catalogue.place(draw.id, Split::Train);
        for example in apply_all(&self.transforms, example, key, &mut self.notes).within(place)? {
            let unit = self.unit(example, draw.weight)?;
            if unit.tokens.iter().skip(1).any(|t| t.weight != 0.0) {
                self.waiting.push_back(unit);
            }
        }
        Ok(())
    }

    fn unit(&self, example: Example, weight: f32) -> Result<Unit> {
        let id = example.id;
        let place = || self.supply.catalogue.place(id, Split::Train);
        let Body::Tokens(tokens) = example.body else {
            return Err(Error::usage(format!(
                "the transforms of this stream leave {} without tokens",
                place()
            ))
            .remedy("end them with `chat` (conversations) or `text` (plain text)"));
        };
        if tokens.len() > self.context {
            return Err(Error::data(format!("{} has {} tokens; the context is {}", place(), tokens.len(), self.context))
                .remedy("add { kind = \"max-length\" } or { kind = \"chunk\" } to the transforms, or raise `max-positions`"));
        }
        Ok(Unit { example: id, tokens, weight, advantage: None })
    }
}

impl Persist for DataFeed {
    fn save(&self) -> State {
        // where the newest draw still has units to give, the cursor points at that draw, not behind it
        let (position, taken) = if self.waiting.is_empty() {
            (self.supply.sampler.position(), 0)
        } else {
            (self.position, self.taken)
        };
        let mut state = State::new().with("position", position).with("taken", taken);
        state.nest("ledger", self.supply.ledger.save());
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let (position, taken) = (state.take_u64("position")?, state.take_u64("taken")?);
        self.supply.ledger.load(state.take_nested("ledger"))?;
        let key = self.supply.key.child("sampler");
        let wrong = |e: Error| StateError(e.to_string());
        self.supply.sampler.seek(position, &self.supply.catalogue, key).map_err(wrong)?;
        self.waiting.clear();
        if taken > 0 {
            self.refill().map_err(wrong)?;
            if self.waiting.len() as u64 <= taken {
                return Err(StateError(
                    "the data are not those that the checkpoint was made with".to_owned(),
                ));
            }
            self.waiting.drain(..taken as usize);
            self.taken = taken;
        }
        state.finish()
    }
}
