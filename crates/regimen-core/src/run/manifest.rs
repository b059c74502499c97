//! `manifest.json`: what ran, on what, with what, and what it took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts about a run. Written at the start, after every stage and at the end.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Regimen's version.
    pub version: String,
    /// [`digest`] of the resolved recipe.
    pub recipe: String,
    /// [`digest`] of every data file, by its path.
    pub data: BTreeMap<String, String>,
    /// The run's seed.
    pub seed: u64,
    /// Runs of one class end in the same bytes.
    pub device: DeviceClass,
    /// [`digest`] of the program's own file; empty where the system does not tell.
    #[serde(default)]
    pub program: String,
    /// See [`super::host_facts`].
    pub host: BTreeMap<String, String>,
    /// When it began, UTC.
    pub started: String,
    /// When it ended, UTC.
    pub ended: Option<String>,
    /// How far it came.
    pub status: Status,
    /// The ledger, one row a stage.
    pub stages: Vec<LedgerRow>,
}

impl Manifest {
    /// Enters a stage's row, in the place of an older one.
    pub fn enter(&mut self, row: LedgerRow) {
        match self.stages.iter_mut().find(|old| old.stage == row.stage) {
            Some(old) => *old = row,
            None => self.stages.push(row),
        }
    }
}

/// What decides the last bits of the arithmetic, and the threads, which do not.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DeviceClass {
    /// `cpu`, `vulkan`, …
    pub device: String,
    /// The instruction set that the kernels chose.
    pub isa: String,
    /// Threads at work.
    pub threads: usize,
}

/// How far a run came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It runs, or was killed.
    #[default]
    Running,
    /// Stopped after a full checkpoint, by Ctrl-C or SIGTERM.
    Interrupted,
    /// Ended with an error.
    Failed,
    /// All stages are done.
    Complete,
}

/// What one stage took, resumes included.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The stage's id.
    pub stage: String,
    /// Optimiser steps.
    pub steps: u64,
    /// Tokens that the model was trained on, context included.
    pub tokens: u64,
    /// Tokens that the model wrote.
    pub generated_tokens: u64,
    /// Floating-point operations of training and generation, as planned from the shapes.
    pub flops: f64,
    /// Seconds of wall-clock time.
    pub seconds: f64,
    /// The most memory the process held by the end of the stage, in bytes; 0 when unknown.
    pub peak_bytes: u64,
}

/// The digest of `bytes` as `blake3:<64 hex digits>`.
pub fn digest(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let manifest = Manifest {
            seed: u64::MAX,
            status: Status::Interrupted,
            stages: vec![LedgerRow { flops: 1.234_567_890_123e18, seconds: 0.1, ..LedgerRow::default() }],
            ..Manifest::default()
        };
        let text = serde_json::to_string_pretty(&manifest).unwrap();
        assert!(text.contains("\"status\": \"interrupted\""));
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }

    /// The digest of nothing, from the reference implementation.
    #[test]
    fn digests_are_blake3() {
        assert_eq!(digest(b""), "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }
}
