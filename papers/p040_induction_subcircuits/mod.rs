//! What only this paper needs: the probe of labels and heads.

mod label;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.probe.push(&[label::PIECE]);
}
