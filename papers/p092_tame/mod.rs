//! What only this paper needs: the detector of new tasks.

mod detector;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.controller.push(&[detector::PIECE]);
}
