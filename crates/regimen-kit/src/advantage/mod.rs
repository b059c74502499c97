//! Advantages.

mod group_relative;

pub use group_relative::GroupRelative;

use regimen_core::advantage::Advantage;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Advantage> = &[group_relative::PIECE];
