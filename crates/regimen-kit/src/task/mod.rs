//! Tasks: how recipes name the generators of `regimen-data`.

mod arith;
mod chain_arith;
mod countdown;
mod digits;
mod few_shot;
mod knights_knaves;
mod maze;
mod two_hop;

use regimen_base::Result;
use regimen_core::registry::Table;
use regimen_data::task::{Bounds, Solution, Task};
use regimen_recipe::{Field, Node, Ty};

/// The room's table.
pub static TABLE: Table<dyn Task> = &[
    arith::PIECE,
    chain_arith::PIECE,
    countdown::PIECE,
    digits::PIECE,
    few_shot::PIECE,
    knights_knaves::PIECE,
    maze::PIECE,
    two_hop::PIECE,
];

const SOLUTION: Field =
    Field::new("solution", Ty::Choice(&["none", "short", "full"]), "the working of the gold reply")
        .or("none");
const WORKED: Field =
    Field::new("worked", Ty::Float, "share of items that show the working; the others have a bare answer")
        .or("1.0")
        .min(0.0)
        .max(1.0);

fn solution(node: &Node) -> Solution {
    match node.str("solution") {
        "short" => Solution::Short,
        "full" => Solution::Full,
        _ => Solution::None,
    }
}

fn bounds(node: &Node, name: &str) -> Bounds {
    let (lo, hi) = node.range(name);
    Bounds::new(lo.clamp(0, i64::from(u32::MAX)) as u32, hi.clamp(0, i64::from(u32::MAX)) as u32)
}

/// A task that can give items, or what its recipe got wrong.
fn checked(node: &Node, task: impl Task + 'static) -> Result<Box<dyn Task>> {
    task.check().map_err(|e| e.within(node.origin()))?;
    Ok(Box::new(task))
}
