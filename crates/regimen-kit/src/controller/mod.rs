//! Controllers.

mod alternate;
mod anneal;
mod random_route;
mod route;
mod schedule;

pub use alternate::Alternate;
pub use anneal::Anneal;
pub use random_route::RandomRoute;
pub use route::Route;
pub use schedule::Schedule;

use regimen_core::controller::Controller;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Controller> =
    &[alternate::PIECE, anneal::PIECE, random_route::PIECE, route::PIECE, schedule::PIECE];
