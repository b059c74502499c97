//! What a piece with state writes into a checkpoint, and reads back.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Saved state: small facts as JSON (integers and floats keep every bit), arrays as tensors.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// Counters, cursors, names.
    pub facts: BTreeMap<String, Value>,
    /// Moments, buffers.
    pub arrays: BTreeMap<String, Vec<f32>>,
}

impl State {
    /// A state without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an array.
    #[must_use]
    pub fn with_array(mut self, name: &str, array: Vec<f32>) -> Self {
        self.arrays.insert(name.to_owned(), array);
        self
    }

    /// Puts `inner` under `prefix`, as `prefix/name`.
    pub fn nest(&mut self, prefix: &str, inner: Self) {
        for (name, value) in inner.facts {
            self.facts.insert(format!("{prefix}/{name}"), value);
        }
        for (name, array) in inner.arrays {
            self.arrays.insert(format!("{prefix}/{name}"), array);
        }
    }

    /// Takes out what [`State::nest`] put under `prefix`.
    #[must_use]
    pub fn take_nested(&mut self, prefix: &str) -> Self {
        let lead = format!("{prefix}/");
        let mut inner = Self::new();
        let names: Vec<String> = self.facts.keys().filter(|n| n.starts_with(&lead)).cloned().collect();
        for name in names {
            if let Some(value) = self.facts.remove(&name) {
                inner.facts.insert(name[lead.len()..].to_owned(), value);
            }
        }
        let names: Vec<String> = self.arrays.keys().filter(|n| n.starts_with(&lead)).cloned().collect();
        for name in names {
            if let Some(array) = self.arrays.remove(&name) {
                inner.arrays.insert(name[lead.len()..].to_owned(), array);
            }
        }
        inner
    }

    /// Takes a counter out.
    pub fn take_u64(&mut self, name: &str) -> Result<u64, StateError> {
        self.take(name)?.as_u64().ok_or_else(|| StateError::wrong(name, "a count"))
    }

    /// Takes a number out.
    pub fn take_f64(&mut self, name: &str) -> Result<f64, StateError> {
        self.take(name)?.as_f64().ok_or_else(|| StateError::wrong(name, "a number"))
    }

    /// Takes a text out.
    pub fn take_string(&mut self, name: &str) -> Result<String, StateError> {
        self.take(name)?.as_str().map(str::to_owned).ok_or_else(|| StateError::wrong(name, "a text"))
    }

    /// Takes any fact out.
    pub fn take(&mut self, name: &str) -> Result<Value, StateError> {
        self.facts.remove(name).ok_or_else(|| StateError(format!("the saved state has no `{name}`")))
    }

    /// Takes an array of exactly `len` numbers out.
    pub fn take_array(&mut self, name: &str, len: usize) -> Result<Vec<f32>, StateError> {
        let array = self
            .arrays
            .remove(name)
            .ok_or_else(|| StateError(format!("the saved state has no array `{name}`")))?;
        if array.len() == len {
            Ok(array)
        } else {
            Err(StateError(format!(
                "array `{name}` of the saved state has {} numbers, not {len}",
                array.len()
            )))
        }
    }

    /// Errs when something was left untaken: state that nobody reads is a sign of another program's checkpoint.
    pub fn finish(self) -> Result<(), StateError> {
        match self.facts.keys().chain(self.arrays.keys()).next() {
            None => Ok(()),
            Some(name) => Err(StateError(format!("nothing reads `{name}` of the saved state"))),
        }
    }
}

/// A saved state that does not fit the piece that reads it.
#[derive(Clone, PartialEq, Debug)]
pub struct StateError(pub String);

impl StateError {
    fn wrong(name: &str, wanted: &str) -> Self {
        Self(format!("`{name}` of the saved state is not {wanted}"))
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StateError {}

/// A piece whose state belongs into the checkpoint. There are no default bodies: forgetting state is a compile error,
/// and a piece without state says so with an empty [`State`].
pub trait Persist {
    /// Everything that a later `load` needs to go on as if nothing had happened.
    fn save(&self) -> State;
    /// Takes all of `state`; call [`State::finish`] at the end.
    fn load(&mut self, state: State) -> Result<(), StateError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_goes_both_ways() {
        let inner = State::new().with("step", 3u64).with_array("m", vec![1.0, 2.0]);
        let mut outer = State::new().with("step", 9u64);
        outer.nest("sampler", inner.clone());
        assert_eq!(outer.take_nested("sampler"), inner);
        assert_eq!(outer.take_u64("step"), Ok(9));
        assert_eq!(outer.finish(), Ok(()));
    }

    #[test]
    fn a_mismatch_is_told() {
        let mut s = State::new().with("step", "three").with_array("m", vec![1.0]);
        assert!(s.take_u64("step").is_err());
        assert!(s.take_array("m", 2).is_err());
        assert!(s.take_u64("gone").unwrap_err().0.contains("no `gone`"));
        assert!(State::new().with("left", 1u64).finish().is_err());
    }
}
