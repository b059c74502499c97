//! Optimisers.

mod adamw;

pub use adamw::{AdamW, ParamGroup};

use regimen_core::optimizer::Optimizer;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Optimizer> = &[adamw::PIECE];
