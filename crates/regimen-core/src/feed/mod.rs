//! What a stream feeds into the loop: static data or fresh episodes.

mod data;
mod memory;
mod rollouts;
mod supply;
mod units;

pub use data::DataFeed;
pub use memory::{Kept, Memory, Recalled};
pub use rollouts::{Judged, Rolled, RolloutFeed, prompt_tokens};
pub use supply::{Judges, Supply};
