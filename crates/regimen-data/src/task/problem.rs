//! What every task does alike: draw problems until one belongs to the split, and write it as an example.

use regimen_base::{Error, Key, Result, Split};
use serde_json::{Map, Value};

use super::{Format, Solution};
use crate::{Body, Example, ExampleId, Message, Role};

/// Draws until `settle` gives up; a configuration that passed `probe` needs far fewer.
const TRIES: u64 = 1_000_000;
/// Draws after which `probe` calls a split empty.
const PROBE_TRIES: u64 = 3_000;
/// Keys that `probe` draws with, so that every level of difficulty has its turn.
const PROBE_KEYS: u64 = 24;

/// A task's problems, before they are written out.
pub(super) trait Problems {
    /// One problem.
    type Problem;
    /// The task's kind.
    const KIND: &'static str;

    /// A problem from (`key`, `attempt`), if these give one. What must not be skewed by rejection (the level, the
    /// answer) comes from `key` alone.
    fn draw(&self, key: Key, attempt: u64) -> Option<Self::Problem>;

    /// What the problem is, whatever names and order it is written with. Decides the split.
    fn content(&self, problem: &Self::Problem) -> String;

    /// A last, costly condition, asked only in the right split.
    fn accepts(&self, _: &Self::Problem) -> bool {
        true
    }

    /// The problem for (`split`, `key`) and the hash of its content.
    ///
    /// # Panics
    /// When the split has no items, which `probe` finds out.
    fn settle(&self, split: Split, key: Key) -> (Self::Problem, u64) {
        self.search(split, key, TRIES).expect("the task was checked, so every split has items")
    }

    /// `settle` within `tries`.
    fn search(&self, split: Split, key: Key, tries: u64) -> Option<(Self::Problem, u64)> {
        let key = key.child(split.name());
        (0..tries).find_map(|attempt| {
            let problem = self.draw(key, attempt)?;
            let hash = digest(Self::KIND, &self.content(&problem));
            (Split::of(hash) == split && self.accepts(&problem)).then_some((problem, hash))
        })
    }

    /// Errs when a split has no items.
    fn probe(&self) -> Result<()> {
        for split in [Split::Train, Split::Eval] {
            for n in 0..PROBE_KEYS {
                if self.search(split, Key::new(n), PROBE_TRIES).is_none() {
                    let what = format!("task `{}` finds no items for split `{}`", Self::KIND, split.name());
                    return Err(Error::usage(what).remedy("widen the task's ranges"));
                }
            }
        }
        Ok(())
    }
}

/// The hash of an item's content.
pub(super) fn digest(kind: &str, content: &str) -> u64 {
    let hash = blake3::hash(format!("{kind}\n{content}").as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(word)
}

/// A problem as it is written.
pub(super) struct Item {
    pub task: &'static str,
    pub content: u64,
    pub prompt: String,
    /// The working in front of the answer; empty with `Solution::None`.
    pub working: String,
    pub answer: String,
    pub format: Format,
    pub level: u32,
    pub solution: Solution,
    /// Further columns.
    pub columns: Vec<(&'static str, Value)>,
}

impl Item {
    /// The example. Its name is 0/0: whoever catalogues it names it.
    pub(super) fn example(self) -> Example {
        let reply = self.format.reply(&self.working, &self.answer);
        let messages = vec![Message::new(Role::User, self.prompt), Message::new(Role::Assistant, reply)];
        let mut columns = Map::new();
        columns.insert("task".to_owned(), self.task.into());
        columns.insert("content".to_owned(), format!("{:016x}", self.content).into());
        columns.insert("solution".to_owned(), self.solution.name().into());
        columns.extend(self.columns.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Example {
            id: ExampleId { source: 0, index: 0 },
            body: Body::Messages(messages),
            answer: Some(self.answer),
            difficulty: Some(self.level),
            columns,
            view: 0,
        }
    }
}

/// The characters of `texts`, each once, in order.
pub(super) fn alphabet(texts: &[&str]) -> String {
    let mut characters: Vec<char> = texts.iter().flat_map(|t| t.chars()).collect();
    characters.sort_unstable();
    characters.dedup();
    characters.into_iter().collect()
}
