//! A claim's verdict on a table of runs.

use std::cmp::Ordering;

use regimen_base::Key;

use super::column::Column;
use super::decide::{Decision, Method, Region, decide};
use super::number::short;
use super::quantity::Quantity;
use super::reading::{Gap, Term};
use super::rule::Rule;
use super::table::Table;
use super::verdict::{Beside, Evidence, Outcome, SeedValue, Verdict};
use super::{Claim, Design};
use crate::{Bootstrap, Interval, sign_flip};

/// Resamples of the bootstraps beside a verdict.
const DRAWS: usize = 9_999;

impl Claim {
    /// The verdict of the runs that are there. Nothing is left out in silence: a missing run or a value that is not
    /// finite makes the rule `inconclusive` and stands in the notes with its seed; estimate and interval then show
    /// what the seeds so far say, and decide nothing. [`Claim::check`] comes first.
    pub fn evaluate(&self, table: &Table) -> Verdict {
        let mut verdict = self.verdict(&self.rule, self.alpha, table);
        verdict.rule = self.words();
        let extra: Vec<String> =
            table.all_seeds().iter().filter(|s| !self.seeds.contains(s)).map(u64::to_string).collect();
        if !extra.is_empty() {
            verdict.notes.push(format!("not among the claim's seeds, and not counted: {}", extra.join(", ")));
        }
        verdict
    }

    fn verdict(&self, rule: &Rule, alpha: f64, table: &Table) -> Verdict {
        let above = |threshold: f64| Region { lo: threshold, hi: f64::INFINITY };
        let minus = |a: &Quantity, b: &Quantity| a.clone().minus(b.clone());
        match rule {
            Rule::AllOf(parts) => self.all_of(rule, parts, alpha, table),
            Rule::AnyOf(parts) => self.any_of(rule, parts, alpha, table),
            Rule::OnsetBefore { early, late } => self.onset_before(rule, early, late, alpha, table),
            Rule::Seeds { what, lo, hi, at_least } => {
                self.count(rule, what, Region { lo: *lo, hi: *hi }, *at_least, table)
            }
            Rule::Positive { a, b } => self.mean(rule, &minus(a, b), above(0.0), alpha, table),
            Rule::NonInferior { a, b, margin } => self.mean(rule, &minus(a, b), above(-margin), alpha, table),
            Rule::Ratio { a, b, at_least } => {
                let ratio = minus(&a.clone().log(), &b.clone().log());
                self.mean(rule, &ratio, above(at_least.ln()), alpha, table)
            }
            Rule::Interaction { first: (a, b), second: (c, d) } => {
                self.mean(rule, &minus(&minus(a, b), &minus(c, d)), above(0.0), alpha, table)
            }
            Rule::Above { what, threshold } => self.mean(rule, what, above(*threshold), alpha, table),
            Rule::Below { what, threshold } => {
                self.mean(rule, what, Region { lo: f64::NEG_INFINITY, hi: *threshold }, alpha, table)
            }
            Rule::Within { what, lo, hi } => self.mean(rule, what, Region { lo: *lo, hi: *hi }, alpha, table),
        }
    }

    fn mean(&self, rule: &Rule, quantity: &Quantity, region: Region, alpha: f64, table: &Table) -> Verdict {
        let shown: fn(f64) -> f64 = if matches!(rule, Rule::Ratio { .. }) { f64::exp } else { |v| v };
        let column = Column::read(self, |seed| Ok((quantity.at(table, seed)?, None)));
        let method = if self.design == Design::Anytime { Method::AnytimeT } else { Method::T };
        let decision = decide(self, alpha, method, region, &column, shown);
        let beside = beside(&column.numbers, alpha, region, shown);
        self.leaf(rule, alpha, column, decision, region, Some(beside), shown)
    }

    fn onset_before(&self, rule: &Rule, early: &Term, late: &Term, alpha: f64, table: &Table) -> Verdict {
        let column = Column::read(self, |seed| {
            let (e, l) = (early.onset(table, seed)?, late.onset(table, seed)?);
            let say = |at: Option<f64>| at.map_or("never".to_owned(), |step| format!("at {}", short(step)));
            let note = format!("`{}` {}, `{}` {}", early.arm, say(e), late.arm, say(l));
            Ok::<_, Gap>((f64::from(earlier(e, l)), Some(note)))
        });
        let method = if self.design == Design::Anytime { Method::AnytimeSign } else { Method::Sign };
        let region = Region { lo: 0.5, hi: f64::INFINITY };
        let decision = decide(self, alpha, method, region, &column, |v| v);
        self.leaf(rule, alpha, column, decision, region, None, |v| v)
    }

    /// Decided as soon as the seeds that are missing cannot change it.
    fn count(&self, rule: &Rule, what: &Quantity, region: Region, needed: usize, table: &Table) -> Verdict {
        let column = Column::read(self, |seed| Ok((what.at(table, seed)?, None)));
        let inside = |s: &SeedValue| s.value.is_some_and(|v| region.lo <= v && v <= region.hi);
        let met = column.seeds.iter().filter(|s| inside(s)).count();
        let missing = column.seeds.iter().filter(|s| s.value.is_none()).count();
        let outcome = match (met >= needed, met + missing >= needed) {
            (true, _) => Outcome::Held,
            (false, false) => Outcome::NotHeld,
            (false, true) => Outcome::Inconclusive,
        };
        let total = column.seeds.len();
        let unknown = if missing > 0 { format!(", {missing} missing") } else { String::new() };
        let why = format!("{met} of {total} seeds{unknown}; {needed} are needed");
        let refuted = outcome == Outcome::NotHeld;
        let decision = Decision { outcome, refuted, interval: None, p: None, why, after: None };
        self.leaf(rule, self.alpha, column, decision, region, None, |v| v)
    }

