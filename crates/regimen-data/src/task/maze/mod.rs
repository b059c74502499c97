//! `maze`: a shortest way through a grid with walls.
//!
//! ```text
//! АВ|БГЕЗ    none   #АБВ
//!            short  +А+Г+Б+В#АБВ                        cells as the search came upon them
//!            full   +А02-А02+Г13+Б11-Б11+В20-В20#АБВ    all that A* did
//! ```
//! A cell is one Cyrillic letter, row by row, and a cost one character (`0`–`9`, then `a`–`z`), so a character tokenizer
//! gives each a token of its own. The prompt has start, goal and, behind `|`, the other cells that are no walls. The full working is the trace of
//! A*: `+`, cell, cost from the start and estimate to the goal (Manhattan) for a cell that is put on the frontier; `-` and
//! the same for one that is expanded. Ties between cells of equal promise are broken at random, once for each item. The
//! answer is the way, start and goal included. Neighbours come in the order above, below, left, right.
//!
//! *Level*: the steps of a shortest way.
//!
//! *Content*: the maze, whichever way it is turned or mirrored.
//!
//! *Guess rate*: near 0.
//!
//! *Source*: the trace and its two clauses are those of Lehnert et al. 2024 (Searchformer, arXiv:2402.14083).

mod grid;
mod search;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result, Rng, Split};

use super::answer::judge_by;
use super::problem::{Item, Problems, alphabet};
use super::solution::check_worked;
use super::{Bounds, Format, Judgement, Solution, Task};
use crate::{Body, Example};
use grid::{Grid, letter};
use search::search;

/// What a maze's way must be to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Aim {
    /// Legal, and as short as can be.
    #[default]
    Optimal,
    /// Legal.
    Solved,
}

/// The task `maze`.
#[derive(Clone, PartialEq, Debug)]
pub struct Maze {
    /// Rows and columns, 3 to 8.
    pub size: u32,
    /// The chance of each cell to be a wall, from 0 to 0.6.
    pub walls: f64,
    /// Steps of a shortest way.
    pub steps: Bounds,
    /// What counts as right.
    pub aim: Aim,
    /// The working of the gold reply.
    pub solution: Solution,
    /// The share of items that show it; the others have a bare answer.
    pub worked: f64,
}

impl Default for Maze {
    fn default() -> Self {
        Self {
            size: 5,
            walls: 0.35,
            steps: Bounds::new(3, 8),
            aim: Aim::Optimal,
            solution: Solution::None,
            worked: 1.0,
        }
    }
}

/// A grid with its ends, and what A* does in it.
pub(super) struct Problem {
    grid: Grid,
    start: usize,
    goal: usize,
    ties: Key,
}

impl Problems for Maze {
    type Problem = Problem;
    const KIND: &'static str = "maze";

    fn draw(&self, key: Key, attempt: u64) -> Option<Problem> {
        let steps = self.steps.draw(key.child("steps"));
        let key = key.at(attempt);
        let mut rng: Rng = key.rng();
        let grid = Grid::draw(self.size as usize, self.walls, &mut rng);
        let start = *rng.pick(&grid.free())?;
        let far = grid.distances(start);
        let goals: Vec<usize> = (0..far.len()).filter(|&cell| far[cell] == Some(steps)).collect();
        let goal = *rng.pick(&goals)?;
        Some(Problem { grid, start, goal, ties: key.child("ties") })
    }

    fn content(&self, problem: &Problem) -> String {
        problem.grid.canonical(problem.start, problem.goal)
    }
}

impl Task for Maze {
    fn name(&self) -> &'static str {
        Self::KIND
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let (problem, content) = self.settle(split, key);
        let Problem { grid, start, goal, ties } = problem;
        let found = search(&grid, start, goal, &mut ties.rng());
        let solution = self.solution.draw(self.worked, key);
        let working = match solution {
            Solution::None => String::new(),
            Solution::Short => found.created(),
            Solution::Full => found.trace(),
        };
        let item = Item {
            task: Self::KIND,
            content,
            prompt: grid.written(start, goal),
            working,
            answer: found.way.iter().map(|&cell| letter(cell)).collect(),
            format: Format::Hash,
            level: found.way.len() as u32 - 1,
            solution,
            columns: Vec::new(),
        };
        item.example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let maze = match &example.body {
            Body::Messages(messages) => {
                messages.first().and_then(|m| Grid::read(self.size as usize, &m.content))
            }
            _ => None,
        };
        judge_by(example, reply, |answer| {
            let way =
                answer.chars().map(|c| grid::cell(c, self.size as usize)).collect::<Option<Vec<_>>>()?;
            let (grid, start, goal) = maze.as_ref()?;
            let legal = grid.is_way(&way, *start, *goal);
            let short = example.difficulty == Some(way.len() as u32 - 1);
            Some(legal && (self.aim == Aim::Solved || short))
        })
    }

    fn alphabet(&self) -> String {
        let cells: String = (0..(self.size * self.size) as usize).map(letter).collect();
        alphabet(&["|#+-", &cells, search::COSTS])
    }

    fn check(&self) -> Result<()> {
        if !(3..=8).contains(&self.size) || !(0.0..=0.6).contains(&self.walls) {
            return Err(Error::usage("task `maze` has a setting out of its range")
                .remedy("`size` from 3 to 8, `walls` from 0 to 0.6"));
        }
        self.steps.check(Self::KIND, "steps", 1..=30)?;
        check_worked(Self::KIND, self.worked)?;
        self.probe()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        self.steps.lo..=self.steps.hi
    }
}
