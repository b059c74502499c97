//! `arith`: integer arithmetic.

use regimen_core::registry::Piece;
use regimen_data::task::{Arith, Format, Op, Task};
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

use super::{SOLUTION, WORKED, bounds, checked, solution};

const FORMATS: &[&str] = &["hash", "arrow", "square", "curly", "angle"];

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "arith",
        "integer arithmetic, `47+85=` → `#132`, with the working in front of the answer where asked",
        &[
            Field::new("ops", Ty::List(&Ty::Choice(&["+", "-", "*"])), "operations").or(r#"["+", "-", "*"]"#),
            Field::new("digits", Ty::Range2, "digits of each operand").or("[1, 2]"),
            Field::new("factor", Ty::Count, "most digits of a factor behind `*`").or("1").min(1.0).max(6.0),
            Field::new("terms", Ty::Range2, "operands of each problem").or("[2, 3]"),
            SOLUTION,
            WORKED,
            Field::new("checks", Ty::Range2, "check lines in each worked reply").or("[0, 0]"),
            Field::new("formats", Ty::List(&Ty::Choice(FORMATS)), "how gold replies mark the answer")
                .or(r#"["hash"]"#),
        ],
    )
    .example(r#"{ kind = "arith", digits = [2, 3], solution = "full" }"#),
    build: |node, _| {
        let task = Arith {
            ops: node.strs("ops").into_iter().map(op).collect(),
            digits: bounds(node, "digits"),
            factor: node.u64("factor") as u32,
            terms: bounds(node, "terms"),
            solution: solution(node),
            worked: node.f64("worked"),
            checks: bounds(node, "checks"),
            formats: formats(node),
        };
        checked(node, task)
    },
};

fn op(sign: &str) -> Op {
    match sign {
        "-" => Op::Sub,
        "*" => Op::Mul,
        _ => Op::Add,
    }
}

fn formats(node: &Node) -> Vec<Format> {
    let all = [Format::Hash, Format::Arrow, Format::Square, Format::Curly, Format::Angle];
    let written = node.strs("formats");
    FORMATS.iter().zip(all).filter(|(name, _)| written.contains(name)).map(|(_, format)| format).collect()
}
