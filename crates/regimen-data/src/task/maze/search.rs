//! A* (Hart, Nilsson and Raphael 1968) with the Manhattan distance, and what it did on the way.

use regimen_base::Rng;

use super::grid::{Grid, letter};

/// How costs are written, from 0 up.
pub(super) const COSTS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// One thing that the search did: `+` put a cell on the frontier, `-` expanded one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Clause {
    pub(super) mark: char,
    pub(super) cell: usize,
    /// Cost from the start.
    pub(super) cost: u32,
    /// Estimate to the goal.
    pub(super) estimate: u32,
}

/// What the search found, and how.
pub(super) struct Found {
    pub(super) clauses: Vec<Clause>,
    /// A shortest way, both ends included; empty if there is none.
    pub(super) way: Vec<usize>,
}

impl Found {
    /// Every clause, `+А04-А04…`.
    pub(super) fn trace(&self) -> String {
        let digit = |n: u32| COSTS.chars().nth(n as usize).unwrap_or('z');
        let clause = |c: &Clause| [c.mark, letter(c.cell), digit(c.cost), digit(c.estimate)];
        self.clauses.iter().flat_map(clause).collect()
    }

    /// The cells that were put on the frontier, `+А+Ж…`.
    pub(super) fn created(&self) -> String {
        let created = self.clauses.iter().filter(|c| c.mark == '+');
        created.flat_map(|c| [c.mark, letter(c.cell)]).collect()
    }
}

/// A cell that waits to be expanded.
#[derive(Clone, Copy)]
struct Waiting {
    cell: usize,
    cost: u32,
    promise: u32,
}

/// Finds a shortest way. `rng` breaks ties between waiting cells.
pub(super) fn search(grid: &Grid, start: usize, goal: usize, rng: &mut Rng) -> Found {
    let estimate = |cell| grid.manhattan(cell, goal);
    let cells = grid.distances(start).len();
    let (mut best, mut parent) = (vec![None; cells], vec![None; cells]);
    let mut frontier: Vec<Waiting> = Vec::new();
    let mut clauses = Vec::new();
    let create = |cell, cost, frontier: &mut Vec<Waiting>, clauses: &mut Vec<Clause>| {
        frontier.push(Waiting { cell, cost, promise: cost + estimate(cell) });
        clauses.push(Clause { mark: '+', cell, cost, estimate: estimate(cell) });
    };
    best[start] = Some(0);
    create(start, 0, &mut frontier, &mut clauses);
    while let Some(least) = frontier.iter().map(|w| w.promise).min() {
        let equal: Vec<usize> = (0..frontier.len()).filter(|&i| frontier[i].promise == least).collect();
        let next = frontier.swap_remove(equal[rng.index(equal.len())]);
        // a cheaper way to it was found while it waited
        if best[next.cell] != Some(next.cost) {
            continue;
        }
        clauses.push(Clause { mark: '-', cell: next.cell, cost: next.cost, estimate: estimate(next.cell) });
        if next.cell == goal {
            break;
        }
        for cell in grid.around(next.cell) {
            let cost = next.cost + 1;
            if best[cell].is_none_or(|known| cost < known) {
                (best[cell], parent[cell]) = (Some(cost), Some(next.cell));
                create(cell, cost, &mut frontier, &mut clauses);
            }
        }
    }
    Found { clauses, way: way(&parent, goal, best[goal].is_some()) }
}

fn way(parent: &[Option<usize>], goal: usize, reached: bool) -> Vec<usize> {
    let mut way: Vec<usize> = std::iter::successors(reached.then_some(goal), |&cell| parent[cell]).collect();
    way.reverse();
    way
}
