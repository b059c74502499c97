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
    /// Items that are drawn together: for training and for evaluation.
    drawn: [Option<Vec<Example>>; 2],
}

impl TaskSource {
    /// The items that `key` gives.
    pub fn new(number: u32, task: Arc<dyn Task>, key: Key, take: Option<u64>) -> Self {
        let drawn = [Split::Train, Split::Eval].map(|split| task.draw_all(split, key));
        Self { number, task, key, take, drawn }
    }

    /// The items, where they are a fixed list.
    fn items(&self, split: Split) -> Option<&[Example]> {
        let drawn = self.drawn[usize::from(split == Split::Eval)].as_deref();
        drawn.or_else(|| self.task.list(split))
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

    fn len(&self, split: Split) -> Option<u64> {
        let listed = self.items(split).map(|items| items.len() as u64);
        self.take.into_iter().chain(listed).min()
    }

    fn get(&self, index: u64, split: Split) -> Result<Example> {
        if let Some(take) = self.take.filter(|take| index >= *take) {
            return Err(Error::failed(format!(
                "task `{}` was limited to {take} items, there is no item {index}",
                self.name()
            ))
            .remedy("raise `take`"));
        }
        let mut example = match self.items(split) {
            Some(items) => items.get(index as usize).cloned().ok_or_else(|| {
                Error::failed(format!(
                    "task `{}` has {} items, there is no item {index}",
                    self.name(),
                    items.len()
                ))
            })?,
            None => self.task.example(split, self.key.child(split.name()).at(index)),
        };
        example.id = ExampleId { source: self.number, index };
        Ok(example)
    }

    fn place(&self, index: u64, split: Split) -> String {
        format!("{} ({}), item {index}", self.name(), split.name())
    }

    fn describe(&self) -> String {
        match self.len(Split::Train) {
            Some(items) => format!("{}: task, {items} items", self.name()),
            None => format!("{}: task, endless", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;
    use crate::task::{Judgement, Parse};

    /// Its items are the keys they are made from.
    struct Echo;

    impl Task for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }
        fn example(&self, _: Split, key: Key) -> Example {
            Example::new(ExampleId { source: 99, index: 99 }, Body::Text(format!("{key:?}")))
        }
        fn judge(&self, _: &Example, _: &str) -> Judgement {
            Judgement { score: 0.0, parse: Parse::Missing }
        }
        fn alphabet(&self) -> String {
            String::new()
        }
    }

    /// Three items and no others.
    struct Listed(Vec<Example>);

    impl Task for Listed {
        fn name(&self) -> &'static str {
            "listed"
        }
        fn example(&self, _: Split, _: Key) -> Example {
            unreachable!("the items are listed")
        }
        fn list(&self, _: Split) -> Option<&[Example]> {
            Some(&self.0)
        }
        fn judge(&self, _: &Example, _: &str) -> Judgement {
            Judgement { score: 0.0, parse: Parse::Missing }
        }
        fn alphabet(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_listed_task_has_its_items_in_order() {
        let body = |n: u64| Body::Text(format!("item {n}"));
        let item = |n| Example::new(ExampleId { source: 9, index: 9 }, body(n));
        let task = Arc::new(Listed((0..3).map(item).collect()));
        let source = |take| TaskSource::new(2, Arc::clone(&task) as Arc<dyn Task>, Key::new(1), take);
        let all = source(None);
        assert_eq!((all.len(Split::Train), all.len(Split::Eval)), (Some(3), Some(3)));
        assert_eq!(
            (source(Some(2)).len(Split::Train), source(Some(7)).len(Split::Train)),
            (Some(2), Some(3))
        );
        for n in 0..3 {
            let got = all.get(n, Split::Train).expect("an item");
            assert_eq!((got.body, got.id), (body(n), ExampleId { source: 2, index: n }));
        }
        assert!(all.get(3, Split::Train).expect_err("no such item").to_string().contains("has 3 items"));
    }

    #[test]
    fn items_depend_on_index_and_split_and_end_where_told() {
        let source = TaskSource::new(2, Arc::new(Echo), Key::new(1), Some(3));
        let item = |i, split| source.get(i, split).unwrap();
        assert_eq!(item(1, Split::Train), item(1, Split::Train));
        assert_eq!(item(1, Split::Train).id, ExampleId { source: 2, index: 1 });
        let mut bodies: Vec<_> = (0..3)
            .flat_map(|i| [item(i, Split::Train), item(i, Split::Eval)])
            .map(|e| format!("{:?}", e.body))
            .collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!((bodies.len(), source.len(Split::Train)), (6, Some(3)));
        assert!(source.get(3, Split::Train).unwrap_err().to_string().contains("limited to 3 items"));
        assert_eq!(TaskSource::new(0, Arc::new(Echo), Key::new(1), None).len(Split::Eval), None);
    }
}
