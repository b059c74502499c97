//! `result.json`: what a recorded verification found. Only the program writes it.

use std::collections::BTreeMap;

use regimen_stats::Verdict;
use serde::{Deserialize, Serialize};

use crate::Digests;

/// A recorded verification.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// When, UTC.
    pub date: String,
    /// The commit that held recipe, claim and pieces.
    pub commit: String,
    /// Regimen's version.
    pub version: String,
    /// The version of the arithmetic; other versions may give other bits.
    pub numerics: u32,
    /// The device and its instruction set: `cpu (avx512)`.
    pub device: String,
    /// Of what.
    pub digests: Digests,
    /// The seeds that were run, in their order.
    pub seeds: Vec<u64>,
    /// The primary claim.
    pub primary: StatedVerdict,
    /// The others.
    pub secondary: Vec<StatedVerdict>,
    /// What was read: arm, metric, one number a seed (`null`: it has none).
    pub values: BTreeMap<String, BTreeMap<String, BTreeMap<u64, Option<f64>>>>,
    /// What each arm took, on average over the seeds.
    pub ledger: Vec<ArmLedger>,
    /// Minutes of one thread, for all arms and seeds together.
    pub minutes: f64,
}

/// A claim with its verdict.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StatedVerdict {
    /// The claim as a sentence.
    pub says: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What an arm takes for one seed, on average.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ArmLedger {
    /// The arm.
    pub arm: String,
    /// Optimiser steps.
    pub steps: f64,
    /// Trained tokens.
    pub tokens: f64,
    /// Written tokens.
    pub generated_tokens: f64,
    /// Floating-point operations, as planned from the shapes.
    pub flops: f64,
    /// Seconds on one thread.
    pub seconds: f64,
}

/// How a paper stands.
#[derive(Clone, PartialEq, Debug)]
pub enum Standing {
    /// Nothing was recorded.
    NotRun,
    /// The record is of something else than what is there now; with what changed.
    Stale(Box<Record>, Vec<&'static str>),
    /// The record is of what is there.
    Recorded(Box<Record>),
    /// result.json cannot be read.
    Unreadable(String),
}

impl Standing {
    /// Compares the record with what there is now.
    pub fn of(result: Option<&str>, digests: &Digests, numerics: u32) -> Self {
        let Some(text) = result else { return Self::NotRun };
        let record: Box<Record> = match serde_json::from_str(text) {
            Ok(record) => Box::new(record),
            Err(error) => return Self::Unreadable(error.to_string()),
        };
        let mut changed = digests.changed(&record.digests);
        if record.numerics != numerics {
            changed.push("numerics");
        }
        if changed.is_empty() { Self::Recorded(record) } else { Self::Stale(record, changed) }
    }

    /// `held`, `not held`, `inconclusive`, `stale (claim)`, `not run`.
    pub fn words(&self) -> String {
        match self {
            Self::NotRun => "not run".to_owned(),
            Self::Unreadable(_) => "unreadable".to_owned(),
            Self::Stale(_, changed) => format!("stale ({})", changed.join(", ")),
            Self::Recorded(record) => record.primary.verdict.outcome.words().to_owned(),
        }
    }

    /// The record, stale or not.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Recorded(record) | Self::Stale(record, _) => Some(record),
            Self::NotRun | Self::Unreadable(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(recipe: &str) -> Digests {
        Digests { recipe: recipe.to_owned(), ..Digests::default() }
    }

    fn text() -> String {
        let verdict: Verdict = serde_json::from_value(serde_json::json!({
            "outcome": "held", "refuted": false, "open": false, "rule": "r", "why": "w", "notes": [], "p": 0.01,
            "evidence": null, "parts": [],
        }))
        .expect("a verdict");
        let record = Record {
            date: "2026-11-23T00:00:00Z".to_owned(),
            commit: "abc".to_owned(),
            version: "0.1.0".to_owned(),
            numerics: 1,
            device: "cpu (avx512)".to_owned(),
            digests: digests("a"),
            seeds: vec![0, 1],
            primary: StatedVerdict { says: "it works".to_owned(), verdict },
            secondary: Vec::new(),
            values: BTreeMap::from([(
                "method".to_owned(),
                BTreeMap::from([("m".to_owned(), BTreeMap::from([(0, Some(0.1 + 0.2)), (1, None)]))]),
            )]),
            ledger: vec![ArmLedger::default()],
            minutes: 1.5,
        };
        let text = serde_json::to_string_pretty(&record).expect("plain data");
        assert_eq!(serde_json::from_str::<Record>(&text).expect("the same"), record);
        text
    }

    #[test]
    fn a_record_is_stale_when_anything_changed() {
        let text = text();
        let words =
            |result: Option<&str>, recipe, numerics| Standing::of(result, &digests(recipe), numerics).words();
        assert_eq!(words(Some(&text), "a", 1), "held");
        assert_eq!(words(Some(&text), "b", 1), "stale (recipe)");
        assert_eq!(words(Some(&text), "b", 2), "stale (recipe, numerics)");
        assert_eq!(words(None, "a", 1), "not run");
        assert_eq!(words(Some("{"), "a", 1), "unreadable");
    }
}
