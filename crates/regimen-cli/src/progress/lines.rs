//! Plain lines, for logs and pipes.

use regimen_core::run::Clock;

use super::Face;
use crate::number;
use crate::out::tell;

/// Seconds between lines.
const PERIOD: f64 = 5.0;

/// A line every few seconds, and one at the end of each stage.
#[derive(Default)]
pub struct Lines {
    stage: String,
    first: u64,
    total: u64,
    begun: Option<Clock>,
    said: f64,
}

impl Lines {
    /// The line to say now, if it is time for one. `seconds` since the stage began.
    fn due(&mut self, step: u64, reading: &str, speed: f64, seconds: f64) -> Option<String> {
        let last = step == self.total;
        if !last && seconds - self.said < PERIOD {
            return None;
        }
        self.said = seconds;
        let done = step.saturating_sub(self.first).max(1) as f64;
        let rest = self.total.saturating_sub(step) as f64;
        let time = if last {
            format!("done in {}", number::seconds(seconds))
        } else {
            format!("{} left", number::seconds(seconds / done * rest))
        };
        let (stage, total) = (&self.stage, self.total);
        Some(format!("{stage}: step {step}/{total} · {reading} · {} tok/s · {time}", number::count(speed)))
    }
}

impl Face for Lines {
    fn begin(&mut self, id: &str, step: u64, total: u64) {
        *self = Self { stage: id.to_owned(), first: step, total, begun: Some(Clock::start()), said: 0.0 };
        match (step, total) {
            (_, 0) => tell(&format!("{id}: evaluating")),
            (0, _) => {}
            _ => tell(&format!("{id}: going on from step {step} of {total}")),
        }
    }

    fn step(&mut self, step: u64, reading: &str, tokens_per_second: f64) {
        let seconds = self.begun.as_ref().map_or(0.0, Clock::seconds);
        if let Some(line) = self.due(step, reading, tokens_per_second, seconds) {
            tell(&line);
        }
    }

    fn line(&mut self, text: &str) {
        tell(text);
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_every_five_seconds_and_at_the_end() {
        let mut lines = Lines { stage: "sft".to_owned(), first: 10, total: 30, begun: None, said: 0.0 };
        assert_eq!(lines.due(11, "loss 1.000", 100.0, 4.9), None);
        let line = lines.due(20, "loss 1.000", 12_300.0, 5.0).expect("five seconds are over");
        assert_eq!(line, "sft: step 20/30 · loss 1.000 · 12.3 k tok/s · 5.0 s left");
        assert_eq!(lines.due(21, "loss 1.000", 1.0, 9.0), None);
        assert!(lines.due(30, "loss 1.000", 1.0, 9.1).expect("the end").ends_with("done in 9.1 s"));
    }
}
