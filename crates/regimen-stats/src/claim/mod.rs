//! Claims: a rule that is fixed before the runs, and the verdict that a table of runs gives.

mod column;
mod decide;
mod evaluate;
mod number;
mod quantity;
mod reading;
mod rule;
mod table;
mod verdict;

use regimen_base::{Error, Result};

use crate::sign_test;
use decide::Method;

pub use quantity::Quantity;
pub use reading::{Reading, Term};
pub use rule::Rule;
pub use table::{Cell, Table};
pub use verdict::{Beside, Evidence, Outcome, SeedValue, Verdict};

/// When the table may be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Design {
    /// Once all seeds are there: Student's t and exact tests.
    Fixed,
    /// After every seed, in the order of the list, until it is decided or the list ends: confidence sequences.
    Anytime,
}

/// A rule, and on which seeds it is decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    /// What has to hold.
    pub rule: Rule,
    /// The chance of a false `held`, at most; 0.05 by default. Every bound is one-sided at this.
    pub alpha: f64,
    /// The seeds, in their order. With [`Design::Anytime`] the budget: the most that will be run.
    pub seeds: Vec<u64>,
    /// When it may be looked at.
    pub design: Design,
}

impl Claim {
    /// A claim at alpha = 0.05 that is decided once all `seeds` are there.
    pub fn new(rule: Rule, seeds: impl IntoIterator<Item = u64>) -> Self {
        Self { rule, alpha: 0.05, seeds: seeds.into_iter().collect(), design: Design::Fixed }
    }

    /// The same claim, decided as soon as the seeds allow.
    #[must_use]
    pub fn anytime(self) -> Self {
        Self { design: Design::Anytime, ..self }
    }

    /// Refuses what could never be decided: an alpha outside [0.0001, 0.5), seeds that repeat or are too few for the rule to
    /// hold whatever they show, empty lists, windows and margins that make no sense.
    pub fn check(&self) -> Result<()> {
        if !(self.alpha >= 1e-4 && self.alpha < 0.5) {
            return Err(Error::usage(format!("alpha is {}, not between 0.0001 and 0.5", self.alpha)));
        }
        for (i, seed) in self.seeds.iter().enumerate() {
            if self.seeds[..i].contains(seed) {
                return Err(Error::usage(format!("seed {seed} is given twice")).remedy("give each seed once"));
            }
        }
        self.rule.check(self.seeds.len())?;
        self.enough(&self.rule, self.alpha)
    }

    /// All runs' readings that the rule looks at: what the recipe must have arms and metrics for.
    pub fn terms(&self) -> Vec<&Term> {
        self.rule.terms()
    }

    /// The rule in words: what is compared, and how it is decided.
    pub fn words(&self) -> String {
        self.rule.words(self.alpha, self.design, self.seeds.len())
    }

    /// Fewest seeds at which `rule` can hold.
    fn enough(&self, rule: &Rule, alpha: f64) -> Result<()> {
        let n = self.seeds.len() as u64;
        let all = |n: u64| vec![1.0; n as usize];
        let possible = |n: u64| match (rule, self.design) {
            (Rule::Seeds { .. }, _) => true,
            (Rule::OnsetBefore { .. }, Design::Fixed) => sign_test(n, n) < alpha,
            (Rule::OnsetBefore { .. }, Design::Anytime) => {
                Method::AnytimeSign.interval(&all(n), alpha).is_some_and(|i| i.lo > 0.5)
            }
            (_, Design::Fixed) => n >= 2,
            (_, Design::Anytime) => Method::AnytimeT.interval(&all(n), alpha).is_some(),
        };
        match rule {
            Rule::AllOf(parts) => parts.iter().try_for_each(|part| self.enough(part, alpha)),
            Rule::AnyOf(parts) => {
                parts.iter().try_for_each(|part| self.enough(part, alpha / parts.len() as f64))
            }
            _ if possible(n) => Ok(()),
            _ => {
                let least = (1..1000).find(|n| possible(*n)).unwrap_or(1000);
                let what = format!("{n} seeds cannot decide `{}` at alpha {alpha}", rule.subject());
                Err(Error::usage(what).remedy(format!("give it at least {least} seeds")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
