//! `fewshot-relabel`: which label an exemplar has in this very sequence.

use regimen_core::registry::Piece;
use regimen_data::task::{FewShot, Held, Task};
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::checked;

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "fewshot-relabel",
        "two exemplars with labels drawn anew for every sequence, and one of them again: `丂3七1丂` → `3`",
        &[
            Field::new("classes", Ty::Count, "classes that training shows; a tenth as many are held out")
                .or("50")
                .min(2.0)
                .max(5000.0),
            Field::new("labels", Ty::Count, "labels; every fifth pair of them is held out")
                .or("5")
                .min(4.0)
                .max(36.0),
            Field::new(
                "test",
                Ty::Choice(&["labels", "classes", "seen"]),
                "what is held out: pairs of labels, classes, or nothing",
            )
            .or("labels"),
        ],
    )
    .source("Singh et al. 2024 (arXiv:2404.07129)")
    .example(r#"{ kind = "fewshot-relabel", classes = 200 }"#),
    build: |node, _| {
        let test = match node.str("test") {
            "classes" => Held::Classes,
            "seen" => Held::Seen,
            _ => Held::Labels,
        };
        let task = FewShot { classes: node.u64("classes") as u32, labels: node.u64("labels") as u32, test };
        checked(node, task)
    },
};
