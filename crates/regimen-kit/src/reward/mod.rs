//! Rewards.

mod format;
mod overlong;
mod verifier;

pub use format::Format;
pub use overlong::Overlong;
pub use verifier::Verifier;

use regimen_core::registry::Table;
use regimen_core::reward::Reward;

/// The room's table.
pub static TABLE: Table<dyn Reward> = &[format::PIECE, overlong::PIECE, verifier::PIECE];
