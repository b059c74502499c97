//! Rewards.

mod format;
mod overlong;
mod program;
mod verifier;

pub use format::Format;
pub use overlong::Overlong;
pub use program::Outside;
pub use verifier::Verifier;

use regimen_core::registry::Table;
use regimen_core::reward::Reward;

/// The room's table.
pub static TABLE: Table<dyn Reward> = &[format::PIECE, overlong::PIECE, program::PIECE, verifier::PIECE];
