//! Tests that may be looked at after every seed: e-values and confidence sequences.
//!
//! An e-process stays below 1/alpha for ever with probability 1 − alpha while its null is true (Ville 1939). So one may
//! look after every seed and stop when it crosses, which no p value of a fixed n allows.

mod coin;
mod mean;

pub use coin::CoinSequence;
pub use mean::MeanSequence;
