//! `augment`: other views of rasters.

use regimen_core::registry::Piece;
use regimen_data::Transform;
use regimen_data::transform::Augment;
use regimen_recipe::{Field, KindSpec, Room, Ty};

pub(super) const PIECE: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "augment",
        "turns and shifts square rasters and adds noise, anew at every draw",
        &[
            Field::new("side", Ty::Count, "pixels of a side").or("8").min(1.0),
            Field::new("shift", Ty::Float, "pixels of shift at most, in each direction").or("1.0").min(0.0),
            Field::new("turn", Ty::Float, "degrees of turn at most, either way").or("15.0").min(0.0),
            Field::new("noise", Ty::Float, "standard deviation of the noise on each pixel")
                .or("0.1")
                .min(0.0),
            Field::new(
                "views",
                Ty::Count,
                "of every so many views of an item the first stays as it is; 1: none",
            )
            .or("1")
            .min(1.0),
        ],
    )
    .example(r#"{ kind = "augment", shift = 1.0, turn = 15.0 }"#),
    build: |node, _| {
        Ok(Box::new(Augment {
            side: node.usize("side"),
            shift: node.f64("shift"),
            turn: node.f64("turn"),
            noise: node.f64("noise"),
            views: node.u64("views"),
        }))
    },
};
