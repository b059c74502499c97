//! Objectives.

mod cross_entropy;
mod dpo;
mod entropy;
mod grpo;
mod kl;
mod squared_error;
mod view_consistency;

pub use cross_entropy::CrossEntropy;
pub use dpo::{Dpo, Loss};
pub use entropy::Entropy;
pub use grpo::{Grpo, Ratio};
pub use kl::{Estimator, Kl};
pub use squared_error::SquaredError;
pub use view_consistency::ViewConsistency;

use burn::Tensor;
use regimen_base::{Error, Result};
use regimen_core::objective::Objective;
use regimen_core::registry::Table;

/// The room's table: one line a piece.
pub static TABLE: Table<dyn Objective> = &[
    cross_entropy::PIECE,
    dpo::PIECE,
    entropy::PIECE,
    grpo::PIECE,
    kl::PIECE,
    squared_error::PIECE,
    view_consistency::PIECE,
];

/// The numbers of a tensor, for readings.
fn read(tensor: &Tensor<1>) -> Result<Vec<f32>> {
    let data = tensor.clone().into_data();
    data.try_into_vec::<f32>().map_err(|e| Error::failed(format!("cannot read a tensor back: {e:?}")))
}
