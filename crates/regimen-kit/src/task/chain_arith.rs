//! `chain-arith`: dependent assignments modulo a small number.

use regimen_core::registry::Piece;
use regimen_data::task::{ChainArith, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::{SOLUTION, WORKED, bounds, checked, solution};

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "chain-arith",
        "k dependent assignments modulo a small number, `a=3;b=a+4;b?` → `#7`; difficulty is k",
        &[
            Field::new("vars", Ty::Range2, "variables in the chain").or("[2, 5]"),
            Field::new("modulus", Ty::Count, "what values are taken modulo").or("10").min(5.0).max(100.0),
            Field::new("distractors", Ty::Range2, "variables beside the chain").or("[0, 0]"),
            Field::new("shuffled", Ty::Bool, "assignments stand in any order").or("false"),
            Field::new("renamed", Ty::Bool, "letters are given out at random").or("false"),
            SOLUTION,
            WORKED,
            Field::new("checks", Ty::Range2, "steps that a worked reply writes once more").or("[0, 0]"),
        ],
    )
    .example(r#"{ kind = "chain-arith", vars = [3, 6], solution = "short" }"#),
    build: |node, _| {
        let task = ChainArith {
            vars: bounds(node, "vars"),
            modulus: node.u64("modulus") as u32,
            distractors: bounds(node, "distractors"),
            shuffled: node.bool("shuffled"),
            renamed: node.bool("renamed"),
            solution: solution(node),
            worked: node.f64("worked"),
            checks: bounds(node, "checks"),
        };
        checked(node, task)
    },
};
