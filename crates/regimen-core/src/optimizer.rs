//! Optimisers work on flat slices: parameters, gradients and their own state share one layout.

use regimen_base::State;
use regimen_nn::Params;

/// What an optimiser step needs besides the gradients.
#[derive(Clone, Copy, Debug)]
pub struct StepCx {
    /// Learning rate of this step, after the schedule.
    pub lr: f64,
    /// Factor on every gradient, from clipping.
    pub scale: f64,
}

/// Turns gradients into new weights.
pub trait Optimizer: Send {
    /// Makes room for one net's state. Called once before the first step and before [`Optimizer::load`].
    fn attach(&mut self, params: &Params);
    /// One step: `params.flat -= …`. Frozen entries of `params` are left alone.
    fn step(&mut self, params: &mut Params, grads: &[f32], cx: StepCx);
    /// Its state, keyed by parameter path.
    fn save(&self, params: &Params) -> State;
    /// Reads its state back.
    fn load(&mut self, params: &Params, state: State) -> Result<(), regimen_base::StateError>;
    /// Bytes of state for `parameters` trained parameters, for the memory plan.
    fn bytes(&self, parameters: u64) -> u64;
}
