//! Writes down what a stage does: metrics, episodes, checkpoints.

use std::collections::BTreeMap;

use regimen_base::{Length, Persist, Result, State};
use regimen_kernels::span;
use regimen_recipe::Node;

use super::Observer;
use crate::evaluate::{SetResult, question};
use crate::reward::Outcome;
use crate::run::{Clock, EpisodeRecord, Metrics, StageDir, peak_memory};
use crate::stage::{Drawn, Progress, Stage, Watch};

/// How often things happen, in steps; 0 is never.
#[derive(Clone, Debug)]
pub struct Periods {
    checkpoint: u64,
    log: u64,
    evaluation: u64,
    /// Further steps after which to evaluate.
    at: Vec<u64>,
}

/// Checkpoints kept besides a stage's last.
const KEEP: usize = 2;

/// Steps between checkpoints when the recipe does not say.
const CHECKPOINT_EVERY: u64 = 500;

impl Periods {
    /// What the stage's table says.
    pub fn of(node: &Node) -> Self {
        let steps = |length: Option<Length>| match length {
            Some(Length::Steps(n)) => n,
            _ => 0,
        };
        let checkpoint = node.opt_length("checkpoint-every").map_or(CHECKPOINT_EVERY, |l| steps(Some(l)));
        Self {
            checkpoint,
            log: steps(node.opt_length("log-every")).max(1),
            evaluation: steps(node.opt_length("eval-every")),
            at: node.u64s("eval-at"),
        }
    }
}

type Evaluate<'a> = &'a mut dyn FnMut(&mut Stage) -> Result<Vec<SetResult>>;

/// The one who keeps records.
pub struct Recorder<'a> {
    dir: &'a StageDir,
    metrics: Metrics,
    periods: Periods,
    observer: &'a mut dyn Observer,
    evaluate: Evaluate<'a>,
    clock: Clock,
    work: u64,
}

impl<'a> Recorder<'a> {
    /// Takes up the records where the checkpoint left them.
    pub fn new(
        dir: &'a StageDir,
        rows: Option<u64>,
        step: u64,
        periods: Periods,
        observer: &'a mut dyn Observer,
        evaluate: Evaluate<'a>,
    ) -> Result<Self> {
        dir.discard_episodes_after(step)?;
        let metrics = dir.metrics(rows)?;
        Ok(Self { dir, metrics, periods, observer, evaluate, clock: Clock::start(), work: 0 })
    }
}

fn due(period: u64, step: u64) -> bool {
    period != 0 && step.is_multiple_of(period)
}

