//! `route`: from given steps on, one given stream trains alone.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// A timetable: from each listed step on, only the stream beside it trains. Before the first, all do.
pub struct Route {
    /// (step, stream), ascending in step.
    pub table: Vec<(u64, String)>,
}

impl Controller for Route {
    fn wiring(&self) -> Wiring {
        Wiring::default()
    }

    fn react(&mut self, event: Event, _: &Signals, _: Key) -> Vec<Action> {
        let Event::Step { step, .. } = event;
        let now = self.table.iter().rev().find(|(from, _)| *from <= step);
        now.map(|(_, stream)| Action::Route(stream.clone())).into_iter().collect()
    }
}

/// A timetable is a function of the step: there is nothing to save.
impl Persist for Route {
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
        "route",
        "from given steps on, one given stream trains alone",
        &[
            Field::new("to", Ty::OneOrMany(&Ty::Name(Names::Stream)), "streams, in order").required(),
            Field::new("steps", Ty::List(&Ty::Count), "the step from which each of them trains, ascending")
                .or("[0]"),
        ],
    )
    .example(r#"{ kind = "route", to = ["sft", "rl"], steps = [0, 100] }"#),
    build: |node, _| {
        let (to, steps) = (node.strs("to"), node.u64s("steps"));
        if steps.len() != to.len() || !steps.is_sorted_by(|a, b| a < b) {
            return Err(node.error("`steps` must ascend and have one entry in `to` each"));
        }
        Ok(Box::new(Route { table: steps.into_iter().zip(to.into_iter().map(str::to_owned)).collect() }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_trains_until_the_next_one_is_due() {
        let mut route = Route { table: vec![(2, "sft".into()), (5, "rl".into())] };
        let mut at = |step| route.react(Event::Step { step, total: None }, &Signals::new(), Key::new(0));
        assert!(at(1).is_empty());
        for (step, stream) in [(2, "sft"), (4, "sft"), (5, "rl"), (50, "rl")] {
            assert_eq!(at(step), [Action::Route(stream.into())]);
        }
    }
}
