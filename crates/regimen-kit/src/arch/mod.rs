//! Architectures.

mod decoder;
mod mlp;

use regimen_core::registry::{Arch, Table};

/// The room's table.
pub static TABLE: Table<dyn Arch> = &[decoder::PIECE, mlp::PIECE];
