//! `alternate`: streams train one after the other, in turns of fixed length.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// Each stream trains alone for its number of steps, then the next one; after the last it begins again.
pub struct Alternate {
    /// (stream, steps), in order; all steps above 0.
    pub turns: Vec<(String, u64)>,
}

impl Controller for Alternate {
    fn wiring(&self) -> Wiring {
        Wiring::default()
    }

    fn react(&mut self, event: Event, _: &Signals, _: Key) -> Vec<Action> {
        let Event::Step { step, .. } = event;
        let round: u64 = self.turns.iter().map(|(_, steps)| steps).sum();
        let mut left = step % round.max(1);
        for (stream, steps) in &self.turns {
            if left < *steps {
                return vec![Action::Route(stream.clone())];
            }
            left -= steps;
        }
        Vec::new()
    }
}

/// Whose turn it is is a function of the step: there is nothing to save.
impl Persist for Alternate {
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
        "alternate",
        "streams train one after the other, in turns of fixed length",
        &[
            Field::new("between", Ty::List(&Ty::Name(Names::Stream)), "streams, in order").required(),
            Field::new("steps", Ty::List(&Ty::Count), "steps of each one's turn; absent: one each").min(1.0),
        ],
    )
    .example(r#"{ kind = "alternate", between = ["sft", "rl"], steps = [1, 3] }"#),
    build: |node, _| {
        let (between, mut steps) = (node.strs("between"), node.u64s("steps"));
        if steps.is_empty() {
            steps = vec![1; between.len()];
        }
        if between.is_empty() || steps.len() != between.len() {
            return Err(node.error("`steps` must have one entry for each stream of `between`"));
        }
        Ok(Box::new(Alternate { turns: between.into_iter().map(str::to_owned).zip(steps).collect() }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_round() {
        let mut alternate = Alternate { turns: vec![("sft".into(), 1), ("rl".into(), 2)] };
        let streams: Vec<Action> = (0..7)
            .flat_map(|step| alternate.react(Event::Step { step, total: None }, &Signals::new(), Key::new(0)))
            .collect();
        let expected = ["sft", "rl", "rl", "sft", "rl", "rl", "sft"].map(|s| Action::Route(s.into()));
        assert_eq!(streams, expected);
    }
}
