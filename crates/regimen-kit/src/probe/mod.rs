//! Probes: readings of what a net does with text.

mod top1;

use regimen_core::probe::Probe;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Probe> = &[top1::PIECE];
