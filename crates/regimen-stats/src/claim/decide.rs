//! From numbers to a decision.

use super::column::Column;
use super::number::short;
use super::verdict::Outcome;
use super::{Claim, Design};
use crate::anytime::running;
use crate::{CoinSequence, Interval, MeanSequence, PairedT, clopper_pearson, sign_test};

/// A test of numbers in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Of a mean, once.
    T,
    /// Of a mean, after every seed.
    AnytimeT,
    /// Of the chance of a 1 among 0s and 1s, once.
    Sign,
    /// The same after every seed.
    AnytimeSign,
}

/// Where the claim says that the value lies; open ends are infinite.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Region {
    pub lo: f64,
    pub hi: f64,
}

/// What came of it.
pub struct Decision {
    pub outcome: Outcome,
    pub refuted: bool,
    pub interval: Option<Interval>,
    pub p: Option<f64>,
    pub why: String,
    /// The number of seeds after which an anytime test could have stopped.
    pub after: Option<usize>,
}

impl Method {
    /// Bounds, each one-sided at `alpha`; `None` while there are too few numbers.
    pub fn interval(self, x: &[f64], alpha: f64) -> Option<Interval> {
        match self {
            Self::T => PairedT::new(x).map(|t| t.interval(1.0 - 2.0 * alpha)),
            Self::Sign => (!x.is_empty()).then(|| clopper_pearson(wins(x), x.len() as u64, alpha)),
            Self::AnytimeT | Self::AnytimeSign => self.path(x, alpha).pop()?,
        }
    }

    /// The bounds after every number; those of a test for one look stand alone at the end.
    fn path(self, x: &[f64], alpha: f64) -> Vec<Option<Interval>> {
        match self {
            Self::T | Self::Sign => vec![self.interval(x, alpha)],
            Self::AnytimeT => MeanSequence::new(x).map_or_else(Vec::new, |s| s.path(alpha)),
            Self::AnytimeSign => {
                let at = |k| CoinSequence::new(wins(&x[..k]), k as u64).map(|coin| coin.interval(alpha));
                running((1..=x.len()).map(at))
            }
        }
    }

    /// p of "at most `threshold`" against "above".
    fn p_above(self, x: &[f64], threshold: f64) -> Option<f64> {
        let lowest = |e: &dyn Fn(usize) -> Option<f64>| {
            (1..=x.len()).filter_map(e).map(|e| (1.0 / e).min(1.0)).reduce(f64::min)
        };
        match self {
            Self::T => PairedT::new(x).map(|t| t.p_above(threshold)),
            Self::AnytimeT => lowest(&|k| Some(MeanSequence::new(&x[..k])?.e_above(threshold))),
            Self::Sign => (!x.is_empty()).then(|| sign_test(wins(x), x.len() as u64)),
            Self::AnytimeSign => {
                lowest(&|k| Some(CoinSequence::new(wins(&x[..k]), k as u64)?.e_above(threshold)))
            }
        }
    }

    fn p(self, x: &[f64], region: Region) -> Option<f64> {
        let mirrored: Vec<f64> = x.iter().map(|v| -v).collect();
        let above = region.lo.is_finite().then(|| self.p_above(x, region.lo));
        let below = region.hi.is_finite().then(|| self.p_above(&mirrored, -region.hi));
        match (above, below) {
            (Some(a), Some(b)) => Some(a?.max(b?)),
            (a, b) => a.or(b)?,
        }
    }
}

fn wins(x: &[f64]) -> u64 {
    x.iter().filter(|v| **v > 0.5).count() as u64
}

impl Region {
    fn holds(self, i: Interval) -> bool {
        i.lo > self.lo && i.hi < self.hi
    }

    fn excludes(self, i: Interval) -> bool {
        i.hi <= self.lo || i.lo >= self.hi
    }
}

/// The decision on a column. `shown` brings a number into the unit that the reader sees.
pub fn decide(
    claim: &Claim,
    alpha: f64,
    method: Method,
    region: Region,
    column: &Column,
    shown: fn(f64) -> f64,
) -> Decision {
    let x = &column.numbers;
    let interval = method.interval(x, alpha);
    let (holds, refuted, after) = match claim.design {
        Design::Fixed => {
            let complete = interval.filter(|_| column.gaps.is_empty());
            (complete.map(|i| region.holds(i)), complete.is_some_and(|i| region.excludes(i)), None)
        }
        Design::Anytime => first(method, x, alpha, region).unwrap_or_else(|| {
            // the budget is spent: not shown
            (column.gaps.is_empty().then_some(false), false, None)
        }),
    };
    let outcome = match holds {
        Some(true) => Outcome::Held,
        Some(false) => Outcome::NotHeld,
        None => Outcome::Inconclusive,
    };
    let why = match (outcome, interval) {
        (Outcome::Inconclusive, _) => missing(column),
        (_, None) => format!("{} seeds give no bound", x.len()),
        (_, Some(i)) => because(outcome, refuted, i, region, shown),
    };
    Decision { outcome, refuted, interval, p: method.p(x, region), why, after }
}

/// The first decision of a sequence: whether it holds, whether it is refuted, and after how many seeds.
fn first(
    method: Method,
    x: &[f64],
    alpha: f64,
    region: Region,
) -> Option<(Option<bool>, bool, Option<usize>)> {
    method.path(x, alpha).into_iter().enumerate().find_map(|(i, interval)| {
        let (holds, excludes) = (region.holds(interval?), region.excludes(interval?));
        (holds || excludes).then_some((Some(holds), !holds, Some(i + 1)))
    })
}

fn missing(column: &Column) -> String {
    match column.gaps.len() {
        0 => "fewer than two seeds".to_owned(),
        1 => format!("a value is missing: {}", column.gaps[0]),
        n => format!("{n} values are missing, first of all {}", column.gaps[0]),
    }
}

fn because(outcome: Outcome, refuted: bool, i: Interval, region: Region, shown: fn(f64) -> f64) -> String {
    let (low, high) = (short(shown(i.lo)), short(shown(i.hi)));
    let (above, below) = (short(shown(region.lo)), short(shown(region.hi)));
    let ends = (region.lo.is_finite(), region.hi.is_finite());
    match (outcome == Outcome::Held, refuted, ends) {
        (true, _, (true, true)) => format!("the bounds {low} and {high} are between {above} and {below}"),
        (true, _, (_, false)) => format!("the lower bound {low} is above {above}"),
        (true, _, _) => format!("the upper bound {high} is below {below}"),
        (_, true, _) if i.hi <= region.lo => format!("even the upper bound {high} is not above {above}"),
        (_, true, _) => format!("even the lower bound {low} is not below {below}"),
        (_, _, (true, true)) => {
            format!("the bounds {low} and {high} are not both between {above} and {below}")
        }
        (_, _, (_, false)) => {
            format!("the lower bound {low} is not above {above}; the upper bound {high} leaves it open")
        }
        _ => format!("the upper bound {high} is not below {below}; the lower bound {low} leaves it open"),
    }
}
