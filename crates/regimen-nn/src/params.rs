//! A net's weights on the host: one flat vector, its layout, and which parameters train.

use std::ops::Range;

use regimen_base::{Persist, State, StateError};
use serde_json::Value;

use crate::layout::Layout;

/// The weights of a net.
#[derive(Clone, PartialEq, Debug)]
pub struct Params {
    layout: Layout,
    flat: Vec<f32>,
    train: Vec<bool>,
}

impl Params {
    /// Weights that are all 0 and all train.
    pub fn zeros(layout: Layout) -> Self {
        Self { flat: vec![0.0; layout.len()], train: vec![true; layout.entries().len()], layout }
    }

    /// Names, shapes and places.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.flat.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty()
    }

    /// All weights.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// All weights, to change.
    pub fn flat_mut(&mut self) -> &mut [f32] {
        &mut self.flat
    }

    pub(crate) fn parts_mut(&mut self) -> (&Layout, &mut [f32]) {
        (&self.layout, &mut self.flat)
    }

    /// One parameter.
    pub fn get(&self, path: &str) -> Option<&[f32]> {
        self.layout.find(path).map(|entry| &self.flat[entry.range.clone()])
    }

    /// One parameter, to change.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut [f32]> {
        self.layout.find(path).map(|entry| &mut self.flat[entry.range.clone()])
    }

    /// Which of the layout's entries train.
    pub fn train(&self) -> &[bool] {
        &self.train
    }

    /// Whether the parameter called `path` trains; `false` when there is none.
    pub fn trains(&self, path: &str) -> bool {
        self.layout.position(path).is_some_and(|at| self.train[at])
    }

    /// Thaws (`on`) or freezes every parameter whose path fits `pattern`, an exact path or one with `*` for any run
    /// of characters. Returns how many fit, so that the caller can tell a pattern that fits nothing.
    pub fn set_train(&mut self, pattern: &str, on: bool) -> usize {
        let mut fits = 0;
        for (entry, train) in self.layout.entries().iter().zip(&mut self.train) {
            if matches(pattern, &entry.path) {
                *train = on;
                fits += 1;
            }
        }
        fits
    }

    /// The stretches of the flat vector that train, neighbours joined, in order.
    pub fn train_ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (entry, _) in self.layout.entries().iter().zip(&self.train).filter(|(_, train)| **train) {
            match ranges.last_mut() {
                Some(last) if last.end == entry.range.start => last.end = entry.range.end,
                _ => ranges.push(entry.range.clone()),
            }
        }
        ranges
    }
}

/// Whether `path` fits `pattern`, where `*` stands for any run of characters.
pub fn matches(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(tail) = path.strip_prefix(head) else { return false };
    tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))
}

impl Persist for Params {
    fn save(&self) -> State {
        let frozen = self.layout.entries().iter().zip(&self.train).filter(|(_, train)| !**train);
        let frozen: Vec<Value> = frozen.map(|(entry, _)| Value::from(entry.path.as_str())).collect();
        let mut state = State::new().with("frozen", frozen);
        for entry in self.layout.entries() {
            state = state.with_array(&entry.path, self.flat[entry.range.clone()].to_vec());
        }
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let frozen = state.take("frozen")?;
        let frozen = frozen
            .as_array()
            .ok_or_else(|| StateError("`frozen` of the saved state is not a list".to_owned()))?;
        self.train.fill(true);
        for path in frozen {
            let at = path.as_str().and_then(|path| self.layout.position(path));
            let at = at.ok_or_else(|| {
                StateError(format!("the saved state freezes {path}, which this net does not have"))
            })?;
            self.train[at] = false;
        }
        for entry in self.layout.entries() {
            let array = state.take_array(&entry.path, entry.range.len())?;
            self.flat[entry.range.clone()].copy_from_slice(&array);
        }
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let named = [("a.weight", vec![2, 2]), ("b.weight", vec![3]), ("b.bias", vec![1]), ("c", vec![2])];
        let mut params = Params::zeros(Layout::new(named.map(|(path, shape)| (path.to_owned(), shape))));
        for (i, w) in params.flat_mut().iter_mut().enumerate() {
            *w = i as f32;
        }
        params
    }

    #[test]
    fn paths_name_slices() {
        let mut p = params();
        assert_eq!(p.get("b.weight"), Some(&[4.0, 5.0, 6.0][..]));
        assert_eq!(p.get("d"), None);
        p.get_mut("c").expect("it is there")[1] = 50.0;
        assert_eq!(p.flat()[9], 50.0);
    }

    #[test]
    fn freezing_goes_by_pattern() {
        let mut p = params();
        assert_eq!(p.set_train("b.*", false), 2);
        assert_eq!(p.set_train("nothing*", false), 0);
        assert_eq!(p.train_ranges(), [0..4, 8..10]);
        assert_eq!(p.set_train("*", true), 4);
        assert_eq!(p.train_ranges(), std::iter::once(0..10).collect::<Vec<_>>());
        assert!(matches("*.weight", "a.weight") && matches("a*t", "a.weight") && !matches("a*x", "a.weight"));
    }

    #[test]
    fn saved_and_loaded_is_the_same() {
        let mut p = params();
        p.set_train("a.weight", false);
        let mut fresh = params();
        fresh.flat_mut().fill(0.0);
        assert_eq!(fresh.load(p.save()), Ok(()));
        assert_eq!(fresh, p);
        let mut foreign = p.save();
        foreign.arrays.insert("d".to_owned(), vec![]);
        assert!(fresh.load(foreign).is_err());
    }
}
