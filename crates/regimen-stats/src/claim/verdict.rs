//! What a table of runs says about a claim.

use serde::{Deserialize, Serialize};

use super::number::short;
use crate::Interval;

/// The three answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// All that was to be looked at is there, and the bound shows the claim.
    #[serde(rename = "held")]
    Held,
    /// All is there, and the bound does not show it. Whether the opposite is shown says [`Verdict::refuted`].
    #[serde(rename = "not held")]
    NotHeld,
    /// It cannot be said: a run is missing, or a value that is needed is missing or not finite.
    #[serde(rename = "inconclusive")]
    Inconclusive,
}

/// The answer to a claim, with all that it rests on. All numbers in it are finite.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// `not held`, and the bound from the other side lies beyond the threshold: not too few seeds, but no such effect.
    pub refuted: bool,
    /// `inconclusive`, and runs that are still missing may change that.
    pub open: bool,
    /// The rule in words.
    pub rule: String,
    /// Why this answer, in words.
    pub why: String,
    /// What a reader should know besides: every gap by seed, values that do not count.
    pub notes: Vec<String>,
    /// The p value of the deciding test; anytime-valid where the design is.
    pub p: Option<f64>,
    /// What a single rule rests on; none for all-of and any-of.
    pub evidence: Option<Evidence>,
    /// The verdicts inside all-of and any-of.
    pub parts: Vec<Verdict>,
}

/// The numbers under a single rule, in its own unit (ratios for [`crate::Rule::Ratio`]; 1 for a win and 0 for none for
/// [`crate::Rule::OnsetBefore`]).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Every seed of the claim, in its order.
    pub seeds: Vec<SeedValue>,
    /// How many of them count.
    pub n: usize,
    /// Their mean (geometric for ratios).
    pub estimate: Option<f64>,
    /// The deciding bounds: each end is one-sided at alpha.
    pub interval: Option<Interval>,
    /// The two-sided level of the interval, 1 − 2·alpha.
    pub level: f64,
    /// What the claim says the value is above.
    pub above: Option<f64>,
    /// What the claim says the value is below.
    pub below: Option<f64>,
    /// What decides nothing.
    pub beside: Option<Beside>,
}

/// One seed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SeedValue {
    /// Which.
    pub seed: u64,
    /// Its number, if it has one.
    pub value: Option<f64>,
    /// Why it has none, or why it does not count, or the onsets behind a win.
    pub note: Option<String>,
}

/// Other methods on the same numbers and at the same level. They are shown and decide nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// The studentised bootstrap interval.
    pub bootstrap_t: Option<Interval>,
    /// The percentile bootstrap interval, too short for few seeds.
    pub percentile: Option<Interval>,
    /// p of the sign-flip test.
    pub sign_flip: Option<f64>,
}

impl Outcome {
    /// `held`, `not held`, `inconclusive`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld => "not held",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Evidence {
    /// `0.102 [0.083, 0.121], 5 seeds`: estimate, deciding bounds, how many seeds count.
    pub fn words(&self) -> String {
        let estimate = self.estimate.map_or("-".to_owned(), short);
        let bounds =
            self.interval.map(|i| format!(" [{}, {}]", short(i.lo), short(i.hi))).unwrap_or_default();
        let plural = if self.n == 1 { "" } else { "s" };
        format!("{estimate}{bounds}, {} seed{plural}", self.n)
    }
}
