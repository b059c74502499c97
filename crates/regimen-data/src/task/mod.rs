//! Tasks: generators of examples with their verifiers.
//!
//! Every task writes compact ASCII, so that a character model of a few hundred thousand parameters learns it within
//! minutes. What the tasks share:
//!
//! - A reply ends with its answer behind one mark, `#` (see [`answer`]): `47+80=127;127+5=132#132`, or bare `#132`. One
//!   verifier reads both.
//! - [`Solution`] says how much working the gold reply shows, and `worked` which share of the items shows any.
//! - An item's *content* (the problem without names, order and working) is hashed; the hash decides the split and is
//!   the column `content`. Two renderings of one problem never lie in two splits.
//! - The columns `task`, `content` and `solution` (`none`, `short`, `full`: how the gold reply was written) are always
//!   there.
//! - The name that an example carries is `ExampleId { source: 0, index: 0 }`: whoever catalogues it names it.
//!
//! The prompts of different tasks cannot be mistaken for each other: `arith` ends with `=`, `chain-arith` with `?`,
//! `countdown` has `->`, `knights-knaves` starts with `A:`, `maze` with a Cyrillic letter. `two-hop` speaks of entities
//! that are letters beyond ASCII, and `fewshot-relabel` of classes that are CJK letters; both part their items by what
//! these are instead of by a hash. `digits` writes nothing: it makes rows of numbers.

pub mod answer;
mod arith;
mod bounds;
mod chain_arith;
mod claim;
mod columns;
mod countdown;
mod digits;
pub mod expression;
mod few_shot;
mod knights_knaves;
mod maze;
mod op;
mod problem;
mod reach;
mod solution;
mod two_hop;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use regimen_base::{Key, Result, Split};

use crate::Example;

pub use answer::Format;
pub use arith::Arith;
pub use bounds::Bounds;
pub use chain_arith::ChainArith;
pub use countdown::Countdown;
pub use digits::{Digits, DigitsTask, PIXELS, SIDE};
pub use few_shot::{FewShot, Held};
pub use knights_knaves::KnightsKnaves;
pub use maze::{Aim, Maze};
pub use op::Op;
pub use solution::Solution;
pub use two_hop::{Graph, Test, TwoHop};

/// What a verifier found. Two facts, two fields.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Judgement {
    /// 1 for right, 0 for wrong.
    pub score: f64,
    /// Whether an answer was found at all.
    pub parse: Parse,
}

/// What a verifier found in a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parse {
    /// An answer of the expected form.
    Answer,
    /// No answer.
    Missing,
    /// Something where the answer should be, of another form.
    Malformed,
}

/// A source of examples that a program can check. An item is a pure function of (configuration, split, key); the
/// splits are disjoint because an item's content decides where it belongs.
pub trait Task: Send + Sync {
    /// The task's kind, as a recipe names it.
    fn name(&self) -> &'static str;
    /// An example with a gold reply as its last message. `id` is what the caller names it.
    ///
    /// # Panics
    /// May panic with a configuration that [`Task::check`] refuses.
    fn example(&self, split: Split, key: Key) -> Example;
    /// The items, where the task is a fixed list of them: a source then has these, in this order, and no others. (What a
    /// study of memory trains on and asks for is one list, so it may be the same in both splits.)
    fn list(&self, _: Split) -> Option<&[Example]> {
        None
    }
    /// The items, where they belong together and are drawn at once from the source's key, as the rows of one matrix are.
    /// A source then has these and no others. Both splits of a source may have one key (recipes give it by `pool`).
    fn draw_all(&self, _: Split, _: Key) -> Option<Vec<Example>> {
        None
    }
    /// Judges a reply to `example`. The gold reply scores 1.
    fn judge(&self, example: &Example, reply: &str) -> Judgement;
    /// Characters that prompts and replies may use, for character tokenizers.
    fn alphabet(&self) -> String;
    /// Errs when the configuration cannot give items: a field out of its range, or a split without items. Draws a few
    /// items to find out.
    fn check(&self) -> Result<()> {
        Ok(())
    }
    /// The levels of difficulty that items may have, for curricula. Not every level in it need occur.
    fn levels(&self) -> RangeInclusive<u32> {
        0..=u32::MAX
    }
}

/// Every task that parts its items by their content, in several configurations: what tests over all tasks walk.
pub fn all() -> Vec<Box<dyn Task>> {
    let mut tasks: Vec<Box<dyn Task>> = Vec::new();
    for solution in [Solution::None, Solution::Short, Solution::Full] {
        tasks.push(Box::new(Arith { solution, ..Arith::default() }));
        tasks.push(Box::new(ChainArith { solution, ..ChainArith::default() }));
        tasks.push(Box::new(Countdown { solution, ..Countdown::default() }));
        tasks.push(Box::new(KnightsKnaves { solution, ..KnightsKnaves::default() }));
    }
    tasks.push(Box::new(Arith {
        ops: vec![Op::Mul, Op::Sub],
        digits: Bounds::new(2, 3),
        factor: 2,
        terms: Bounds::new(2, 5),
        solution: Solution::Full,
        worked: 0.5,
        checks: Bounds::new(0, 2),
        formats: Format::ALL.to_vec(),
    }));
    tasks.push(Box::new(ChainArith {
        vars: Bounds::new(3, 6),
        modulus: 7,
        distractors: Bounds::new(1, 3),
        shuffled: true,
        renamed: true,
        solution: Solution::Full,
        worked: 0.5,
        checks: Bounds::new(0, 3),
    }));
    tasks.push(Box::new(Countdown {
        numbers: Bounds::new(3, 5),
        max_number: 50,
        target: Bounds::new(100, 400),
        use_all: true,
        solution: Solution::Full,
        worked: 0.5,
    }));
    tasks.push(Box::new(KnightsKnaves { people: Bounds::new(2, 5), solution: Solution::Full, worked: 0.5 }));
    tasks.push(Box::new(Maze { size: 6, solution: Solution::Full, worked: 0.5, ..Maze::default() }));
    tasks.push(Box::new(Maze::default()));
    tasks
}
