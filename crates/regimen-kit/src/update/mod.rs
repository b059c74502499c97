//! Updates: how gradients become a step.

mod ewc;
mod plain;
mod si;

pub use ewc::Ewc;
pub use plain::Plain;
pub use si::Si;

use regimen_base::{State, StateError};
use regimen_core::registry::Table;
use regimen_core::update::Update;

/// The room's table.
pub static TABLE: Table<dyn Update> = &[ewc::PIECE, plain::PIECE, si::PIECE];

/// An array of the length that it has already, from a saved state.
fn refill(array: &mut Vec<f32>, name: &str, state: &mut State) -> Result<(), StateError> {
    *array = state.take_array(name, array.len())?;
    Ok(())
}

#[cfg(test)]
mod tests;
