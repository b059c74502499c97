//! Sources in given proportions, each at its own pace.

use regimen_base::{Error, Key, Persist, Result, Split, State, StateError};
use serde_json::Value;

use super::{Draw, Permutation, Sampler};
use crate::{Catalogue, ExampleId, Ledger};

/// Draw `i` comes from the source that the key at `i` picks, with the probability of its weight. Inside a source the
/// order is [`super::Shuffle`]'s; a source without end is read on and on.
#[derive(Clone, Debug)]
pub struct Mix {
    weights: Vec<f64>,
    position: u64,
    cursors: Vec<u64>,
}

impl Mix {
    /// Weights of the sources, of any sum. Without any, sources count by their size, or all alike when one of them
    /// has no end.
    pub fn new(weights: Vec<f64>) -> Self {
        Self { weights, position: 0, cursors: Vec::new() }
    }

    /// Changes the weights from the next draw on; what was drawn stays drawn.
    pub fn reweigh(&mut self, weights: Vec<f64>) {
        self.weights = weights;
    }

    /// The border of each source's share in 0..1, ascending to 1.
    fn borders(&self, lens: &[Option<u64>]) -> Result<Vec<f64>> {
        let weights: Vec<f64> = match (&self.weights[..], lens.iter().copied().collect::<Option<Vec<u64>>>())
        {
            ([], Some(lens)) => lens.iter().map(|l| *l as f64).collect(),
            ([], None) => lens.iter().map(|l| if *l == Some(0) { 0.0 } else { 1.0 }).collect(),
            (weights, _) => weights.to_vec(),
        };
        check(&weights, lens)?;
        let sum: f64 = weights.iter().sum();
        let mut reached = 0.0;
        Ok(weights
            .iter()
            .map(|w| {
                reached += w;
                reached / sum
            })
            .collect())
    }

    /// The source of draw `at`.
    fn pick(borders: &[f64], key: Key, at: u64) -> usize {
        let x = key.child("mix").at(at).rng().f64();
        // past the last border only by rounding: then the last source that has a share
        borders.iter().position(|b| x < *b).unwrap_or_else(|| {
            (0..borders.len()).rev().find(|i| *i == 0 || borders[*i] > borders[*i - 1]).unwrap_or(0)
        })
    }
}

fn check(weights: &[f64], lens: &[Option<u64>]) -> Result<()> {
    if weights.len() != lens.len() {
        return Err(Error::usage(format!("{} weights for {} sources", weights.len(), lens.len()))
            .remedy("give one weight a source"));
    }
    if let Some(bad) = weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
        return Err(Error::usage(format!("{bad} is no weight")).remedy("weights are numbers from 0 up"));
    }
    if let Some(i) = (0..lens.len()).find(|i| weights[*i] > 0.0 && lens[*i] == Some(0)) {
        return Err(Error::data(format!("source {i} has a weight but no rows"))
            .remedy("check its data, or give it weight 0"));
    }
    if weights.iter().all(|w| *w == 0.0) {
        return Err(Error::usage("all weights are 0").remedy("give at least one source a weight above 0"));
    }
    Ok(())
}

impl Sampler for Mix {
    fn draw(&mut self, n: usize, catalogue: &Catalogue, _: &Ledger, key: Key) -> Result<Vec<Draw>> {
        let lens = catalogue.lens(Split::Train);
        let borders = self.borders(&lens)?;
        self.cursors.resize(lens.len(), 0);
        let mut orders: Vec<Option<(u64, Permutation)>> = lens.iter().map(|_| None).collect();
        let mut draws = Vec::with_capacity(n);
        for at in self.position..self.position + n as u64 {
            let source = Self::pick(&borders, key, at);
            let cursor = self.cursors[source];
            self.cursors[source] += 1;
            let (view, index) = match lens[source] {
                None => (0, cursor),
                Some(len) => {
                    let epoch = cursor / len;
                    let order = match &mut orders[source] {
                        Some((of, order)) if *of == epoch => order,
                        stale => {
                            let key = key.child("source").at(source as u64).at(epoch);
                            &mut stale.insert((epoch, Permutation::new(len, key))).1
                        }
                    };
                    (epoch, order.get(cursor % len))
                }
            };
            draws.push(Draw { id: ExampleId { source: source as u32, index }, view, weight: 1.0 });
        }
        self.position += n as u64;
        Ok(draws)
    }

    fn position(&self) -> u64 {
        self.position
    }

    /// Costs one hash for each position before; nothing is read. With weights that changed on the way, only the
    /// saved state leads to the right place.
    fn seek(&mut self, position: u64, catalogue: &Catalogue, key: Key) -> Result<()> {
        let lens = catalogue.lens(Split::Train);
        let borders = self.borders(&lens)?;
        self.cursors = vec![0; lens.len()];
        (0..position).for_each(|at| self.cursors[Self::pick(&borders, key, at)] += 1);
        self.position = position;
        Ok(())
    }
}

impl Persist for Mix {
    fn save(&self) -> State {
        State::new()
            .with("position", self.position)
            .with("cursors", self.cursors.clone())
            .with("weights", self.weights.clone())
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let position = state.take_u64("position")?;
        let cursors = numbers(state.take("cursors")?, "cursors", Value::as_u64)?;
        let weights = numbers(state.take("weights")?, "weights", Value::as_f64)?;
        state.finish()?;
        (self.position, self.cursors, self.weights) = (position, cursors, weights);
        Ok(())
    }
}

fn numbers<T>(value: Value, name: &str, number: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, StateError> {
    let list = value.as_array().and_then(|list| list.iter().map(number).collect::<Option<Vec<T>>>());
    list.ok_or_else(|| StateError(format!("`{name}` of the saved state is not a list of numbers")))
}
