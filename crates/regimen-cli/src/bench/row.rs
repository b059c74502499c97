//! The line of JSON that a measurement prints.

use serde_json::Value;

use super::Work;

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
}
