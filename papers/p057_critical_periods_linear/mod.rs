//! What only this paper needs: two tasks of linear algebra.

mod completion;
mod modes;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.task.push(&[completion::PIECE, modes::PIECE]);
}
