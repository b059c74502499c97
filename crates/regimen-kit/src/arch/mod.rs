//! Architectures.

mod decoder;

use regimen_core::registry::{Arch, Table};

/// The room's table.
pub static TABLE: Table<dyn Arch> = &[decoder::PIECE];
