//! The one training loop.

use std::collections::BTreeMap;

use regimen_base::Result;

use super::step::{Drawn, Verdict};
use super::{Counters, Stage};

/// What a step looks like from outside.
pub struct Progress<'a> {
    /// The stage.
    pub stage: &'a str,
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub total: u64,
    /// The step's readings.
    pub readings: &'a BTreeMap<String, f64>,
    /// What the stage has done.
    pub counters: &'a Counters,
}

/// Whoever looks on: writes metrics, shows progress, keeps checkpoints, and may ask for an end. It sees the training
/// only through shared references, so it cannot change a bit of it.
pub trait Watch {
    /// After every step.
    fn step(&mut self, progress: &Progress, drawn: &[Drawn]) -> Result<()>;
    /// Whether a checkpoint is due after this step.
    fn wants_checkpoint(&self, step: u64) -> bool;
    /// Keeps a checkpoint.
    fn checkpoint(&mut self, stage: &Stage, last: bool) -> Result<()>;
    /// Whether an evaluation is due after this step, or before the first one (0); `true` hands the stage to [`Watch::evaluate`].
    fn wants_evaluation(&self, step: u64) -> bool;
    /// Evaluates in the middle of a stage.
    fn evaluate(&mut self, stage: &mut Stage) -> Result<()>;
    /// Whether to stop after the present step.
    fn interrupted(&self) -> bool;
}

/// How a stage ended.
#[derive(Clone, PartialEq, Debug)]
pub enum End {
    /// All its steps are done, or a controller stopped it for the given reason.
    Finished(Option<String>),
    /// The user stopped it; it can be resumed.
    Interrupted,
}

/// events → actions → streams → batch → forward → terms → reduce → update → readings → checkpoint, until the end.
pub fn train(stage: &mut Stage, watch: &mut dyn Watch) -> Result<End> {
    let mut reason = None;
    if stage.counters.step == 0 && watch.wants_evaluation(0) {
        watch.evaluate(stage)?;
    }
    while stage.counters.step < stage.total {
        let route = match stage.consult()? {
            Verdict::Stop(why) => {
                reason = Some(why);
                break;
            }
            Verdict::Go(route) => route,
        };
        let stepped = stage.step(route.as_deref())?;
        let step = stage.counters.step;
        let readings = stepped.readings.values();
        let counters = stage.counters;
        watch.step(
            &Progress {
                stage: &stage.id,
                step,
                total: stage.total,
                readings: &readings,
                counters: &counters,
            },
            &stepped.drawn,
        )?;
        if step < stage.total && watch.wants_evaluation(step) {
            watch.evaluate(stage)?;
        }
        if watch.interrupted() && step < stage.total {
            watch.checkpoint(stage, false)?;
            return Ok(End::Interrupted);
        }
        if step < stage.total && watch.wants_checkpoint(step) {
            watch.checkpoint(stage, false)?;
        }
    }
    watch.checkpoint(stage, true)?;
    Ok(End::Finished(reason))
}
