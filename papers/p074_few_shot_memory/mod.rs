//! What only this paper needs: sentences to be remembered, and the cue that recall begins with.

mod cued;
mod grammar;
mod sentences;

use regimen_core::registry::Registry;

/// Adds the paper's pieces.
pub fn pieces(registry: &mut Registry) {
    registry.task.push(&[sentences::PIECE]);
    registry.rollout.push(&[cued::PIECE]);
}
