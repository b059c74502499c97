//! What a verification shows while it runs: a line for every run that ends, and on a terminal what is under way.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use regimen_core::run::Clock;
use regimen_stats::Verdict;

use super::children;
use super::jobs::Job;
use super::told;
use crate::number;

/// The state of all runs.
pub struct Show {
    bar: ProgressBar,
    total: usize,
    done: usize,
    width: usize,
    running: BTreeMap<usize, (Clock, PathBuf, String)>,
    /// Seconds of complete runs, by arm.
    seconds: BTreeMap<String, Vec<f64>>,
    /// The arms of the runs that are left.
    left: BTreeMap<usize, String>,
    primary: String,
}

impl Show {
    /// Before the first run; `left` are those to do.
    pub fn new(jobs: &[Job], left: &[usize], width: usize) -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let left: BTreeMap<usize, String> = left.iter().map(|&i| (i, jobs[i].arm.clone())).collect();
        if !left.is_empty() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bar,
            total: jobs.len(),
            done: jobs.len() - left.len(),
            width,
            running: BTreeMap::new(),
            seconds: BTreeMap::new(),
            left,
            primary: String::new(),
        }
    }

    /// How long an arm took.
    pub fn took(&mut self, arm: &str, seconds: f64) {
        self.seconds.entry(arm.to_owned()).or_default().push(seconds);
    }

    /// A run begins.
    pub fn began(&mut self, job: usize, jobs: &[Job], log: PathBuf) {
        self.running.insert(job, (Clock::start(), log, jobs[job].words()));
        self.refresh();
    }

    /// A run is over; `verdict` is that of the primary claim by now.
    pub fn ended(&mut self, job: usize, jobs: &[Job], how: &str, verdict: &Verdict) {
        let clock = self.running.remove(&job).map(|(clock, ..)| clock);
        self.left.remove(&job);
        self.done += 1;
        self.primary = told::effect(verdict);
        let seconds = clock.as_ref().map_or(0.0, Clock::seconds);
        let left = self.time_left();
        let left = if self.left.is_empty() {
            String::new()
        } else {
            format!(" · about {} left", number::seconds(left))
        };
        self.line(&format!(
            "[{}/{}] {}: {how} in {} · primary {}{left}",
            self.done,
            self.total,
            jobs[job].words(),
            number::seconds(seconds),
            self.primary,
        ));
        self.refresh();
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| crate::out::tell(text));
    }

    /// Shows what is under way.
    pub fn refresh(&self) {
        if self.bar.is_hidden() {
            return;
        }
        let running: Vec<String> = self
            .running
            .values()
            .map(|(_, log, words)| format!("{words} ({})", children::progress(log)))
            .collect();
        let left = number::seconds(self.time_left());
        self.bar.set_message(format!(
            "{}/{} · {} · primary {} · about {left} left",
            self.done,
            self.total,
            running.join(" · "),
            if self.primary.is_empty() { "-" } else { &self.primary },
        ));
    }

    /// Nothing more comes.
    pub fn close(&self) {
        self.bar.finish_and_clear();
    }

    /// From how long each arm took so far, and the arms that are left.
    fn time_left(&self) -> f64 {
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let every: Vec<f64> = self.seconds.values().flatten().copied().collect();
        if every.is_empty() {
            return f64::INFINITY;
        }
        let of = |arm: &String| self.seconds.get(arm).map_or_else(|| mean(&every), |own| mean(own));
        let work: f64 = self.left.values().map(of).sum();
        let spent: f64 = self
            .running
            .iter()
            .map(|(job, (clock, ..))| {
                let whole = self.left.get(job).map_or(0.0, of);
                clock.seconds().min(whole)
            })
            .sum();
        (work - spent).max(0.0) / self.width.min(self.left.len()).max(1) as f64
    }
}
