//! Streams: where units come from and which objectives they meet.

use regimen_base::{Persist, State, StateError};

use crate::feed::{DataFeed, RolloutFeed};
use crate::objective::Weighted;

/// Where a stream's units come from.
pub enum Feed {
    /// Static examples.
    Data(Box<DataFeed>),
    /// Episodes of the policy.
    Rollout(Box<RolloutFeed>),
}

impl Feed {
    /// How often the data has been passed over; `None` for endless tasks.
    pub fn epoch(&self) -> Option<f64> {
        match self {
            Self::Data(feed) => feed.supply.epoch(),
            Self::Rollout(feed) => feed.supply.epoch(),
        }
    }
}

impl Persist for Feed {
    fn save(&self) -> State {
        match self {
            Self::Data(feed) => feed.save(),
            Self::Rollout(feed) => feed.save(),
        }
    }

    fn load(&mut self, state: State) -> Result<(), StateError> {
        match self {
            Self::Data(feed) => feed.load(state),
            Self::Rollout(feed) => feed.load(state),
        }
    }
}

/// Data or rollouts with their objectives.
pub struct Stream {
    /// Its name in the recipe.
    pub name: String,
    /// Its factor in the loss, before controllers.
    pub weight: f64,
    /// Where its units come from.
    pub feed: Feed,
    /// What is made of them.
    pub objectives: Vec<Weighted>,
    /// Which path of a net of several reads its rows; `None` where rows are for all.
    pub placing: Option<Placing>,
}

/// Which path of a net reads a stream's rows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Placing {
    /// The path, before controllers.
    pub path: usize,
    /// On how many paths the loss of fresh rows is told.
    pub compare: usize,
}
