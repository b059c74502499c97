//! `digits`: procedural handwriting as rows of numbers.

use regimen_core::registry::Piece;
use regimen_data::task::{Digits, DigitsTask, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "digits",
        "procedural handwriting, 8 × 8 numbers and a class, for nets that read rows of numbers such as `mlp`",
        &[
            Field::new(
                "permutation",
                Ty::Count,
                "pixels change places by this one of a series; 0: they do not",
            )
            .or("0"),
            Field::new("classes", Ty::List(&Ty::Count), "which digits there are")
                .or("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")
                .max(9.0),
            Field::new("style", Ty::Float, "how far slant, turn, size and place vary; 1 is handwriting")
                .or("1.0")
                .min(0.0),
            Field::new("noise", Ty::Float, "standard deviation of the noise on each pixel")
                .or("0.1")
                .min(0.0),
        ],
    )
    .example(r#"{ kind = "digits", permutation = 3 }"#),
    build: |node, _| {
        let settings = Digits {
            permutation: node.u64("permutation"),
            classes: node.u64s("classes").into_iter().map(|c| c as u32).collect(),
            style: node.f64("style"),
            noise: node.f64("noise"),
        };
        DigitsTask::new(settings).map(|task| Box::new(task) as _).map_err(|e| e.within(node.origin()))
    },
};
