//! `plain`: the gradient as it is.

use regimen_base::{Persist, State, StateError};
use regimen_core::registry::Piece;
use regimen_core::update::Update;
use regimen_nn::Net;
use regimen_recipe::{KindSpec, Room};

/// Nothing around the optimiser's step.
pub struct Plain;

impl Update for Plain {
    fn attach(&mut self, _: &dyn Net) {}

    fn before(&mut self, _: &mut dyn Net, _: u64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn after(&mut self, _: &dyn Net, _: u64) {}
}

/// It has no state.
impl Persist for Plain {
    fn save(&self) -> State {
        State::new()
    }

    fn load(&mut self, state: State) -> Result<(), StateError> {
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Update> = Piece {
    spec: KindSpec::new(
        Room::Update,
        "plain",
        "one optimiser step on the gradient of the whole batch, however it was cut into micro-batches",
        &[],
    )
    .standard(),
    build: |_, _| Ok(Box::new(Plain)),
};
