//! `schedule`: sets one knob to given values at given steps.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// A staircase: from each listed step on, the knob has the listed value.
pub struct Schedule {
    /// The knob's path.
    pub knob: String,
    /// (step, value), ascending in step.
    pub values: Vec<(u64, f64)>,
}

impl Controller for Schedule {
    fn wiring(&self) -> Wiring {
        Wiring { reads: Vec::new(), writes: vec![self.knob.clone()] }
    }

    fn react(&mut self, event: Event, _: &Signals, _: Key) -> Vec<Action> {
        let Event::Step { step, .. } = event;
        let now = self.values.iter().rev().find(|(from, _)| *from <= step);
        now.map(|&(_, value)| Action::Set { knob: self.knob.clone(), value }).into_iter().collect()
    }
}

/// A staircase is a function of the step: there is nothing to save.
impl Persist for Schedule {
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
        "schedule",
        "sets one knob to given values at given steps",
        &[
            Field::new(
                "knob",
                Ty::Name(Names::Knob),
                "path of a number of this stage, such as `stream.sft.weight`",
            )
            .required(),
            Field::new("steps", Ty::List(&Ty::Count), "the steps at which the value changes, ascending")
                .required(),
            Field::new("values", Ty::List(&Ty::Float), "the value from each of these steps on").required(),
        ],
    )
    .example(r#"{ kind = "schedule", knob = "stream.sft.weight", steps = [0, 100], values = [1.0, 0.1] }"#),
    build: |node, _| {
        let (steps, values) = (node.u64s("steps"), node.f64s("values"));
        if steps.len() != values.len() || !steps.is_sorted_by(|a, b| a < b) {
            return Err(node.error("`steps` must ascend and have one entry in `values` each"));
        }
        Ok(Box::new(Schedule {
            knob: node.str("knob").to_owned(),
            values: steps.into_iter().zip(values).collect(),
        }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_until_the_next_value() {
        let mut s = Schedule { knob: "lr".into(), values: vec![(2, 0.5), (5, 0.1)] };
        let mut at = |step| s.react(Event::Step { step, total: None }, &Signals::new(), Key::new(0));
        assert!(at(1).is_empty());
        for (step, value) in [(2, 0.5), (4, 0.5), (5, 0.1), (50, 0.1)] {
            assert_eq!(at(step), [Action::Set { knob: "lr".into(), value }]);
        }
    }
}
