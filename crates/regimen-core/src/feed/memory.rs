//! A few of the examples that a stream has had, to be brought back.

use regimen_base::{Key, Persist, State, StateError};
use regimen_data::ExampleId;
use serde_json::Value;

/// An example that is kept: which, in which view, and which path of the net read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The example.
    pub id: ExampleId,
    /// Its view.
    pub view: u64,
    /// The path; 0 where the net has one.
    pub path: usize,
}

/// What is wanted of a recalled row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recalled {
    /// What was wanted of it before.
    Own,
    /// That it names the path that read it.
    Path,
}

/// Takes each fresh example in with a fixed chance; once it is full, one of those it holds goes, any with the same chance.
pub struct Memory {
    /// How many it holds at most.
    pub size: usize,
    /// Of a fresh example.
    pub chance: f64,
    /// How many come back in every batch.
    pub recall: usize,
    /// What is wanted of them.
    pub goal: Recalled,
    /// Which path reads them; `None` for the one that reads the fresh ones.
    pub path: Option<usize>,
    kept: Vec<Kept>,
}

impl Memory {
    /// An empty one.
    pub fn new(size: usize, chance: f64, recall: usize, goal: Recalled, path: Option<usize>) -> Self {
        Self { size, chance, recall, goal, path, kept: Vec::new() }
    }

    /// What it holds.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// A fresh example comes by; `key` is its own.
    pub fn meet(&mut self, example: Kept, key: Key) {
        let mut rng = key.rng();
        if !rng.chance(self.chance) {
            return;
        }
        if self.kept.len() < self.size {
            self.kept.push(example);
        } else {
            let gone = rng.index(self.kept.len());
            self.kept[gone] = example;
        }
    }

    /// What comes back in a batch: any of those it holds, some perhaps twice; nothing while it is empty.
    pub fn draw(&self, key: Key) -> Vec<Kept> {
        let mut rng = key.rng();
        let count = if self.kept.is_empty() { 0 } else { self.recall };
        (0..count).map(|_| self.kept[rng.index(self.kept.len())]).collect()
    }
}

impl Persist for Memory {
    fn save(&self) -> State {
        let one = |k: &Kept| Value::from(vec![u64::from(k.id.source), k.id.index, k.view, k.path as u64]);
        State::new().with("kept", self.kept.iter().map(one).collect::<Vec<Value>>())
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let wrong = || StateError("`kept` of the saved state is not a list of examples".to_owned());
        let kept = state.take("kept")?;
        let one = |value: &Value| {
            let numbers = value.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()?;
            let &[source, index, view, path] = numbers.as_slice() else { return None };
            let id = ExampleId { source: u32::try_from(source).ok()?, index };
            Some(Kept { id, view, path: usize::try_from(path).ok()? })
        };
        let list = kept.as_array().ok_or_else(wrong)?;
        self.kept = list.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)?;
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(index: u64) -> Kept {
        Kept { id: ExampleId { source: 0, index }, view: 2 * index, path: index as usize % 3 }
    }

    fn filled(size: usize, chance: f64, met: u64) -> Memory {
        let mut memory = Memory::new(size, chance, 4, Recalled::Own, None);
        (0..met).for_each(|i| memory.meet(example(i), Key::new(1).at(i)));
        memory
    }

    #[test]
    fn it_takes_a_share_and_holds_no_more_than_its_size() {
        let share = filled(10_000, 0.05, 10_000).kept().len() as f64 / 10_000.0;
        assert!((share - 0.05).abs() < 0.01, "{share}");
        let full = filled(50, 0.5, 10_000);
        assert_eq!(full.kept().len(), 50);
        assert!(full.kept().iter().all(|k| k.id.index > 5_000), "old ones go");
        assert!(filled(50, 0.0, 100).draw(Key::new(2)).is_empty());
    }

    #[test]
    fn it_comes_back_from_its_state() {
        let memory = filled(20, 0.5, 200);
        let mut again = filled(20, 0.5, 0);
        again.load(memory.save()).expect("its own state");
        assert_eq!(again.kept(), memory.kept());
        assert_eq!(again.draw(Key::new(3)), memory.draw(Key::new(3)));
        assert_eq!(memory.draw(Key::new(3)).len(), 4);
        assert!(again.load(State::new().with("kept", vec![Value::from(3)])).is_err());
    }
}
