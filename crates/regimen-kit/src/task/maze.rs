//! `maze`: a shortest way through a grid, with the trace of A*.

use regimen_core::registry::Piece;
use regimen_data::task::{Aim, Maze, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::{SOLUTION, WORKED, bounds, checked, solution};

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "maze",
        "a shortest way through a grid of free cells; the full working is the trace of A*; difficulty is steps",
        &[
            Field::new("size", Ty::Count, "rows and columns").or("5").min(3.0).max(8.0),
            Field::new("walls", Ty::Float, "chance of each cell to be a wall").or("0.35").min(0.0).max(0.6),
            Field::new("steps", Ty::Range2, "steps of a shortest way").or("[3, 8]"),
            Field::new(
                "aim",
                Ty::Choice(&["optimal", "solved"]),
                "what counts as right: a shortest way, or any legal one",
            )
            .or("optimal"),
            SOLUTION,
            WORKED,
        ],
    )
    .source("Lehnert et al. 2024 (arXiv:2402.14083)")
    .example(r#"{ kind = "maze", size = 6, solution = "full" }"#),
    build: |node, _| {
        let task = Maze {
            size: node.u64("size") as u32,
            walls: node.f64("walls"),
            steps: bounds(node, "steps"),
            aim: if node.str("aim") == "solved" { Aim::Solved } else { Aim::Optimal },
            solution: solution(node),
            worked: node.f64("worked"),
        };
        checked(node, task)
    },
};
