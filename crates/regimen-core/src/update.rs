//! How the gradient of a batch becomes a step: what happens between the backward pass and the optimiser, and behind it.

use regimen_base::Persist;
use regimen_nn::Net;

/// Sees a net and its gradient around every optimiser step. It may change the gradient, and nothing else.
pub trait Update: Persist + Send {
    /// Makes room for one net's state. Called once before the first step and before [`Persist::load`].
    fn attach(&mut self, net: &dyn Net);
    /// Before the optimiser's step number `step` (from 0): the gradient of the whole batch is complete. What it returns is
    /// told in the metrics.
    fn before(&mut self, net: &mut dyn Net, step: u64) -> Vec<(&'static str, f64)>;
    /// After the step, on the new weights.
    fn after(&mut self, net: &dyn Net, step: u64);
}
