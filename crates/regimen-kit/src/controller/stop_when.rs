//! `stop-when`: ends the stage when a signal has reached a value, several readings in a row.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// Watches one signal. Steps in which it was not read do not count.
pub struct StopWhen {
    /// Its name.
    pub signal: String,
    /// The value.
    pub reaches: f64,
    /// Readings in a row.
    pub hold: u64,
    held: u64,
}

impl StopWhen {
    /// A watch at its beginning.
    pub fn new(signal: &str, reaches: f64, hold: u64) -> Self {
        Self { signal: signal.to_owned(), reaches, hold, held: 0 }
    }
}

impl Controller for StopWhen {
    fn wiring(&self) -> Wiring {
        Wiring { reads: vec![self.signal.clone()], writes: Vec::new() }
    }

    fn react(&mut self, _: Event, signals: &Signals, _: Key) -> Vec<Action> {
        if let Some(&value) = signals.get(&self.signal) {
            self.held = if value >= self.reaches { self.held + 1 } else { 0 };
        }
        if self.held < self.hold {
            return Vec::new();
        }
        vec![Action::Stop(format!("{} has reached {}", self.signal, self.reaches))]
    }
}

impl Persist for StopWhen {
    fn save(&self) -> State {
        State::new().with("held", self.held)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        self.held = state.take_u64("held")?;
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Controller> = Piece {
    spec: KindSpec::new(
        Room::Controller,
        "stop-when",
        "ends the stage when a signal has reached a value, several readings in a row",
        &[
            Field::new("signal", Ty::Str, "a reading of the steps, such as probe/NAME/top1").required(),
            Field::new("reaches", Ty::Float, "the value").required(),
            Field::new("hold", Ty::Count, "readings in a row").or("3").min(1.0),
        ],
    )
    .example(r#"{ kind = "stop-when", signal = "probe/train/top1", reaches = 0.95 }"#),
    build: |node, _| Ok(Box::new(StopWhen::new(node.str("signal"), node.f64("reaches"), node.u64("hold")))),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(stop: &mut StopWhen, value: Option<f64>) -> bool {
        let signals: Signals = value.map(|v| ("accuracy".to_owned(), v)).into_iter().collect();
        let event = Event::Step { step: 0, total: None };
        matches!(stop.react(event, &signals, Key::new(1)).as_slice(), [Action::Stop(_)])
    }

    #[test]
    fn it_waits_for_readings_in_a_row() {
        let mut stop = StopWhen::new("accuracy", 0.9, 2);
        let values = [Some(0.95), Some(0.5), Some(0.9), None, Some(0.91)];
        assert_eq!(values.map(|v| ask(&mut stop, v)), [false, false, false, false, true]);
    }

    #[test]
    fn what_it_counted_is_saved() {
        let mut first = StopWhen::new("accuracy", 0.9, 2);
        assert!(!ask(&mut first, Some(1.0)));
        let mut second = StopWhen::new("accuracy", 0.9, 2);
        second.load(first.save()).expect("its own state");
        assert!(ask(&mut second, Some(1.0)));
    }
}
