//! What the runs measured, as a table of arms, seeds and metrics.

use std::collections::BTreeMap;

use regimen_base::Result;
use regimen_core::evaluate::{SetResult, Tally};
use regimen_core::regimen::read_results;
use regimen_core::run::{LedgerRow, RunDir, StageDir};
use regimen_papers::{ArmLedger, Claims, Metric, Score, Sum};
use regimen_recipe::Resolved;
use regimen_stats::{Cell, Curve, Table};

use super::jobs::{Job, Left};

/// The complete runs, read.
#[derive(Default)]
pub struct Runs {
    /// For claims.
    pub table: Table,
    /// What every complete run took, by arm and seed.
    pub ledgers: BTreeMap<String, BTreeMap<u64, LedgerRow>>,
    /// Numbers at the end of runs: arm, metric, seed.
    pub values: BTreeMap<String, BTreeMap<String, BTreeMap<u64, Option<f64>>>>,
}

impl Runs {
    /// Reads all that is complete.
    pub fn read<'a>(jobs: impl IntoIterator<Item = &'a Job>, claims: &Claims) -> Result<Self> {
        let mut runs = Self::default();
        for job in jobs {
            if job.left() == Left::Nothing {
                runs.add(job, claims)?;
            }
        }
        Ok(runs)
    }

    /// Reads one run, which is complete.
    pub fn add(&mut self, job: &Job, claims: &Claims) -> Result<()> {
        let Some(run) = job.run() else { return Ok(()) };
        let seeds = self.ledgers.entry(job.arm.clone()).or_default();
        if seeds.insert(job.seed, whole(&run)?).is_some() {
            return Ok(());
        }
        for name in claims.metrics() {
            let cell = cell(&run, name, &job.resolved)?;
            let value = match &cell {
                Some(Cell::Value(v)) => Some(*v),
                Some(Cell::Curve(curve)) => curve.points().last().map(|p| p.1),
                None => None,
            };
            let by_metric = self.values.entry(job.arm.clone()).or_default();
            by_metric.entry(name.to_owned()).or_default().insert(job.seed, value.filter(|v| v.is_finite()));
            if let Some(cell) = cell {
                self.table.insert(&job.arm, job.seed, name, cell)?;
            }
        }
        Ok(())
    }

    /// What an arm takes for one seed, on average.
    pub fn ledger(&self, arm: &str) -> ArmLedger {
        let rows: Vec<&LedgerRow> = self.ledgers.get(arm).into_iter().flat_map(BTreeMap::values).collect();
        let mean = |of: fn(&LedgerRow) -> f64| {
            rows.iter().map(|row| of(row)).sum::<f64>() / rows.len().max(1) as f64
        };
        ArmLedger {
            arm: arm.to_owned(),
            steps: mean(|r| r.steps as f64),
            tokens: mean(|r| r.tokens as f64),
            generated_tokens: mean(|r| r.generated_tokens as f64),
            flops: mean(|r| r.flops),
            seconds: mean(|r| r.seconds),
        }
    }
}

/// The sum over a run's stages.
pub fn whole(run: &RunDir) -> Result<LedgerRow> {
    let mut sum = LedgerRow::default();
    for row in run.manifest()?.stages {
        sum.steps += row.steps;
        sum.tokens += row.tokens;
        sum.generated_tokens += row.generated_tokens;
        sum.flops += row.flops;
        sum.seconds += row.seconds;
        sum.peak_bytes = sum.peak_bytes.max(row.peak_bytes);
    }
    Ok(sum)
}

/// A metric of a run, as the claims name it; none where the run has none.
pub fn cell(run: &RunDir, name: &str, recipe: &Resolved) -> Result<Option<Cell>> {
    let Ok(metric) = Metric::of(name, recipe) else { return Ok(None) };
    match metric {
        Metric::Score(stage, set, score) => {
            let Some(dir) = stage_of(run, &stage)? else { return Ok(None) };
            let results = read_results(&dir)?.unwrap_or_default();
            let result = results.iter().find(|result| result.name == set);
            Ok(result.and_then(|result| score_of(result, score)).map(Cell::Value))
        }
        Metric::Probed(stage, set, name) => {
            let Some(dir) = stage_of(run, &stage)? else { return Ok(None) };
            let results = read_results(&dir)?.unwrap_or_default();
            let result = results.iter().find(|result| result.name == set);
            Ok(result.and_then(|result| result.probes.get(&name)).copied().map(Cell::Value))
        }
        Metric::Curve(stage, name) => {
            let Some(dir) = stage_of(run, &stage)? else { return Ok(None) };
            let points = curve(&dir, &name)?;
            Ok(if points.is_empty() { None } else { Some(Cell::Curve(Curve::new(points)?)) })
        }
        Metric::Ledger(stage, sum) => {
            let row = match stage {
                None => Some(whole(run)?),
                Some(id) => run.manifest()?.stages.into_iter().find(|row| row.stage == id),
            };
            Ok(row.map(|row| Cell::Value(sum_of(&row, sum))))
        }
    }
}

/// A metric over a stage's steps.
pub fn curve(dir: &StageDir, name: &str) -> Result<Vec<(f64, f64)>> {
    let rows = dir.read_metrics()?;
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((row.step as f64, *row.values.get(name)?))).collect();
    // a step that was logged twice counts once: the later line is the whole one
    points.reverse();
    points.dedup_by_key(|p| p.0 as u64);
    points.reverse();
    Ok(points)
}

pub fn stage_of(run: &RunDir, id: &str) -> Result<Option<StageDir>> {
    Ok(run.stages()?.into_iter().find(|stage| stage.id() == id))
}

fn score_of(result: &SetResult, score: Score) -> Option<f64> {
    let share = |part: fn(&Tally) -> f64| result.replies.as_ref().map(part);
    match score {
        Score::ExactMatch => share(Tally::mean),
        Score::Answered => share(|t| t.parsed as f64 / t.n.max(1) as f64),
        Score::CutOff => share(|t| t.truncated as f64 / t.n.max(1) as f64),
        Score::Loss => result.loss,
        Score::BitsPerByte => result.bits_per_byte,
        Score::ReplyTokens => result.reply_tokens,
        Score::Preferred => result.preferred.as_ref().map(Tally::mean),
        Score::Gain => result.gain,
    }
}

fn sum_of(row: &LedgerRow, sum: Sum) -> f64 {
    match sum {
        Sum::Steps => row.steps as f64,
        Sum::Tokens => row.tokens as f64,
        Sum::GeneratedTokens => row.generated_tokens as f64,
        Sum::Flops => row.flops,
        Sum::Seconds => row.seconds,
    }
}
