//! Batches of static data: draws, transformed into units.

use std::collections::VecDeque;

use regimen_base::{Error, Key, Persist, Result, ResultExt, Split, State, StateError};
use regimen_data::{Body, Draw, Example, ExampleId, Goal};
use regimen_data::{Notes, Transform, apply_all};

use super::memory::{Kept, Memory, Recalled};
use super::supply::Supply;
use crate::picks::{Content, Side, Unit};

/// After so many draws without a single token to learn, the masks are taken to be broken.
const MOST_EMPTY: usize = 1000;

/// What stays together in a batch: a document, or the two sides of a preference.
type Row = Vec<Unit>;

/// A stream of static data.
pub struct DataFeed {
    /// Where examples come from.
    pub supply: Supply,
    /// What is done to them.
    pub transforms: Vec<Box<dyn Transform>>,
    /// Examples in an optimiser batch; the two sides of a preference count as one.
    pub batch: usize,
    /// The longest sequence the net can read.
    pub context: usize,
    /// What the transforms dropped.
    pub notes: Notes,
    /// Rows of the newest draw that wait for the next batch, that draw's position, and how many of its rows are out.
    waiting: VecDeque<Row>,
    position: u64,
    taken: u64,
    /// The view of the newest draw.
    view: u64,
    /// What is kept of the stream, to be brought back.
    pub memory: Option<Memory>,
    /// The examples of the batch that was given last, until the memory has met them.
    fresh: Vec<(ExampleId, u64)>,
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
            view: 0,
            memory: None,
            fresh: Vec::new(),
        }
    }

    /// The next batch.
    ///
    /// # Errors
    /// Unreadable rows, sequences that do not fit, data without anything to learn.
    pub fn next(&mut self, step: u64) -> Result<Vec<Unit>> {
        let mut units = Vec::with_capacity(self.batch);
        self.fresh.clear();
        let (mut rows, mut empty) = (0, 0);
        while rows < self.batch {
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
            if let Some(row) = self.waiting.pop_front() {
                self.taken += 1;
                rows += 1;
                let tokens = row.iter().map(|u| u.size() as u64).sum();
                self.supply.ledger.record(row[0].example, tokens, step);
                self.fresh.push((row[0].example, self.view));
                units.extend(row);
            }
        }
        Ok(units)
    }

    /// What comes back from the memory beside the batch of `step`, each with the path that is to read it; then the memory
    /// meets the batch, which `path` reads.
    ///
    /// # Errors
    /// Unreadable rows.
    pub fn recall(&mut self, step: u64, path: usize) -> Result<Vec<(Unit, usize)>> {
        let Some(memory) = &self.memory else { return Ok(Vec::new()) };
        let key = self.supply.key.child("memory").at(step);
        let (goal, reader) = (memory.goal, memory.path.unwrap_or(path));
        let mut units = Vec::new();
        for kept in memory.draw(key.child("recall")) {
            let mut example = self.supply.catalogue.get(kept.id, Split::Train)?;
            example.view = kept.view;
            let draw = Draw { id: kept.id, view: kept.view, weight: 1.0 };
            let rows = self.rows(example, 1.0, self.supply.view_key(&draw), &mut Notes::default())?;
            for mut unit in rows.into_iter().flatten() {
                if let (Recalled::Path, Content::Features(features)) = (goal, &mut unit.content) {
                    features.goal = Goal::Class(kept.path as u32);
                }
                units.push((unit, reader));
            }
        }
        if let Some(memory) = &mut self.memory {
            for (i, &(id, view)) in self.fresh.iter().enumerate() {
                memory.meet(Kept { id, view, path }, key.child("meet").at(i as u64));
            }
        }
        Ok(units)
    }

    /// Looks at up to `n` examples, evenly spread, without touching the feed: how many were looked at, the rows they
    /// make, and the tokens of these.
    ///
    /// # Errors
    /// Unreadable rows.
    pub fn probe(&self, n: u64) -> Result<(u64, u64, u64)> {
        let (mut seen, mut rows, mut tokens) = (0, 0, 0);
        let sources = self.supply.catalogue.sources();
        for (s, source) in sources.iter().enumerate() {
            let len = source.len(Split::Train).unwrap_or(n);
            let take = (n / sources.len() as u64).clamp(1, len.max(1)).min(len);
            for i in 0..take {
                let id = ExampleId { source: s as u32, index: i * len / take };
                let example = self.supply.catalogue.get(id, Split::Train)?;
                let key = self.supply.key.child("probe").at(i);
                for row in self.rows(example, 1.0, key, &mut Notes::default())? {
                    rows += 1;
                    tokens += row.iter().map(|u| u.size() as u64).sum::<u64>();
                }
                seen += 1;
            }
        }
        Ok((seen, rows, tokens))
    }

    /// Whether the data are preferences, by the first example that has anything to learn.
    ///
    /// # Errors
    /// Unreadable rows.
    pub fn has_pairs(&self) -> Result<bool> {
        for (s, source) in self.supply.catalogue.sources().iter().enumerate() {
            let len = source.len(Split::Train).unwrap_or(1);
            for index in 0..len.min(MOST_EMPTY as u64) {
                let id = ExampleId { source: s as u32, index };
                let example = self.supply.catalogue.get(id, Split::Train)?;
                let rows = self.rows(example, 1.0, self.supply.key.child("probe"), &mut Notes::default())?;
                if let Some(row) = rows.first() {
                    return Ok(row.len() == 2);
                }
            }
        }
        Ok(false)
    }

    fn refill(&mut self) -> Result<()> {
        self.position = self.supply.sampler.position();
        self.taken = 0;
        let (draw, example) = self.supply.draw()?;
        self.view = draw.view;
        let mut notes = std::mem::take(&mut self.notes);
        let rows = self.rows(example, draw.weight, self.supply.view_key(&draw), &mut notes);
        self.notes = notes;
        self.waiting.extend(rows?);
        Ok(())
    }

    /// The rows of an example that have something to learn.
    fn rows(&self, example: Example, weight: f32, key: Key, notes: &mut Notes) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let id = example.id;
        let place = || self.supply.catalogue.place(id, Split::Train);
        for example in apply_all(&self.transforms, example, key, notes).within(place)? {
            let of = |content, side| Unit { example: id, content, weight, advantage: None, side };
            let unit = |tokens, side| of(Content::Tokens(tokens), side);
            let row = match example.body {
                Body::Tokens(tokens) => vec![unit(tokens, None)],
                Body::Pair { chosen, rejected } => {
                    vec![unit(chosen, Some(Side::Chosen)), unit(rejected, Some(Side::Rejected))]
                }
                Body::Features(features) => vec![of(Content::Features(features), None)],
                _ => return Err(self.without_tokens(id)),
            };
            self.must_fit(&row)?;
            rows.push(row);
        }
        rows.retain(|row| row.iter().all(learns));
        Ok(rows)
    }

    fn without_tokens(&self, id: ExampleId) -> Error {
        let place = self.supply.catalogue.place(id, Split::Train);
        Error::usage(format!("the transforms of this stream leave {place} without tokens"))
            .remedy("end them with `chat` (conversations) or `text` (plain text)")
    }

    fn must_fit(&self, row: &[Unit]) -> Result<()> {
        let Some(long) = row.iter().find(|unit| unit.tokens().len() > self.context) else { return Ok(()) };
        let place = self.supply.catalogue.place(long.example, Split::Train);
        let what = format!("{place} has {} tokens; the context is {}", long.tokens().len(), self.context);
        Err(Error::data(what).remedy(
            "add { kind = \"max-length\" } or { kind = \"chunk\" } to the transforms, or raise `max-positions`",
        ))
    }
}

/// Whether anything of a unit carries loss.
fn learns(unit: &Unit) -> bool {
    unit.places() > 0
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
        if let Some(memory) = &self.memory {
            state.nest("memory", memory.save());
        }
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let (position, taken) = (state.take_u64("position")?, state.take_u64("taken")?);
        self.supply.ledger.load(state.take_nested("ledger"))?;
        if let Some(memory) = &mut self.memory {
            memory.load(state.take_nested("memory"))?;
        }
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
