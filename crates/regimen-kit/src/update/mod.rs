//! Updates: how gradients become a step.

use regimen_recipe::{KindSpec, Room};

/// The room's table.
pub static TABLE: &[KindSpec] = &[KindSpec::new(
    Room::Update,
    "plain",
    "one optimiser step on the gradient of the whole batch, however it was cut into micro-batches",
    &[],
)
.standard()];
