//! One measurement of our own, in the process that measures nothing else.

use std::path::PathBuf;

use regimen_base::Result;
use regimen_core::run::peak_memory;
use serde_json::{Value, json};

use super::engine::OURS;
use super::model::model;
use super::summary::median;
use super::train::{Trained, Training};
use super::{Row, Size, Work, decode, distance, limit, train};

/// What to measure.
pub struct Child {
    pub work: Work,
    pub size: Size,
    /// Training steps, or repetitions of the batch.
    pub steps: u64,
    /// The checkpoint to start from.
    pub folder: Option<PathBuf>,
    /// When the process was started, in seconds since 1970.
    pub started: Option<f64>,
}

impl Child {
    /// Measures.
    ///
    /// # Errors
    /// An unusable checkpoint, or what training and decoding say.
    pub fn measure(&self) -> Result<Row> {
        let mut row = match self.work {
            // a pair is two processes of this kind
            Work::Train | Work::Pair => self.train(Training::Next)?,
            Work::Sft => self.train(Training::Worked)?,
            Work::Dpo => self.train(Training::Preferred)?,
            Work::Grpo => self.train(Training::Asked)?,
            Work::Decode => self.decode()?,
            Work::Limit => self.limit(),
        };
        let common = json!({ "bench": self.work.name(), "peer": OURS, "size": self.size.name(), "threads": regimen_kernels::threads() });
        if let (Some(row), Value::Object(common)) = (row.as_object_mut(), common) {
            row.extend(common);
        }
        Ok(Row(row))
    }

    fn train(&self, work: Training) -> Result<Value> {
        let trained = train::run(work, self.size, model(self.size, self.folder.as_deref())?, self.steps)?;
        let step = median(trained.kept());
        Ok(json!({
            "steps": self.steps,
            "tok_s": self.tokens(&trained) / step,
            "trained_tokens": self.tokens(&trained),
            "step_ms": step * 1e3,
            "min_ms": least(trained.kept()) * 1e3,
            "first_step_s": self.since_start(trained.first),
            "rss_mb": peak_mb(),
            "losses": trained.losses,
        }))
    }

    fn decode(&self) -> Result<Value> {
        let decoded = decode::run(&model(self.size, self.folder.as_deref())?, decode::ROWS, self.steps)?;
        Ok(decode::row(&decoded, decode::ROWS, self.started))
    }

    fn limit(&self) -> Value {
        let limit = limit::run(self.size);
        json!({
            "gflop_s": limit.rate / 1e9,
            "sgemm_gflop_s": limit.large_rate / 1e9,
            "round_trip_ns": distance::round_trip(),
            "products_ms": limit.products * 1e3,
            "sgemm_ms": limit.large * 1e3,
        })
    }

    /// Tokens of a step: of full documents those that are predicted, as the peers count them.
    fn tokens(&self, trained: &Trained) -> f64 {
        if self.work == Work::Train { self.size.step_tokens() as f64 } else { trained.tokens }
    }

    fn since_start(&self, at: f64) -> Option<f64> {
        self.started.map(|started| at - started)
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The most memory that this process has held, in MiB.
pub fn peak_mb() -> Option<f64> {
    peak_memory().map(|bytes| (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0)
}
