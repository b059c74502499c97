//! `anneal`: moves one knob in a straight line from one value to another over some steps.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// A straight line, then constant.
pub struct Anneal {
    /// The knob's path.
    pub knob: String,
    /// Value at `begin`.
    pub from: f64,
    /// Value at `end` and after.
    pub to: f64,
    /// First step of the line.
    pub begin: u64,
    /// Last step of the line; the stage's end when absent.
    pub end: Option<u64>,
}

impl Controller for Anneal {
    fn wiring(&self) -> Wiring {
        Wiring { reads: Vec::new(), writes: vec![self.knob.clone()] }
    }

    fn react(&mut self, event: Event, _: &Signals, _: Key) -> Vec<Action> {
        let Event::Step { step, total } = event;
        let end = self.end.or(total).unwrap_or(self.begin).max(self.begin + 1);
        let done = (step.saturating_sub(self.begin) as f64 / (end - self.begin) as f64).min(1.0);
        vec![Action::Set { knob: self.knob.clone(), value: self.from + (self.to - self.from) * done }]
    }
}

/// A line is a function of the step: there is nothing to save.
impl Persist for Anneal {
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
        "anneal",
        "moves one knob in a straight line from one value to another",
        &[
            Field::new(
                "knob",
                Ty::Name(Names::Knob),
                "path of a number of this stage, such as `stream.rl.weight`",
            )
            .required(),
            Field::new("from", Ty::Float, "value at `begin`").required(),
            Field::new("to", Ty::Float, "value at `end`").required(),
            Field::new("begin", Ty::Count, "first step of the line").or("0"),
            Field::new("end", Ty::Count, "last step of the line; the stage's end when absent"),
        ],
    )
    .example(r#"{ kind = "anneal", knob = "stream.rl.rollout.temperature", from = 1.2, to = 0.8 }"#),
    build: |node, _| {
        Ok(Box::new(Anneal {
            knob: node.str("knob").to_owned(),
            from: node.f64("from"),
            to: node.f64("to"),
            begin: node.u64("begin"),
            end: node.opt_u64("end"),
        }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_two_ends() {
        let mut a = Anneal { knob: "lr".into(), from: 1.0, to: 0.0, begin: 10, end: Some(20) };
        let mut at = |step| match a
            .react(Event::Step { step, total: None }, &Signals::new(), Key::new(0))
            .as_slice()
        {
            [Action::Set { value, .. }] => *value,
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 10, 15, 20, 99].map(&mut at), [1.0, 1.0, 0.5, 0.0, 0.0]);
    }
}
