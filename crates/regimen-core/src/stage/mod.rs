//! A training stage: nets, streams, optimiser and controllers, and the one loop over them.

mod gradient;
mod paths;
mod signals;
mod step;
mod stream;
mod train;

pub(crate) use paths::{paths_of, placed};
pub use signals::Counters;
pub use step::Drawn;
pub use stream::{Feed, Placing, Stream};
pub use train::{End, Progress, Watch, train};

use std::collections::BTreeMap;

use regimen_base::{Key, Persist, State, StateError};
use regimen_nn::Net;

use crate::clamps::Clamps;
use crate::controller::{Controller, Signals};
use crate::generate::Generator;
use crate::knobs::Knobs;
use crate::model::Model;
use crate::optimizer::Optimizer;
use crate::probe::{Periods, Probe};
use crate::schedule::Schedule;
use crate::update::Update;

/// A stage under way. Everything that changes while it runs is in [`Stage::save`].
pub struct Stage {
    /// Its name.
    pub id: String,
    /// Where its randomness comes from.
    pub key: Key,
    /// Its length in optimiser steps.
    pub total: u64,
    /// The net that trains.
    pub policy: Model,
    /// The other members of the cast.
    pub casts: BTreeMap<String, Box<dyn Net>>,
    /// What it trains on.
    pub streams: Vec<Stream>,
    /// What happens around the optimiser's step.
    pub update: Box<dyn Update>,
    /// Turns gradients into weights.
    pub optimizer: Box<dyn Optimizer>,
    /// The shape of the learning rate.
    pub schedule: Box<dyn Schedule>,
    /// The learning rate before schedule and controllers.
    pub lr: f64,
    /// Largest global norm of the gradient; larger ones are scaled down to it. 0 is off.
    pub max_grad_norm: f64,
    /// Most tokens in a micro-batch.
    pub micro_batch_tokens: usize,
    /// Activations that are held.
    pub clamps: Clamps,
    /// What reads the batches, by name.
    pub probes: Vec<(String, Box<dyn Probe>)>,
    /// When.
    pub probe_periods: Periods,
    /// What steers it.
    pub controllers: Vec<(String, Box<dyn Controller>)>,
    /// The numbers they may turn.
    pub knobs: Knobs,
    /// What it has done.
    pub counters: Counters,
    /// The readings of the last step.
    pub signals: Signals,
    /// The decoding engine; packs the weights again after every update. A net of numbers has none.
    pub generator: Option<Generator>,
}

impl Persist for Stage {
    fn save(&self) -> State {
        let mut state = State::new();
        for (name, &value) in &self.signals {
            // NaN and infinities have no place in JSON, and no controller could use them
            if value.is_finite() {
                state = state.with(&format!("signals/{name}"), value);
            }
        }
        state.nest("counters", self.counters.save());
        state.nest("knobs", self.knobs.save());
        state.nest("update", self.update.save());
        state.nest("optimizer", self.optimizer.save(self.policy.net.params()));
        if !self.clamps.is_empty() {
            state.nest("clamps", self.clamps.save());
        }
        for stream in &self.streams {
            state.nest(&format!("stream/{}", stream.name), stream.feed.save());
        }
        for (name, controller) in &self.controllers {
            state.nest(&format!("controller/{name}"), controller.save());
        }
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        self.counters.load(state.take_nested("counters"))?;
        self.knobs.load(state.take_nested("knobs"))?;
        self.update.load(state.take_nested("update"))?;
        self.optimizer.load(self.policy.net.params(), state.take_nested("optimizer"))?;
        if !self.clamps.is_empty() {
            self.clamps.load(state.take_nested("clamps"))?;
        }
        for stream in &mut self.streams {
            stream.feed.load(state.take_nested(&format!("stream/{}", stream.name)))?;
        }
        for (name, controller) in &mut self.controllers {
            controller.load(state.take_nested(&format!("controller/{name}")))?;
        }
        let mut signals = state.take_nested("signals");
        self.signals.clear();
        for name in signals.facts.keys().cloned().collect::<Vec<_>>() {
            self.signals.insert(name.clone(), signals.take_f64(&name)?);
        }
        state.finish()
    }
}
