//! What transforms dropped or cut: counted, with the first few rows by name.

use std::collections::BTreeMap;
use std::fmt;

use crate::ExampleId;

/// How many rows a note names.
const NAMED: usize = 3;

/// Counts of what happened to examples on their way.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Notes {
    counts: BTreeMap<&'static str, u64>,
    first: BTreeMap<&'static str, Vec<ExampleId>>,
}

impl Notes {
    /// Nothing happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// `what` happened to an example.
    pub fn add(&mut self, what: &'static str, id: ExampleId) {
        *self.counts.entry(what).or_default() += 1;
        let first = self.first.entry(what).or_default();
        if first.len() < NAMED && !first.contains(&id) {
            first.push(id);
        }
    }

    /// Adds what others noted.
    pub fn merge(&mut self, other: Self) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        for (what, ids) in other.first {
            let first = self.first.entry(what).or_default();
            first.extend(ids);
            first.truncate(NAMED);
        }
    }

    /// How often each thing happened.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The first few examples that something happened to.
    pub fn first(&self, what: &str) -> &[ExampleId] {
        self.first.get(what).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (what, count)) in self.counts.iter().enumerate() {
            write!(f, "{}{count} examples {what}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
