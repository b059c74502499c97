//! Statistics over runs and items: intervals and, later, tests over seeds. Pure functions of numbers.

mod interval;
mod mean;

pub use interval::{Interval, wilson};
pub use mean::{Estimate, mean};
