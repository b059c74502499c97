//! Advantages: how much better an episode was than its group.

/// Turns the rewards of one group into advantages.
pub trait Advantage: Send {
    /// `rewards` holds one entry an episode; `None` where no reward exists. The result has the same length; `None`
    /// leaves the episode out of the loss.
    fn advantages(&self, rewards: &[Option<f64>]) -> Vec<Option<f64>>;
}
