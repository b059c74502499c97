//! The numbers of a stage that a controller may turn while it runs.

use std::collections::BTreeMap;

use regimen_base::{Persist, State, StateError};

/// Knobs by path relative to the stage (`lr`, `stream.rl.weight`, `stream.rl.objective.kl.coef`), with the value that
/// the recipe gave them and the one they have now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Knobs(BTreeMap<String, f64>);

impl Knobs {
    /// Knobs at the values of the recipe.
    pub fn new(values: BTreeMap<String, f64>) -> Self {
        Self(values)
    }

    /// The knob's present value; `fallback` for a number that the recipe left out.
    pub fn get(&self, path: &str, fallback: f64) -> f64 {
        self.0.get(path).copied().unwrap_or(fallback)
    }

    /// Turns a knob.
    pub fn set(&mut self, path: &str, value: f64) {
        self.0.insert(path.to_owned(), value);
    }

    /// The knobs whose path starts with `prefix`, without it.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        self.0.iter().filter_map(move |(path, &value)| Some((path.strip_prefix(prefix)?, value)))
    }
}

impl Persist for Knobs {
    fn save(&self) -> State {
        let mut state = State::new();
        for (path, &value) in &self.0 {
            state = state.with(path, value);
        }
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let paths: Vec<String> = state.facts.keys().cloned().collect();
        for path in paths {
            let value = state.take_f64(&path)?;
            self.0.insert(path, value);
        }
        state.finish()
    }
}
