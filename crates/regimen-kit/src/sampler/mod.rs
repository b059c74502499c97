//! Samplers: how recipes name those of `regimen-data`.

use regimen_core::registry::{Piece, Table};
use regimen_data::Sampler;
use regimen_data::sampler::{Mix, Sequence, Shuffle};
use regimen_recipe::{KindSpec, Room};

/// The room's table.
pub static TABLE: Table<dyn Sampler> = &[MIX, SEQUENCE, SHUFFLE];

const SHUFFLE: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "shuffle",
        "every example once an epoch, in an order of its own each time",
        &[],
    )
    .standard(),
    build: |_, _| Ok(Box::new(Shuffle::default())),
};

const SEQUENCE: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "sequence",
        "every example in the order of the data, again and again",
        &[],
    ),
    build: |_, _| Ok(Box::new(Sequence::default())),
};

const MIX: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "mix",
        "draws a source by its `weight` each time, and goes through each source in a shuffled order",
        &[],
    ),
    build: |_, cx| Ok(Box::new(Mix::new(cx.weights.clone()))),
};
