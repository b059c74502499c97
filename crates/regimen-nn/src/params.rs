//! A net's weights on the host: one flat vector, its layout, and which parameters train. Matrices that do not train may
//! be held in 16 bits beside it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use regimen_base::{Persist, State, StateError};
use regimen_kernels::{Half, Weights};
use serde_json::Value;

use crate::layout::{Entry, Layout};

/// The weights of a net.
#[derive(PartialEq, Debug)]
pub struct Params {
    layout: Layout,
    /// All weights. What `narrow` holds is never touched here, and the system gives no memory for it.
    flat: Vec<f32>,
    narrow: Option<Narrow>,
    train: Vec<bool>,
}

/// Matrices in 16 bits, at the places that they have in the flat vector. Copies of a net share them.
#[derive(Clone, PartialEq, Debug)]
struct Narrow {
    half: Half,
    bits: Arc<Vec<u16>>,
}

impl Params {
    /// Weights that are all 0 and all train.
    pub fn zeros(layout: Layout) -> Self {
        Self::zeros_in(layout, None)
    }

    /// The same with [matrices](Entry::can_be_half) in 16 bits: they must not train, see [`Params::half_that_trains`].
    pub fn zeros_in(layout: Layout, half: Option<Half>) -> Self {
        let len = layout.entries().iter().rfind(|e| e.can_be_half()).map_or(0, |e| e.range.end);
        let narrow = half.map(|half| Narrow { half, bits: Arc::new(vec![0; len]) });
        Self { flat: vec![0.0; layout.len()], narrow, train: vec![true; layout.entries().len()], layout }
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

    /// What matrices are held in, when not in f32.
    pub fn half(&self) -> Option<Half> {
        self.narrow.as_ref().map(|narrow| narrow.half)
    }

    /// A parameter in 16 bits that is set to train, which it cannot.
    pub fn half_that_trains(&self) -> Option<&str> {
        let mut entries = self.layout.entries().iter().zip(&self.train);
        entries.find(|(e, train)| **train && self.is_half(e)).map(|(e, _)| e.path.as_str())
    }

    fn is_half(&self, entry: &Entry) -> bool {
        self.narrow.is_some() && entry.can_be_half()
    }

    /// All weights, for the engine.
    pub fn weights(&self) -> Weights<'_> {
        match &self.narrow {
            Some(narrow) => Weights::with_half(&self.flat, narrow.half, &narrow.bits),
            None => Weights::from(&self.flat),
        }
    }

    /// All weights as one vector.
    ///
    /// # Panics
    /// When some are in 16 bits.
    pub fn flat(&self) -> &[f32] {
        self.full(0..self.len())
    }

    /// All weights, to change.
    ///
    /// # Panics
    /// When some are in 16 bits.
    pub fn flat_mut(&mut self) -> &mut [f32] {
        self.full_mut(0..self.len())
    }

    /// A part of the flat vector.
    ///
    /// # Panics
    /// When some of it is in 16 bits.
    pub fn full(&self, range: Range<usize>) -> &[f32] {
        self.assert_full(&range);
        &self.flat[range]
    }

    /// A part of the flat vector, to change.
    ///
    /// # Panics
    /// When some of it is in 16 bits.
    pub fn full_mut(&mut self, range: Range<usize>) -> &mut [f32] {
        self.assert_full(&range);
        &mut self.flat[range]
    }

    fn assert_full(&self, range: &Range<usize>) {
        let mut entries = self.layout.entries().iter().filter(|_| self.narrow.is_some());
        let half =
            entries.find(|e| self.is_half(e) && e.range.start < range.end && range.start < e.range.end);
        assert!(half.is_none(), "{} is in 16 bits", half.map_or("", |e| &e.path));
    }

    pub(crate) fn parts_mut(&mut self) -> (&Layout, &mut [f32]) {
        self.assert_full(&(0..self.len()));
        (&self.layout, &mut self.flat)
    }

