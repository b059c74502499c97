//! The shape of the learning rate over a stage.

/// A factor on the learning rate as a function of the step. Stateless, so that resume cannot shift it.
pub trait Schedule: Send {
    /// The factor for optimiser step `step` (from 0) of a stage of `total` steps.
    fn factor(&self, step: u64, total: u64) -> f64;
}
