//! The number that a rule looks at: one for each seed.

use regimen_base::{Error, Result};

use super::number::short;
use super::reading::{Gap, Reading, Term};
use super::table::Table;
use crate::{Line, spearman};

/// A number for each seed, made of the readings of that seed's runs.
#[derive(Clone, PartialEq, Debug)]
pub enum Quantity {
    /// A reading.
    Of(Term),
    /// The same for all seeds.
    Constant(f64),
    /// A weighted sum.
    Sum(Vec<(f64, Quantity)>),
    /// The highest. As a baseline ("the best of …") it takes the best arm anew in every seed, which favours the
    /// baseline.
    Highest(Vec<Quantity>),
    /// The lowest.
    Lowest(Vec<Quantity>),
    /// The natural logarithm; what is not above 0 leaves the claim open.
    Log(Box<Quantity>),
    /// The least-squares slope over (x, quantity): a trend over arms.
    Slope(Vec<(f64, Quantity)>),
    /// Spearman's rank correlation over (x, quantity).
    Spearman(Vec<(f64, Quantity)>),
}

impl Quantity {
    /// A metric of an arm at the end of its run.
    pub fn of(arm: &str, metric: &str) -> Self {
        Self::read(arm, metric, Reading::Final)
    }

    /// A metric of an arm, read in a given way.
    pub fn read(arm: &str, metric: &str, reading: Reading) -> Self {
        Self::Of(Term { arm: arm.to_owned(), metric: metric.to_owned(), reading })
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self::Sum(vec![(1.0, self), (-1.0, other)])
    }

    /// The logarithm.
    #[must_use]
    pub fn log(self) -> Self {
        Self::Log(Box::new(self))
    }

    pub(super) fn terms(&self) -> Vec<&Term> {
        match self {
            Self::Of(term) => vec![term],
            Self::Constant(_) => Vec::new(),
            Self::Sum(parts) | Self::Slope(parts) | Self::Spearman(parts) => {
                parts.iter().flat_map(|(_, part)| part.terms()).collect()
            }
            Self::Highest(parts) | Self::Lowest(parts) => parts.iter().flat_map(Self::terms).collect(),
            Self::Log(inner) => inner.terms(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let need = |ok: bool, what: &str| if ok { Ok(()) } else { Err(Error::usage(what.to_owned())) };
        match self {
            Self::Of(term) => term.reading.check(),
            Self::Constant(c) => need(c.is_finite(), "a constant is not finite"),
            Self::Log(inner) => inner.check(),
            Self::Highest(parts) | Self::Lowest(parts) => {
                need(!parts.is_empty(), "the best of nothing")?;
                parts.iter().try_for_each(Self::check)
            }
            Self::Sum(parts) => {
                need(!parts.is_empty() && parts.iter().all(|p| p.0.is_finite()), "a sum of nothing")?;
                parts.iter().try_for_each(|(_, part)| part.check())
            }
            Self::Slope(parts) | Self::Spearman(parts) => {
                let different =
                    parts.iter().any(|p| p.0 != parts[0].0) && parts.iter().all(|p| p.0.is_finite());
                need(different, "a trend needs two different places at least")?;
                parts.iter().try_for_each(|(_, part)| part.check())
            }
        }
    }

    /// The number of one seed.
    pub(super) fn at(&self, table: &Table, seed: u64) -> Result<f64, Gap> {
        let each = |parts: &[Self]| parts.iter().map(|p| p.at(table, seed)).collect::<Result<Vec<_>, _>>();
        let points = |parts: &[(f64, Self)]| {
            parts.iter().map(|(x, p)| Ok((*x, p.at(table, seed)?))).collect::<Result<Vec<_>, Gap>>()
        };
        let wrong = |what: &str| Gap::Unusable(format!("{} {what}", self.words()));
        match self {
            Self::Of(term) => term.at(table, seed),
            Self::Constant(c) => Ok(*c),
            Self::Sum(parts) => Ok(points(parts)?.iter().map(|(weight, v)| weight * v).sum()),
            Self::Highest(parts) => Ok(each(parts)?.into_iter().fold(f64::NEG_INFINITY, f64::max)),
            Self::Lowest(parts) => Ok(each(parts)?.into_iter().fold(f64::INFINITY, f64::min)),
            Self::Log(inner) => match inner.at(table, seed)? {
                v if v > 0.0 => Ok(v.ln()),
                v => Err(Gap::Unusable(format!("{} is {}, which has no logarithm", inner.words(), short(v)))),
            },
            Self::Slope(parts) => {
                Line::fit(&points(parts)?).map(|l| l.slope).ok_or_else(|| wrong("cannot be fitted"))
            }
            Self::Spearman(parts) => spearman(&points(parts)?).ok_or_else(|| wrong("has no order")),
        }
    }

    pub(super) fn words(&self) -> String {
        let list = |parts: &[Self]| parts.iter().map(Self::words).collect::<Vec<_>>().join(", ");
        let trend = |parts: &[(f64, Self)]| {
            parts.iter().map(|(x, p)| format!("{}: {}", short(*x), p.words())).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Of(term) => term.words(),
            Self::Constant(c) => short(*c),
            Self::Sum(parts) => sum(parts),
            Self::Highest(parts) => format!("max({})", list(parts)),
            Self::Lowest(parts) => format!("min({})", list(parts)),
            Self::Log(inner) => format!("ln({})", inner.words()),
            Self::Slope(parts) => format!("slope over ({})", trend(parts)),
            Self::Spearman(parts) => format!("rank correlation over ({})", trend(parts)),
        }
    }
}

/// `a - b + 0.5·c`, with sums inside in brackets.
fn sum(parts: &[(f64, Quantity)]) -> String {
    let one = |(i, (weight, part)): (usize, &(f64, Quantity))| {
        let sign = match (i, *weight < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        let factor = if weight.abs() == 1.0 { String::new() } else { format!("{}·", short(weight.abs())) };
        let inner =
            if matches!(part, Quantity::Sum(_)) { format!("({})", part.words()) } else { part.words() };
        format!("{sign}{factor}{inner}")
    };
    parts.iter().enumerate().map(one).collect()
}

#[cfg(test)]
#[path = "quantity/tests.rs"]
mod tests;
