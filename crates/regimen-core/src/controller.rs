//! Controllers read signals and return actions; they never touch anything themselves.

use std::collections::BTreeMap;

use regimen_base::{Key, Persist};

/// What happened last in the stage, by metric name (`loss`, `grad_norm`, `reward`, …).
pub type Signals = BTreeMap<String, f64>;

/// When a controller is asked.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// Before the given optimiser step (counted from 0) of a stage of `total` steps, when that is known.
    Step {
        /// The step that comes.
        step: u64,
        /// The stage's length in steps.
        total: Option<u64>,
    },
}

/// What a controller wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Gives a knob a value.
    Set {
        /// The knob's path, such as `lr` or `stream.rl.weight`.
        knob: String,
        /// Its new value.
        value: f64,
    },
    /// Only this stream trains in the coming step.
    Route(String),
    /// Lets a clamp of the stage hold.
    Clamp(String),
    /// Lets a clamp of the stage go.
    Release(String),
    /// Ends the stage before the coming step, for the given reason.
    Stop(String),
}

/// Which knobs a controller writes; two writers of one knob are an error of the plan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wiring {
    /// Signals it reads.
    pub reads: Vec<String>,
    /// Knobs it writes.
    pub writes: Vec<String>,
}

/// Steers a stage while it runs.
pub trait Controller: Persist + Send {
    /// What it reads and writes.
    fn wiring(&self) -> Wiring;
    /// Asked before each step; `key` is this controller's own for this step.
    fn react(&mut self, event: Event, signals: &Signals, key: Key) -> Vec<Action>;
}
