//! `countdown`: reach a target from some numbers.

use regimen_core::registry::Piece;
use regimen_data::task::{Countdown, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::{SOLUTION, WORKED, bounds, checked, solution};

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "countdown",
        "reach a target from n numbers with + - * /; any right expression counts",
        &[
            Field::new("numbers", Ty::Range2, "numbers of each problem").or("[3, 4]"),
            Field::new("max-number", Ty::Count, "largest number").or("20").min(5.0).max(100.0),
            Field::new("target", Ty::Range2, "the target").or("[10, 99]"),
            Field::new("use-all", Ty::Bool, "a right answer must use every number").or("false"),
            SOLUTION,
            WORKED,
        ],
    )
    .example(r#"{ kind = "countdown", numbers = 3, solution = "short" }"#),
    build: |node, _| {
        let task = Countdown {
            numbers: bounds(node, "numbers"),
            max_number: node.u64("max-number") as u32,
            target: bounds(node, "target"),
            use_all: node.bool("use-all"),
            solution: solution(node),
            worked: node.f64("worked"),
        };
        checked(node, task)
    },
};
