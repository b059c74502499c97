//! A task as a source: item `i` is a pure function of (seed, split, `i`).

use std::sync::Arc;

use regimen_base::{Error, Key, Result, Split};

use super::Source;
use crate::task::Task;
use crate::{Example, ExampleId};

/// Examples made by a [`Task`], without end or limited to the first `take` of each split.
pub struct TaskSource {
    number: u32,
    task: Arc<dyn Task>,
    key: Key,
    take: Option<u64>,
}

impl TaskSource {
    /// The items that `key` gives.
    pub fn new(number: u32, task: Arc<dyn Task>, key: Key, take: Option<u64>) -> Self {
        Self { number, task, key, take }
    }

    /// The task, for judging replies.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }
}

impl Source for TaskSource {
    fn number(&self) -> u32 {
        self.number
    }

    fn name(&self) -> &str {
        self.task.name()
    }

    fn len(&self, _: Split) -> Option<u64> {
        self.take
    }

    fn get(&self, index: u64, split: Split) -> Result<Example> {
        if let Some(take) = self.take.filter(|take| index >= *take) {
            return Err(Error::failed(format!("task `{}` was limited to {take} items, there is no item {index}", self.name()))
                .remedy("raise `take`"));
        }
        let mut example = self.task.example(split, self.key.child(split.name()).at(index));
        example.id = ExampleId { source: self.number, index };
        Ok(example)
    }

    fn place(&self, index: u64, split: Split) -> String {
        format!("{} ({}), item {index}", self.name(), split.name())
    }

    fn describe(&self) -> String {
        match self.take {
            Some(take) => format!("{}: task, {take} items", self.name()),
            None => format!("{}: task, endless", self.name()),
        }
    }
}
