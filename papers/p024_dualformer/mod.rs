//! What only this paper needs: the dropping of a trace's parts.

mod trace_drop;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.transform.push(&[trace_drop::PIECE]);
}
