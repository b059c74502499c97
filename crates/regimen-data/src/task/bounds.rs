//! A closed range of counts in a configuration.

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result};
use serde::{Deserialize, Serialize};

/// `lo..=hi`. A recipe writes `[2, 4]`, or `3` for `[3, 3]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Written", into = "[u32; 2]")]
pub struct Bounds {
    /// The least.
    pub lo: u32,
    /// The greatest.
    pub hi: u32,
}

impl Bounds {
    /// `lo..=hi`.
    pub const fn new(lo: u32, hi: u32) -> Self {
        Self { lo, hi }
    }

    /// One of them, uniformly. (Bounds that [`Bounds::check`] refuses give `lo`.)
    pub fn draw(self, key: Key) -> u32 {
        self.lo + key.rng().below(u64::from(self.hi.saturating_sub(self.lo)) + 1) as u32
    }

    /// Errs unless these are bounds within `allowed`.
    pub fn check(self, task: &str, field: &str, allowed: RangeInclusive<u32>) -> Result<()> {
        if self.lo <= self.hi && allowed.contains(&self.lo) && allowed.contains(&self.hi) {
            return Ok(());
        }
        let (least, most) = allowed.into_inner();
        Err(Error::usage(format!("`{field}` of task `{task}` is [{}, {}]", self.lo, self.hi))
            .remedy(format!("write it as [lo, hi] with {least} <= lo <= hi <= {most}")))
    }
}

impl From<u32> for Bounds {
    fn from(n: u32) -> Self {
        Self::new(n, n)
    }
}

impl From<Bounds> for [u32; 2] {
    fn from(bounds: Bounds) -> Self {
        [bounds.lo, bounds.hi]
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(u32),
    Two([u32; 2]),
}

impl From<Written> for Bounds {
    fn from(written: Written) -> Self {
        match written {
            Written::One(n) => n.into(),
            Written::Two([lo, hi]) => Self::new(lo, hi),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_or_two() {
        assert_eq!(serde_json::from_str::<Bounds>("3").unwrap(), Bounds::new(3, 3));
        assert_eq!(serde_json::from_str::<Bounds>("[2,4]").unwrap(), Bounds::new(2, 4));
        assert!(serde_json::from_str::<Bounds>("[2,3,4]").is_err());
        assert_eq!(serde_json::to_string(&Bounds::new(2, 4)).unwrap(), "[2,4]");
    }

    #[test]
    fn reversed_and_outside_bounds_are_refused() {
        assert!(Bounds::new(2, 4).check("t", "f", 2..=4).is_ok());
        for bad in [Bounds::new(4, 2), Bounds::new(1, 3), Bounds::new(2, 5)] {
            let error = bad.check("arith", "terms", 2..=4).unwrap_err();
            assert!(error.to_string().contains("`terms` of task `arith`"), "{error}");
        }
    }

    #[test]
    fn draws_reach_both_ends() {
        let draws: Vec<u32> = (0..100).map(|i| Bounds::new(2, 4).draw(Key::new(1).at(i))).collect();
        assert!(draws.iter().all(|d| (2..=4).contains(d)) && draws.contains(&2) && draws.contains(&4));
    }
}
