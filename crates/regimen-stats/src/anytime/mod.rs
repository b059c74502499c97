//! Tests that may be looked at after every seed: e-values and confidence sequences.
//!
//! An e-process stays below 1/alpha for ever with probability 1 − alpha while its null is true (Ville 1939). So one may
//! look after every seed and stop when it crosses, which no p value of a fixed n allows.

mod coin;
mod mean;

pub use coin::CoinSequence;
pub use mean::MeanSequence;

use crate::Interval;

/// The best ends so far, after every interval.
pub fn running(intervals: impl Iterator<Item = Option<Interval>>) -> Vec<Option<Interval>> {
    let best = |a: Interval, b: Interval| Interval { lo: a.lo.max(b.lo), hi: a.hi.min(b.hi) };
    let mut so_far: Option<Interval> = None;
    intervals
        .map(|next| {
            so_far = match (so_far, next) {
                (Some(a), Some(b)) => Some(best(a, b)),
                (a, b) => a.or(b),
            };
            so_far
        })
        .collect()
}
