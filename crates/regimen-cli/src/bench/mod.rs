//! `regimen bench`: training and decoding measured on fixed work, beside the limit that matrix products set and, if
//! asked for, beside other programs on the same work.
//!
//! A measurement is a process of its own that prints one line of JSON, ours as well as theirs: each has its own peak
//! memory and its own start, and they can take turns. Another kind of work is one more [`Work`] with its file.

mod additions;
pub mod checkpoint;
mod child;
mod decode;
mod distance;
mod engine;
mod limit;
mod model;
mod products;
mod report;
mod row;
mod size;
mod summary;
mod tokens;
mod train;
mod weights;

pub use child::Child;
pub use engine::{Ours, Peers, plan, scripts};
pub use model::has_known_losses;
pub use report::{Report, load, machine};
pub use row::Row;
pub use size::Size;
pub use summary::wrong_losses;

use clap::ValueEnum;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Work {
    /// Next-token training.
    Train,
    /// Two trainings beside each other, one thread each, on two threads' cores.
    Pair,
    /// Sampling from a batch of prompts.
    Decode,
    /// Fine-tuning on short rows of uneven length.
    Sft,
    /// Training on preferences, short rows too.
    Dpo,
    /// Steps of reinforcement learning: sampling, reward and training.
    Grpo,
    /// The matrix products of a training step, alone.
    Limit,
}

impl Work {
    /// All of it, in the order in which it is done.
    pub const ALL: [Self; 7] =
        [Self::Train, Self::Pair, Self::Decode, Self::Sft, Self::Dpo, Self::Grpo, Self::Limit];

    /// What rows call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Pair => "pair",
            Self::Decode => "decode",
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::Grpo => "grpo",
            Self::Limit => "limit",
        }
    }
}
