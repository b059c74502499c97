//! What the runs of all arms and seeds gave.

use std::collections::{BTreeMap, BTreeSet};

use regimen_base::{Error, Result};

use crate::Curve;

/// One reading of one run.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// A number at the end. It may be NaN: a claim that needs it then stays open, and says so.
    Value(f64),
    /// A curve over training.
    Curve(Curve),
}

/// Readings by arm, seed and metric.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Table(BTreeMap<String, BTreeMap<u64, BTreeMap<String, Cell>>>);

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one reading. An error if the run has it already.
    pub fn insert(&mut self, arm: &str, seed: u64, metric: &str, cell: Cell) -> Result<()> {
        let run = self.0.entry(arm.to_owned()).or_default().entry(seed).or_default();
        if run.insert(metric.to_owned(), cell).is_some() {
            return Err(Error::failed(format!("arm `{arm}`, seed {seed} has `{metric}` twice")));
        }
        Ok(())
    }

    /// All readings of one run; `None` if it was not run.
    pub fn run(&self, arm: &str, seed: u64) -> Option<&BTreeMap<String, Cell>> {
        self.0.get(arm)?.get(&seed)
    }

    /// The arms, by name.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The seeds of one arm, rising.
    pub fn seeds(&self, arm: &str) -> impl Iterator<Item = u64> {
        self.0.get(arm).into_iter().flat_map(|seeds| seeds.keys().copied())
    }

    /// The seeds that any arm has.
    pub fn all_seeds(&self) -> BTreeSet<u64> {
        self.0.values().flat_map(|seeds| seeds.keys().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_given_once() {
        let mut table = Table::new();
        table.insert("a", 3, "loss", Cell::Value(1.0)).expect("new");
        table.insert("b", 1, "loss", Cell::Value(1.0)).expect("new");
        assert!(table.insert("a", 3, "loss", Cell::Value(1.0)).is_err());
        assert_eq!(table.arms().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(table.seeds("a").collect::<Vec<_>>(), [3]);
        assert_eq!(table.seeds("c").count(), 0);
        assert_eq!(table.all_seeds().into_iter().collect::<Vec<_>>(), [1, 3]);
        assert!(table.run("a", 4).is_none());
    }
}