impl Watch for Recorder<'_> {
    fn step(&mut self, progress: &Progress, drawn: &[Drawn]) -> Result<()> {
        let _part = span("records");
        let seconds = self.clock.lap().max(1e-9);
        let work = progress.counters.tokens + progress.counters.generated;
        let speed = work.saturating_sub(self.work) as f64 / seconds;
        // after a resume the first step has no step before it to be measured against
        let speed = if self.work == 0 && progress.step > 1 { 0.0 } else { speed };
        self.work = work;
        if due(self.periods.log, progress.step) || progress.step == progress.total {
            let mut values = progress.readings.clone();
            values.insert("step_time".to_owned(), seconds);
            values.insert("perf/tokens_per_second".to_owned(), speed);
            values.insert("perf/peak_memory".to_owned(), peak_memory().unwrap_or(0) as f64);
            self.metrics.log(progress.step, &values)?;
            let episodes = records(drawn);
            if !episodes.is_empty() {
                self.dir.write_episodes(progress.step, &episodes)?;
            }
        }
        self.observer.step(progress, speed);
        Ok(())
    }

    fn wants_checkpoint(&self, step: u64) -> bool {
        due(self.periods.checkpoint, step)
    }

    fn checkpoint(&mut self, stage: &Stage, last: bool) -> Result<()> {
        let _part = span("checkpoint");
        self.metrics.sync()?;
        let mut state = State::new().with("rows", self.metrics.rows());
        state.nest("stage", stage.save());
        let mut saving = self.dir.begin(stage.counters.step)?;
        for (name, bytes) in stage.policy.files() {
            saving.file(&name, &bytes)?;
        }
        saving.file("trainer_state.json", trainer_state(stage).as_bytes())?;
        saving.state(&state)?;
        saving.commit(last)?;
        self.dir.prune(KEEP)?;
        self.clock.lap();
        Ok(())
    }

    fn wants_evaluation(&self, step: u64) -> bool {
        step > 0 && due(self.periods.evaluation, step) || self.periods.at.contains(&step)
    }

    fn evaluate(&mut self, stage: &mut Stage) -> Result<()> {
        let _part = span("evaluate");
        let results = (self.evaluate)(stage)?;
        let mut values = BTreeMap::new();
        for result in &results {
            if let Some(replies) = &result.replies {
                values.insert(format!("eval/{}/exact_match", result.name), replies.mean());
            }
            if let Some(preferred) = &result.preferred {
                values.insert(format!("eval/{}/preferred", result.name), preferred.mean());
            }
            if let Some(tokens) = result.reply_tokens {
                values.insert(format!("eval/{}/reply_tokens", result.name), tokens);
            }
            if let Some(loss) = result.loss {
                values.insert(format!("eval/{}/loss", result.name), loss);
            }
            if let Some(gain) = result.gain {
                values.insert(format!("eval/{}/gain", result.name), gain);
            }
            let probed = |(name, value): (&String, &f64)| (format!("eval/{}/{name}", result.name), *value);
            values.extend(result.probes.iter().map(probed));
            if let Some(bits) = result.bits_per_byte {
                values.insert(format!("eval/{}/bpb", result.name), bits);
            }
        }
        self.metrics.log(stage.counters.step, &values)?;
        self.observer.evaluated(&stage.id, &results);
        self.clock.lap();
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}

/// Transformers' keys, for tools that read them.
fn trainer_state(stage: &Stage) -> String {
    let epoch = stage.streams.iter().find_map(|s| s.feed.epoch());
    let state = serde_json::json!({
        "global_step": stage.counters.step,
        "max_steps": stage.total,
        "epoch": epoch,
        "num_input_tokens_seen": stage.counters.tokens,
        "total_flos": stage.counters.flops,
        "log_history": [],
    });
    format!("{state:#}\n")
}

/// The drawn episodes as they are kept.
fn records(drawn: &[Drawn]) -> Vec<EpisodeRecord> {
    let mut records = Vec::new();
    for (stream, groups) in drawn {
        for (g, (group, scored, advantages)) in groups.iter().enumerate() {
            for (e, episode) in group.episodes.iter().enumerate() {
                let part = |(i, outcomes): (usize, &Vec<Outcome>)| {
                    let value = match &outcomes[e] {
                        Outcome::Score(x) => Some(*x),
                        _ => None,
                    };
                    (scored.names[i].clone(), value)
                };
                let cause = |(i, outcomes): (usize, &Vec<Outcome>)| match &outcomes[e] {
                    Outcome::Error(cause) => Some((scored.names[i].clone(), cause.clone())),
                    _ => None,
                };
                let task = group.example.columns.get("task").and_then(|t| t.as_str()).unwrap_or(stream);
                records.push(EpisodeRecord {
                    task: task.to_owned(),
                    group: g as u64,
                    prompt: question(&group.example),
                    completion: episode.text.clone(),
                    tokens: episode.completion().iter().map(|t| t.id).collect(),
                    rewards: scored.parts.iter().enumerate().map(part).collect(),
                    reward: scored.total[e],
                    advantage: advantages[e],
                    stop: episode.stop.name().to_owned(),
                    length: episode.drawn(),
                    causes: scored.parts.iter().enumerate().filter_map(cause).collect(),
                });
            }
        }
    }
    records
}
