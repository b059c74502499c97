//! `clamp`: lets one of the stage's clamps hold between two steps.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// The clamp holds in steps from `from` on and before `to`, counted from 0.
pub struct Window {
    /// The clamp's name.
    pub clamp: String,
    /// The first step.
    pub from: u64,
    /// The step at which it is let go; `None`: never.
    pub to: Option<u64>,
}

impl Controller for Window {
    fn wiring(&self) -> Wiring {
        Wiring::default()
    }

    fn react(&mut self, event: Event, _: &Signals, _: Key) -> Vec<Action> {
        let Event::Step { step, .. } = event;
        let holds = step >= self.from && self.to.is_none_or(|to| step < to);
        let action = if holds { Action::Clamp } else { Action::Release };
        vec![action(self.clamp.clone())]
    }
}

/// Whether it holds is a function of the step: there is nothing to save.
impl Persist for Window {
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
        "clamp",
        "lets a clamp of the stage hold between two steps, and lets it go otherwise",
        &[
            Field::new("clamp", Ty::Name(Names::Clamp), "the clamp").required(),
            Field::new("from", Ty::Count, "the first step, from 0").or("0"),
            Field::new("to", Ty::Count, "the step at which it is let go; absent: never"),
        ],
    )
    .example(r#"{ kind = "clamp", clamp = "previous", to = 500 }"#),
    build: |node, _| {
        let (from, to) = (node.u64("from"), node.opt_u64("to"));
        Ok(Box::new(Window { clamp: node.str("clamp").to_owned(), from, to }))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_between_its_ends() {
        let mut window = Window { clamp: "a".to_owned(), from: 2, to: Some(4) };
        let mut at = |step| {
            let event = Event::Step { step, total: None };
            window.react(event, &Signals::new(), Key::new(1)) == [Action::Clamp("a".to_owned())]
        };
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [false, false, true, true, false]);
    }
}
