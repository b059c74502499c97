//! Optimisers.

mod adamw;
mod sgd;

pub use adamw::{AdamW, ParamGroup};
pub use sgd::Sgd;

use regimen_core::optimizer::Optimizer;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Optimizer> = &[adamw::PIECE, sgd::PIECE];
