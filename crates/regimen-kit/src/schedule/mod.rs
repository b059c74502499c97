//! Learning-rate schedules.

mod shapes;

pub use shapes::{Shape, Shaped, Warmup};

use regimen_core::registry::Table;
use regimen_core::schedule::Schedule;

/// The room's table.
pub static TABLE: Table<dyn Schedule> = &[shapes::CONSTANT, shapes::COSINE, shapes::LINEAR, shapes::WSD];
