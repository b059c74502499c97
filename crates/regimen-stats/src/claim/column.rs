//! One number for each seed of a claim, and what is missing.

use super::reading::Gap;
use super::verdict::SeedValue;
use super::{Claim, Design};

/// The numbers of a claim's seeds.
pub struct Column {
    /// All seeds, in the claim's order.
    pub seeds: Vec<SeedValue>,
    /// The numbers that count: with [`Design::Anytime`] those before the first gap, because seeds that overtake a slow
    /// one would bring in which runs are slow.
    pub numbers: Vec<f64>,
    /// The gaps in words.
    pub gaps: Vec<String>,
    /// Runs that are not there yet could fill what is missing.
    pub open: bool,
}

impl Column {
    /// Reads every seed. `read` gives a number and what to say of it.
    pub fn read(claim: &Claim, read: impl Fn(u64) -> Result<(f64, Option<String>), Gap>) -> Self {
        let mut column = Self { seeds: Vec::new(), numbers: Vec::new(), gaps: Vec::new(), open: false };
        let mut unusable = false;
        for &seed in &claim.seeds {
            let behind_a_gap = claim.design == Design::Anytime && !column.gaps.is_empty();
            let (value, note) = match read(seed) {
                Ok((value, _)) if behind_a_gap => {
                    (Some(value), Some("does not count before the seeds ahead of it are there".to_owned()))
                }
                Ok((value, note)) => {
                    column.numbers.push(value);
                    (Some(value), note)
                }
                Err(gap) => {
                    let (why, is_unusable) = match gap {
                        Gap::NotRun(why) => (why, false),
                        Gap::Unusable(why) => (why, true),
                    };
                    unusable |= is_unusable && !behind_a_gap;
                    column.gaps.push(format!("seed {seed}: {why}"));
                    (None, Some(why))
                }
            };
            column.seeds.push(SeedValue { seed, value, note });
        }
        column.open = !column.gaps.is_empty() && !unusable;
        column
    }
}
