//! The engine: one training loop, what it is made of, and the run directory it writes.
//!
//! Nothing here names a method. Objectives, rewards, samplers, schedules and controllers are pieces that a
//! [`registry::Registry`] hands in; the recipe says which of them meet in a stage.

pub mod advantage;
pub mod build;
pub mod clamps;
pub mod controller;
pub mod episode;
pub mod evaluate;
pub mod feed;
mod flat;
pub mod generate;
mod knobs;
pub mod model;
pub mod objective;
pub mod optimizer;
mod picks;
pub mod probe;
mod reduce;
pub mod regimen;
pub mod registry;
pub mod reward;
pub mod rollout;
pub mod run;
pub mod schedule;
pub mod stage;
pub mod update;

pub use clamps::Clamps;
pub use episode::{Episode, Group, StopReason};
pub use flat::Flat;
pub use knobs::Knobs;
pub use picks::{Content, Picks, Side, Unit, micro_batches};
pub use reduce::Reduce;
