//! Counters of a stage: what it has done so far.

use regimen_base::{Persist, State, StateError};

/// What a stage has done.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Counters {
    /// Optimiser steps.
    pub step: u64,
    /// Tokens that the trained net read in training.
    pub tokens: u64,
    /// Tokens that carried loss.
    pub loss_tokens: u64,
    /// Tokens drawn by rollouts.
    pub generated: u64,
    /// Units (examples, episodes) trained on.
    pub units: u64,
    /// Floating-point operations, estimated: 6 × parameters a trained token, 2 × a read one.
    pub flops: f64,
}

impl Persist for Counters {
    fn save(&self) -> State {
        State::new()
            .with("step", self.step)
            .with("tokens", self.tokens)
            .with("loss-tokens", self.loss_tokens)
            .with("generated", self.generated)
            .with("units", self.units)
            .with("flops", self.flops)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        *self = Self {
            step: state.take_u64("step")?,
            tokens: state.take_u64("tokens")?,
            loss_tokens: state.take_u64("loss-tokens")?,
            generated: state.take_u64("generated")?,
            units: state.take_u64("units")?,
            flops: state.take_f64("flops")?,
        };
        state.finish()
    }
}
