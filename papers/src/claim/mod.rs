//! `claim.toml`: what a paper's runs have to show, fixed before they are made.

mod metric;
mod quantity;
mod read;
mod spec;

pub use metric::{Metric, Score, Sum};
pub use read::{Claims, Stated};
pub use spec::{FORM, KINDS};