    /// Numbers of one parameter, widened where they are in 16 bits.
    pub(crate) fn read(&self, entry: &Entry, part: Range<usize>) -> Cow<'_, [f32]> {
        let at = entry.range.start + part.start..entry.range.start + part.end;
        match &self.narrow {
            Some(Narrow { half, bits }) if entry.can_be_half() => {
                bits[at].iter().map(|b| half.widen(*b)).collect()
            }
            _ => Cow::Borrowed(&self.flat[at]),
        }
    }

    /// Sets numbers of one parameter from `start` on, rounded where they are held in 16 bits.
    pub(crate) fn write(&mut self, path: &str, start: usize, numbers: &[f32]) {
        let entry = self.layout.find(path).expect("the names belong to the layout");
        let at = entry.range.start + start..entry.range.start + start + numbers.len();
        match &mut self.narrow {
            Some(Narrow { half, bits }) if entry.can_be_half() => {
                let bits = &mut Arc::make_mut(bits)[at];
                bits.iter_mut().zip(numbers).for_each(|(b, x)| *b = half.narrow(*x));
            }
            _ => self.flat[at].copy_from_slice(numbers),
        }
    }

    /// Weights that begin with those of `base`, whose layout is the beginning of this one; the rest is 0.
    pub(crate) fn beginning_with(base: &Self, layout: Layout) -> Self {
        let mut params = Self::zeros(layout);
        params.begin_with(base);
        params
    }

    /// Takes over the weights of a net whose layout is the beginning of this one. Matrices in 16 bits are shared.
    pub(crate) fn begin_with(&mut self, base: &Self) {
        self.narrow.clone_from(&base.narrow);
        for entry in base.layout.entries().iter().filter(|e| !base.is_half(e)) {
            self.flat[entry.range.clone()].copy_from_slice(&base.flat[entry.range.clone()]);
        }
    }

    /// One parameter, widened where it is in 16 bits.
    pub fn get(&self, path: &str) -> Option<Cow<'_, [f32]>> {
        self.layout.find(path).map(|entry| self.read(entry, 0..entry.range.len()))
    }

    /// One parameter, to change.
    ///
    /// # Panics
    /// When it is in 16 bits.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut [f32]> {
        let range = self.layout.find(path)?.range.clone();
        Some(self.full_mut(range))
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

impl Clone for Params {
    fn clone(&self) -> Self {
        let mut copy = Self::beginning_with(self, self.layout.clone());
        copy.train.clone_from(&self.train);
        copy
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
            state = state.with_array(&entry.path, self.read(entry, 0..entry.range.len()).into_owned());
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
        for Entry { path, range, .. } in self.layout.entries().to_vec() {
            let array = state.take_array(&path, range.len())?;
            self.write(&path, 0, &array);
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
        assert_eq!(p.get("b.weight").as_deref(), Some(&[4.0, 5.0, 6.0][..]));
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
    fn matrices_in_16_bits_are_read_rounded_and_never_as_zeros() {
        let wide = params();
        let mut p = Params::zeros_in(wide.layout().clone(), Some(Half::Bf16));
        p.write("a.weight", 0, &[0.1, 1.0, -2.0]);
        p.write("b.weight", 1, &[0.1]);
        assert_eq!(p.get("a.weight").as_deref(), Some(&[0.100_097_656, 1.0, -2.0, 0.0][..]));
        assert_eq!(p.full(4..10), [0.0, 0.1, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(p.half_that_trains(), Some("a.weight"));
        p.set_train("a.*", false);
        assert_eq!((p.half_that_trains(), p.train_ranges()), (None, std::iter::once(4..10).collect()));
        let copy = p.clone();
        assert!(
            copy == p && Arc::ptr_eq(&copy.narrow.as_ref().unwrap().bits, &p.narrow.as_ref().unwrap().bits)
        );
        p.write("a.weight", 0, &[7.0]);
        assert_eq!(copy.get("a.weight").map(|w| w[0]), Some(0.100_097_656), "a copy keeps what it had");
        assert!(std::panic::catch_unwind(|| copy.flat().len()).is_err());
        let mut fresh = Params::zeros_in(wide.layout().clone(), Some(Half::Bf16));
        assert_eq!(fresh.load(copy.save()), Ok(()));
        assert_eq!(fresh, copy);
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
