//! What a run shows while it runs: a bar for each stage on a terminal, a line every few seconds anywhere else.

mod bars;
mod lines;

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use regimen_base::{Exit, Result};
use regimen_core::evaluate::SetResult;
use regimen_core::regimen::Observer;
use regimen_core::run::Profile;
use regimen_core::stage::Progress;

use crate::interrupt::Interrupt;
use crate::number;
use crate::scores;

/// A way to show a run.
trait Face: Send {
    /// A stage begins at `step` of `total`; a `total` of 0 is an evaluation.
    fn begin(&mut self, id: &str, step: u64, total: u64);
    /// A step is done.
    fn step(&mut self, step: u64, reading: &str, tokens_per_second: f64);
    /// A line that stays.
    fn line(&mut self, text: &str);
    /// Nothing more comes.
    fn end(&mut self);
}

/// The observer of the program.
pub struct Display {
    face: Arc<Mutex<Box<dyn Face>>>,
    interrupt: Interrupt,
    speed: f64,
    profile: Option<&'static Profile>,
}

impl Display {
    /// Opens the display, and listens for Ctrl-C. A profile is told when stages begin.
    pub fn open(profile: Option<&'static Profile>) -> Result<Self> {
        let bars = std::io::stderr().is_terminal();
        let face: Box<dyn Face> =
            if bars { Box::new(bars::Bars::new()) } else { Box::new(lines::Lines::default()) };
        let face = Arc::new(Mutex::new(face));
        let shown = Arc::clone(&face);
        let interrupt = Interrupt::watch(move |exit| {
            let again = if exit == Exit::Interrupted { "; Ctrl-C again stops at once" } else { "" };
            let text = format!("stopping after this step, with a full checkpoint{again}");
            shown.lock().unwrap_or_else(PoisonError::into_inner).line(&text);
        })?;
        Ok(Self { face, interrupt, speed: 0.0, profile })
    }

    /// The code to end with, when the run was asked to stop.
    pub fn asked(&self) -> Option<Exit> {
        self.interrupt.asked()
    }

    /// Stops, as at Ctrl-C, when standard input ends.
    pub fn leash(&self) {
        self.interrupt.leash();
    }

    /// Leaves the terminal as it was.
    pub fn close(&self) {
        self.with(|face| face.end());
    }

    fn with(&self, show: impl FnOnce(&mut dyn Face)) {
        show(&mut **self.face.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Display {
    fn stage(&mut self, id: &str, step: u64, total: u64, _parameters: u64) {
        self.speed = 0.0;
        if let Some(profile) = self.profile {
            profile.stage(id);
        }
        self.with(|face| face.begin(id, step, total));
    }

    fn step(&mut self, progress: &Progress, tokens_per_second: f64) {
        self.speed = smooth(self.speed, tokens_per_second);
        self.with(|face| face.step(progress.step, &reading(progress.readings), self.speed));
    }

    fn evaluated(&mut self, stage: &str, results: &[SetResult]) {
        let sets: Vec<String> = results.iter().map(scores::brief).collect();
        if !sets.is_empty() {
            self.with(|face| face.line(&format!("{stage}: {}", sets.join(" · "))));
        }
    }

    fn note(&mut self, text: &str) {
        self.with(|face| face.line(text));
    }

    fn interrupted(&self) -> bool {
        self.interrupt.asked().is_some()
    }
}

/// A moving mean, so that the eye can follow.
fn smooth(before: f64, now: f64) -> f64 {
    match (before > 0.0, now > 0.0) {
        (true, true) => 0.8 * before + 0.2 * now,
        (false, true) => now,
        _ => before,
    }
}

/// The reward where there is one, the loss otherwise. With several streams, the first that has it.
fn reading(readings: &std::collections::BTreeMap<String, f64>) -> String {
    for name in ["reward", "loss"] {
        let of_stream =
            || readings.iter().find(|(key, _)| key.ends_with(&format!("/{name}"))).map(|(_, value)| value);
        if let Some(&value) = readings.get(name).or_else(of_stream) {
            return format!("{name} {}", number::reading(value));
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_are_shown_before_losses() {
        let readings =
            |names: &[(&str, f64)]| reading(&names.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect());
        assert_eq!(readings(&[("loss", 1.5)]), "loss 1.500");
        assert_eq!(readings(&[("loss", 1.5), ("reward", 0.25), ("reward_std", 9.0)]), "reward 0.250");
        assert_eq!(readings(&[("loss", 1.5), ("rl/reward", 0.25)]), "reward 0.250");
        assert_eq!(readings(&[]), "");
    }

    #[test]
    fn speed_moves_slowly_and_skips_what_is_unknown() {
        assert_eq!(smooth(0.0, 100.0), 100.0);
        assert_eq!(smooth(100.0, 200.0), 120.0);
        assert_eq!(smooth(100.0, 0.0), 100.0);
    }
}
