//! How much working a gold reply shows.

use regimen_base::{Error, Key, Result};
use serde::{Deserialize, Serialize};

/// The working in front of an answer. The verifier reads the answer alone, so it is the same for every style.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solution {
    /// The answer alone.
    #[default]
    None,
    /// Intermediate results.
    Short,
    /// Every small step.
    Full,
}

impl Solution {
    /// The style's name in columns and recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Short => "short",
            Self::Full => "full",
        }
    }

    /// This style for a share `worked` of the keys, [`Solution::None`] for the rest.
    pub(super) fn draw(self, worked: f64, key: Key) -> Self {
        if key.child("worked").rng().chance(worked) { self } else { Self::None }
    }
}

/// Errs unless `worked` is a share.
pub(super) fn check_worked(task: &str, worked: f64) -> Result<()> {
    if (0.0..=1.0).contains(&worked) {
        return Ok(());
    }
    Err(Error::usage(format!("`worked` of task `{task}` is {worked}"))
        .remedy("write the share of items that show their working, between 0.0 and 1.0"))
}
