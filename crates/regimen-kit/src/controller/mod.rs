//! Controllers.

mod alternate;
mod anneal;
mod clamp;
mod random_route;
mod route;
mod schedule;
mod stop_when;

pub use alternate::Alternate;
pub use anneal::Anneal;
pub use clamp::Window;
pub use random_route::RandomRoute;
pub use route::Route;
pub use schedule::Schedule;
pub use stop_when::StopWhen;

use regimen_core::controller::Controller;
use regimen_core::registry::Table;

/// The room's table.
pub static TABLE: Table<dyn Controller> = &[
    alternate::PIECE,
    anneal::PIECE,
    clamp::PIECE,
    random_route::PIECE,
    route::PIECE,
    schedule::PIECE,
    stop_when::PIECE,
];
