//! Controllers.

mod anneal;
mod schedule;

pub use anneal::Anneal;
pub use schedule::Schedule;

use regimen_core::controller::Controller;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Controller> = &[anneal::PIECE, schedule::PIECE];
