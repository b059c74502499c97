//! How the readings of one run become one number.

use regimen_base::{Error, Result};

use super::number::short;
use super::table::{Cell, Table};
use crate::{Crossing, Curve, Fit, Law, Line, Side};

/// Beyond this a number is taken for a run that blew up; sums of squares would overflow soon after.
const LARGEST: f64 = 1e100;

/// How a reading becomes one number. Steps are in the curve's own unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reading {
    /// The number at the end; of a curve, its last.
    Final,
    /// The curve at this step, which it must have.
    At(f64),
    /// The largest of the curve.
    Highest,
    /// The smallest of the curve.
    Lowest,
    /// The mean of the curve's points in from ≤ step ≤ to.
    Mean {
        /// First step.
        from: f64,
        /// Last step.
        to: f64,
    },
    /// The least-squares slope of the curve's points in from ≤ step ≤ to.
    Slope {
        /// First step.
        from: f64,
        /// Last step.
        to: f64,
    },
    /// The rate c of a law fitted to the curve.
    Rate(Law),
    /// The step at which the curve crosses. A curve that never does counts as `never`, or leaves the claim open.
    Onset {
        /// What counts as crossing.
        crossing: Crossing,
        /// The step that stands for "never", such as the last of the run. A cap on the *baseline's* onset makes the
        /// method's lead look smaller than it is; a cap on the method's makes it look larger.
        never: Option<f64>,
    },
}

/// A metric of one arm, read one way.
#[derive(Clone, PartialEq, Debug)]
pub struct Term {
    /// The arm.
    pub arm: String,
    /// The metric.
    pub metric: String,
    /// How it becomes a number.
    pub reading: Reading,
}

/// Why a seed has no number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gap {
    /// A run is missing: running it may fill the gap.
    NotRun(String),
    /// The runs are there, and this is wrong with them.
    Unusable(String),
}

impl Term {
    pub(super) fn at(&self, table: &Table, seed: u64) -> Result<f64, Gap> {
        match self.read(self.cell(table, seed)?) {
            Ok(v) if v.abs() <= LARGEST => Ok(v),
            Ok(v) => Err(Gap::Unusable(format!("{} is {v}", self.words()))),
            Err(why) => Err(Gap::Unusable(format!("{}: {why}", self.words()))),
        }
    }

    /// Where the curve of one seed crosses; `None` if it never does.
    pub(super) fn onset(&self, table: &Table, seed: u64) -> Result<Option<f64>, Gap> {
        let found = match (self.cell(table, seed)?, self.reading) {
            (Cell::Curve(curve), Reading::Onset { crossing, .. }) => onset(curve, crossing),
            _ => Err("not the onset of a curve".to_owned()),
        };
        found.map_err(|why| Gap::Unusable(format!("{}: {why}", self.words())))
    }

    fn cell<'a>(&self, table: &'a Table, seed: u64) -> Result<&'a Cell, Gap> {
        let run = table
            .run(&self.arm, seed)
            .ok_or_else(|| Gap::NotRun(format!("arm `{}` was not run", self.arm)))?;
        run.get(&self.metric)
            .ok_or_else(|| Gap::Unusable(format!("arm `{}` has no `{}`", self.arm, self.metric)))
    }

    fn read(&self, cell: &Cell) -> Result<f64, String> {
        match (cell, self.reading) {
            (Cell::Value(v), Reading::Final) => Ok(*v),
            (Cell::Value(_), _) => Err("a single number, not a curve".to_owned()),
            (Cell::Curve(curve), reading) => reading.of(curve),
        }
    }

    pub(super) fn words(&self) -> String {
        let name = format!("{}:{}", self.arm, self.metric);
        match self.reading {
            Reading::Final => name,
            Reading::At(step) => format!("{name} at {}", short(step)),
            Reading::Highest => format!("highest {name}"),
            Reading::Lowest => format!("lowest {name}"),
            Reading::Mean { from, to } => format!("mean of {name} in {}..={}", short(from), short(to)),
            Reading::Slope { from, to } => format!("slope of {name} in {}..={}", short(from), short(to)),
            Reading::Rate(_) => format!("rate of {name}"),
            Reading::Onset { crossing, .. } => crossing.words(&name),
        }
    }
}

impl Crossing {
    pub(super) fn words(&self, name: &str) -> String {
        let side = if self.side == Side::Rising { "≥" } else { "≤" };
        format!("onset of {name} {side} {}", short(self.threshold))
    }
}

impl Reading {
    pub(super) fn check(self) -> Result<()> {
        let bad = |what: String| Err(Error::usage(what));
        match self {
            Self::Mean { from, to } | Self::Slope { from, to }
                if from.is_nan() || to.is_nan() || from > to =>
            {
                bad(format!("no step is in {from}..={to}"))
            }
            Self::Onset { crossing: Crossing { hold: 0, .. }, .. } => {
                bad("a crossing holds for no point".to_owned())
            }
            Self::Onset { crossing, .. } if !crossing.threshold.is_finite() => {
                bad(format!("a crossing at {}", crossing.threshold))
            }
            _ => Ok(()),
        }
    }

    fn of(self, curve: &Curve) -> Result<f64, String> {
        let all = curve.points();
        let values = |points: &[(f64, f64)]| points.iter().map(|p| p.1).collect::<Vec<_>>();
        match self {
            Self::Final => Ok(all[all.len() - 1].1),
            Self::At(step) => match curve.between(step, step) {
                [(_, v)] => Ok(*v),
                _ => Err(format!("no point at step {}", short(step))),
            },
            Self::Highest => Ok(extreme(&values(all), |a, b| a > b)),
            Self::Lowest => Ok(extreme(&values(all), |a, b| a < b)),
            Self::Mean { from, to } => {
                let inside = values(curve.between(from, to));
                let count = inside.len() as f64;
                if inside.is_empty() {
                    Err("no point there".to_owned())
                } else {
                    Ok(inside.iter().sum::<f64>() / count)
                }
            }
            Self::Slope { from, to } => {
                Line::fit(curve.between(from, to)).map(|l| l.slope).ok_or("no line fits there".to_owned())
            }
            Self::Rate(law) => Fit::new(law, all).map(|f| f.c).ok_or("no law fits".to_owned()),
            Self::Onset { crossing, never } => {
                onset(curve, crossing)?.or(never).ok_or("it never crosses".to_owned())
            }
        }
    }
}

/// A curve that breaks off in NaN before it crosses does not tell whether it would have.
fn onset(curve: &Curve, crossing: Crossing) -> Result<Option<f64>, String> {
    match curve.onset(crossing) {
        None if curve.points().iter().any(|p| p.1.is_nan()) => {
            Err("it turns NaN and does not cross".to_owned())
        }
        found => Ok(found),
    }
}

/// The extreme value; NaN if any is.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let pick = |a: f64, b: f64| if a.is_nan() || better(a, b) { a } else { b };
    values.iter().copied().reduce(|a, b| if b.is_nan() { b } else { pick(a, b) }).unwrap_or(f64::NAN)
}
