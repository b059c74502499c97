//! Rollouts.

mod group;

use regimen_core::registry::Table;
use regimen_core::rollout::Rollout;

/// The room's table.
pub static TABLE: Table<dyn Rollout> = &[group::PIECE];