    #[expect(clippy::too_many_arguments, reason = "it only gathers what the kinds of rules worked out")]
    fn leaf(
        &self,
        rule: &Rule,
        alpha: f64,
        column: Column,
        decision: Decision,
        region: Region,
        beside: Option<Beside>,
        shown: fn(f64) -> f64,
    ) -> Verdict {
        let Decision { outcome, refuted, interval, p, why, after } = decision;
        let Column { mut seeds, numbers, gaps: mut notes, open } = column;
        for s in &mut seeds {
            s.value = s.value.map(shown);
        }
        let n = numbers.len();
        if n >= 2 && interval.is_some_and(|i| i.lo == i.hi) {
            notes.push("all seeds give the same number: the bounds have no spread to go by".to_owned());
        }
        if let Some(k) = after.filter(|k| *k < n) {
            notes.push(format!("decided after {k} seeds; the seeds after that change nothing"));
        }
        let mean = numbers.iter().sum::<f64>() / n as f64;
        let shown_interval = interval.map(|i| Interval { lo: shown(i.lo), hi: shown(i.hi) });
        let evidence = Evidence {
            seeds,
            n,
            estimate: Some(shown(mean)).filter(|v| v.is_finite()),
            interval: shown_interval.filter(|i| i.lo.is_finite() && i.hi.is_finite()),
            level: 1.0 - 2.0 * alpha,
            above: Some(shown(region.lo)).filter(|v| v.is_finite() && region.lo.is_finite()),
            below: Some(shown(region.hi)).filter(|v| v.is_finite()),
            beside,
        };
        Verdict {
            outcome,
            refuted,
            open: open && outcome == Outcome::Inconclusive,
            rule: rule.words(alpha, self.design, self.seeds.len()),
            why,
            notes,
            p,
            evidence: Some(evidence),
            parts: Vec::new(),
        }
    }

    fn all_of(&self, rule: &Rule, rules: &[Rule], alpha: f64, table: &Table) -> Verdict {
        let parts: Vec<Verdict> = rules.iter().map(|r| self.verdict(r, alpha, table)).collect();
        let outcome = combine(&parts, Outcome::NotHeld, Outcome::Held);
        let p = parts.iter().map(|v| v.p).collect::<Option<Vec<_>>>();
        let p = p.and_then(|p| p.into_iter().reduce(f64::max));
        let refuted = parts.iter().any(|v| v.refuted);
        self.composite(rule, alpha, parts, outcome, refuted, p)
    }

    fn any_of(&self, rule: &Rule, rules: &[Rule], alpha: f64, table: &Table) -> Verdict {
        let k = rules.len() as f64;
        let parts: Vec<Verdict> = rules.iter().map(|r| self.verdict(r, alpha / k, table)).collect();
        let outcome = combine(&parts, Outcome::Held, Outcome::NotHeld);
        let p = parts.iter().map(|v| v.p).collect::<Option<Vec<_>>>();
        let p = p.and_then(|p| p.into_iter().reduce(f64::min)).map(|p| (k * p).min(1.0));
        let refuted = parts.iter().all(|v| v.refuted);
        self.composite(rule, alpha, parts, outcome, refuted, p)
    }

    fn composite(
        &self,
        rule: &Rule,
        alpha: f64,
        parts: Vec<Verdict>,
        outcome: Outcome,
        refuted: bool,
        p: Option<f64>,
    ) -> Verdict {
        let count = |o: Outcome| parts.iter().filter(|v| v.outcome == o).count();
        let why = format!(
            "{} of {} parts held, {} did not, {} inconclusive",
            count(Outcome::Held),
            parts.len(),
            count(Outcome::NotHeld),
            count(Outcome::Inconclusive)
        );
        Verdict {
            outcome,
            refuted: refuted && outcome == Outcome::NotHeld,
            open: outcome == Outcome::Inconclusive && parts.iter().any(|v| v.open),
            rule: rule.words(alpha, self.design, self.seeds.len()),
            why,
            notes: Vec::new(),
            p,
            evidence: None,
            parts,
        }
    }
}

/// `decisive` if any part says so; else inconclusive if any part is; else `otherwise`.
fn combine(parts: &[Verdict], decisive: Outcome, otherwise: Outcome) -> Outcome {
    let any = |o: Outcome| parts.iter().any(|v| v.outcome == o);
    if any(decisive) {
        decisive
    } else if any(Outcome::Inconclusive) {
        Outcome::Inconclusive
    } else {
        otherwise
    }
}

/// Whether the first comes before the second; never is later than any step.
fn earlier(a: Option<f64>, b: Option<f64>) -> bool {
    let step = |s: Option<f64>| s.unwrap_or(f64::INFINITY);
    step(a).total_cmp(&step(b)) == Ordering::Less
}

fn beside(x: &[f64], alpha: f64, region: Region, shown: fn(f64) -> f64) -> Beside {
    let key = Key::new(0).child("claim");
    let resamples = Bootstrap::new(x, DRAWS, key.child("bootstrap"));
    let level = 1.0 - 2.0 * alpha;
    let show = |i: Interval| Interval { lo: shown(i.lo), hi: shown(i.hi) };
    let mirrored: Vec<f64> = x.iter().map(|v| -v).collect();
    let above = region.lo.is_finite().then(|| sign_flip(x, region.lo, key.child("sign-flip")));
    let below = region.hi.is_finite().then(|| sign_flip(&mirrored, -region.hi, key.child("sign-flip")));
    Beside {
        bootstrap_t: resamples.as_ref().and_then(|b| b.studentised(level)).map(show),
        percentile: resamples.as_ref().map(|b| show(b.percentile(level))),
        sign_flip: [above, below].into_iter().flatten().flatten().reduce(f64::max),
    }
}
