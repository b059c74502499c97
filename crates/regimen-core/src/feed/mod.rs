//! What a stream feeds into the loop: static data or fresh episodes.

mod data;
mod rollouts;
mod supply;
mod units;

pub use data::DataFeed;
pub use rollouts::{Judged, Rolled, RolloutFeed, prompt_tokens};
pub use supply::{Judges, Supply};
