//! The ground floor: keys for every random draw, units of training time, saved state, errors with a remedy.
//!
//! Nothing here touches a file, a clock, the network or the environment, and nothing depends on a tensor library.

mod error;
mod guard;
mod key;
mod length;
mod rng;
mod split;
mod state;

pub use error::{Error, Exit, Result, ResultExt};
pub use guard::{guarded, is_guarded};
pub use key::Key;
pub use length::{Length, LengthError};
pub use rng::Rng;
pub use split::Split;
pub use state::{Persist, State, StateError};
