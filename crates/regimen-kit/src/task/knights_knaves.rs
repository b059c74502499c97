//! `knights-knaves`: who lies?

use regimen_core::registry::Piece;
use regimen_data::task::{KnightsKnaves, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::{SOLUTION, WORKED, bounds, checked, solution};

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "knights-knaves",
        "n people, each a knight (tells the truth) or a knave (lies); exactly one assignment fits what they say",
        &[Field::new("people", Ty::Range2, "people of each puzzle").or("[3, 3]"), SOLUTION, WORKED],
    )
    .example(r#"{ kind = "knights-knaves", people = 3, solution = "short" }"#),
    build: |node, _| {
        checked(node, KnightsKnaves { people: bounds(node, "people"), solution: solution(node), worked: node.f64("worked") })
    },
};
