//! `random-route`: before every step one of several streams is drawn, with constant chances.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// The stream that is drawn trains alone in the coming step.
pub struct RandomRoute {
    /// (stream, weight); weights from 0 up, not all 0.
    pub between: Vec<(String, f64)>,
}

impl Controller for RandomRoute {
    fn wiring(&self) -> Wiring {
        Wiring::default()
    }

    fn react(&mut self, _: Event, _: &Signals, key: Key) -> Vec<Action> {
        let total: f64 = self.between.iter().map(|(_, weight)| weight).sum();
        let mut left = key.rng().f64() * total;
        let mut drawn = self.between.iter().filter(|(_, weight)| *weight > 0.0);
        let hit = drawn.find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // rounding may leave nothing of the last one's share
        let last = self.between.iter().rev().find(|(_, weight)| *weight > 0.0);
        hit.or(last).map(|(stream, _)| Action::Route(stream.clone())).into_iter().collect()
    }
}

/// A draw is a function of the step's key: there is nothing to save.
impl Persist for RandomRoute {
    fn save(&self) -> State {
        State::new()
    }

    fn load(&mut self, state: State) -> Result<(), StateError> {
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Controller> = Piece {
    spec: KindSpec::new(
        Room::Controller,
        "random-route",
        "before every step one of several streams is drawn, with constant chances, and trains alone",
        &[
            Field::new("between", Ty::List(&Ty::Name(Names::Stream)), "the streams").required(),
            Field::new("weights", Ty::List(&Ty::Float), "chance of each, up to a common factor")
                .required()
                .min(0.0),
        ],
    )
    .example(r#"{ kind = "random-route", between = ["sft", "rl"], weights = [0.3, 0.7] }"#),
    build: |node, _| {
        let (between, weights) = (node.strs("between"), node.f64s("weights"));
        if weights.len() != between.len() || weights.iter().all(|w| *w == 0.0) {
            return Err(node.error("`weights` must have one entry for each stream of `between`, not all 0"));
        }
        Ok(Box::new(RandomRoute { between: between.into_iter().map(str::to_owned).zip(weights).collect() }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_the_weights() {
        let weights = [("sft", 1.0), ("never", 0.0), ("rl", 3.0)];
        let mut route = RandomRoute { between: weights.map(|(s, w)| (s.to_owned(), w)).to_vec() };
        let mut draw = |step| {
            let event = Event::Step { step, total: None };
            route.react(event, &Signals::new(), Key::new(4).at(step))
        };
        let drawn: Vec<Vec<Action>> = (0..4000).map(&mut draw).collect();
        let of = |name: &str| drawn.iter().filter(|a| **a == [Action::Route(name.into())]).count();
        assert!((900..1100).contains(&of("sft")), "{}", of("sft"));
        assert_eq!((of("never"), of("sft") + of("rl")), (0, 4000));
        assert_eq!(draw(7), drawn[7], "a function of the key");
    }
}
