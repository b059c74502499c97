//! The line of JSON that a measurement prints.

use serde_json::{Value, json};

use super::engine::OURS;
use super::{Size, Work};

/// One measurement.
#[derive(Clone, PartialEq, Debug)]
pub struct Row(pub Value);

impl Row {
    /// Reads the last line of what a measurement printed.
    pub fn last_of(text: &str) -> Option<Self> {
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        let value: Value = serde_json::from_str(line).ok()?;
        value.is_object().then_some(Self(value))
    }

    /// The row under the names that were asked for; some scripts call their work something else.
    #[must_use]
    pub fn named(mut self, work: Work, engine: &str) -> Self {
        self.0["bench"] = json!(work.name());
        self.0["peer"] = json!(engine);
        self
    }

    /// Trainings that ran beside each other, as one: their tokens a second and their memory together.
    pub fn beside(size: Size, rows: &[Row]) -> Self {
        let all = |name: &str| rows.iter().filter_map(|row| row.number(name)).collect::<Vec<_>>();
        let latest = all("first_step_s").into_iter().fold(f64::NAN, f64::max);
        Self(json!({
            "bench": Work::Pair.name(),
            "peer": OURS,
            "size": size.name(),
            "threads": 1,
            "tok_s": all("tok_s").iter().sum::<f64>(),
            "rss_mb": all("rss_mb").iter().sum::<f64>(),
            "first_step_s": latest,
        }))
    }

    /// Tokens a second, under either name.
    pub fn speed(&self) -> Option<f64> {
        self.number("tok_s").or_else(|| self.number("trained_tok_s"))
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number, where there is one.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// Whether it measures this.
    pub fn is(&self, work: Work, size: &str, engine: &str) -> bool {
        self.text("bench") == work.name() && self.text("size") == size && self.text("peer") == engine
    }

    /// Whether it decodes from so many prompts.
    pub fn decodes(&self, batch: usize, engine: &str) -> bool {
        self.number("batch") == Some(batch as f64) && self.text("peer") == engine
    }

    /// Seconds from the start of the process to the end of its first unit of work.
    pub fn first(&self) -> Option<f64> {
        self.number("first_step_s").or_else(|| self.number("first_batch_s"))
    }

    /// The loss of a step.
    pub fn loss(&self, step: usize) -> Option<f64> {
        match self.0.get("losses").and_then(Value::as_array) {
            Some(losses) => losses.get(step)?.as_f64(),
            None => self.0.get("loss")?.get(step.to_string())?.as_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let row = Row::last_of(
            "a warning\n{\"bench\": \"train\", \"size\": \"xs\", \"peer\": \"p\", \"first_step_s\": 2.5, \"loss\": {\"0\": 4.5}}\n\n",
        );
        let row = row.expect("there is one");
        assert!(row.is(Work::Train, "xs", "p") && !row.is(Work::Decode, "xs", "p"));
        assert_eq!(
            (row.first(), row.loss(0), row.loss(10), row.number("tok_s")),
            (Some(2.5), Some(4.5), None, None)
        );
        assert_eq!(Row::last_of("Traceback\nError: x"), None);
    }
    /// TRL's script calls all of its stages `trl`.
    #[test]
    fn a_row_belongs_to_the_work_that_was_asked_for() {
        let row = Row(json!({ "bench": "trl", "peer": "trl-sft", "size": "xs", "trained_tok_s": 5.0 }));
        let row = row.named(Work::Sft, "trl-sft");
        assert!(row.is(Work::Sft, "xs", "trl-sft") && row.speed() == Some(5.0));
    }

    #[test]
    fn two_side_by_side_add_up() {
        let row = |speed: f64| Row(json!({ "tok_s": speed, "rss_mb": 10.0, "first_step_s": speed }));
        let both = Row::beside(Size::Xs, &[row(2.0), row(3.0)]);
        assert!(both.is(Work::Pair, "xs", OURS));
        assert_eq!((both.speed(), both.number("rss_mb"), both.first()), (Some(5.0), Some(20.0), Some(3.0)));
        assert_eq!(Row(json!({ "trained_tok_s": 7.0 })).speed(), Some(7.0));
    }
}
