//! Bars on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Face;
use crate::number;

/// The bar of the present stage, with lines above it. What is left of a finished bar is such a line.
pub struct Bars {
    all: MultiProgress,
    bar: Option<ProgressBar>,
    message: String,
}

/// Columns of a bar.
const WIDTH: usize = 24;

impl Bars {
    /// No bar yet.
    pub fn new() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            bar: None,
            message: String::new(),
        }
    }

    /// What stays of a stage's bar.
    fn settle(&mut self) {
        let Some(bar) = self.bar.take() else { return };
        bar.finish_and_clear();
        let (step, message) = (bar.position(), &self.message);
        if let Some(total) = bar.length().filter(|_| !message.is_empty()) {
            let full = (WIDTH as u64 * step / total.max(1)) as usize;
            let line = "━".repeat(full) + &"─".repeat(WIDTH.saturating_sub(full));
            let took = number::seconds(bar.elapsed().as_secs_f64());
            self.line(&format!("{:>12} {line} {step:>5}/{total} · {message} · {took}", bar.prefix()));
        }
    }
}

impl Face for Bars {
    fn begin(&mut self, id: &str, step: u64, total: u64) {
        self.settle();
        self.message.clear();
        let bar = if total == 0 {
            let bar = ProgressBar::new_spinner()
                .with_style(style("{prefix:>12.bold} {spinner} evaluating · {took}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            let shown = format!(
                "{{prefix:>12.bold}} {{bar:{WIDTH}.cyan}} {{pos:>5}}/{{len}} · {{msg}} · {{left}} left"
            );
            ProgressBar::new(total).with_style(style(&shown)).with_message("first step")
        };
        let bar = self.all.add(bar.with_prefix(id.to_owned()));
        // steps of an earlier sitting say nothing about the speed of this one
        bar.set_position(step);
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn step(&mut self, step: u64, reading: &str, tokens_per_second: f64) {
        if let Some(bar) = &self.bar {
            self.message = format!("{reading} · {} tok/s", number::count(tokens_per_second));
            bar.set_message(self.message.clone());
            bar.set_position(step);
            if bar.length() == Some(step) {
                self.settle();
            }
        }
    }

    fn line(&mut self, text: &str) {
        // only fails when the terminal is gone
        let _ = self.all.println(text);
    }

    fn end(&mut self) {
        self.settle();
    }
}

fn style(template: &str) -> ProgressStyle {
    let left = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&number::seconds(state.eta().as_secs_f64()));
    };
    let took = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&number::seconds(state.elapsed().as_secs_f64()));
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.with_key("left", left).with_key("took", took).progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    /// The last lines of a terminal on which `show` drew.
    fn drawn(show: impl FnOnce(&mut Bars)) -> String {
        let terminal = InMemoryTerm::new(12, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut bars =
            Bars { all: MultiProgress::with_draw_target(target), bar: None, message: String::new() };
        show(&mut bars);
        terminal.contents()
    }

    #[test]
    fn a_stage_is_a_bar_that_stays() {
        let shown = drawn(|bars| {
            bars.begin("sft", 0, 2);
            bars.step(1, "loss 1.500", 12_300.0);
            bars.step(2, "loss 1.250", 12_300.0);
            bars.line("sft: arith 50.0 %");
            bars.begin("rl", 0, 4);
            bars.end();
        });
        assert!(shown.contains("2/2 · loss 1.250 · 12.3 k tok/s · 0.0 s"), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("         sft ━━━━") && lines[1] == "sft: arith 50.0 %", "{shown}");
    }

    #[test]
    fn an_evaluation_leaves_nothing_behind() {
        let shown = drawn(|bars| {
            bars.begin("check", 0, 0);
            bars.end();
        });
        assert_eq!(shown.trim(), "");
    }
}
