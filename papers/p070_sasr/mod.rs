//! What only this paper needs: the router.

mod router;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.controller.push(&[router::PIECE]);
}
