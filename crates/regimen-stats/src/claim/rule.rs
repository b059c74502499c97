//! The rules by which a claim holds, as data.

use regimen_base::{Error, Result};

use super::Design;
use super::number::short;
use super::quantity::Quantity;
use super::reading::{Reading, Term};

/// A decision rule. Each quantity is one number a seed, over paired seeds; "the mean" is that over all seeds there
/// could be. Except for [`Rule::Seeds`], a rule holds when a one-sided bound at alpha (both, for `Within`) shows it.
#[derive(Clone, PartialEq, Debug)]
pub enum Rule {
    /// The mean of a − b is above 0. Where less is better, the baseline is `a`.
    Positive {
        /// What should be higher.
        a: Quantity,
        /// Than this.
        b: Quantity,
    },
    /// The mean of a − b is above −margin: `a` is not worse by more than that.
    NonInferior {
        /// What should not be lower.
        a: Quantity,
        /// Than this.
        b: Quantity,
        /// By more than this, ≥ 0.
        margin: f64,
    },
    /// The geometric mean of a/b is above `at_least`. Both must be positive.
    Ratio {
        /// Numerator.
        a: Quantity,
        /// Denominator.
        b: Quantity,
        /// Above 0.
        at_least: f64,
    },
    /// The mean is above a threshold. With a slope as the quantity: its sign.
    Above {
        /// What.
        what: Quantity,
        /// Above this.
        threshold: f64,
    },
    /// The mean is below a threshold.
    Below {
        /// What.
        what: Quantity,
        /// Below this.
        threshold: f64,
    },
    /// The mean is between two values (two one-sided tests; Schuirmann 1987): "no difference but for …".
    Within {
        /// What.
        what: Quantity,
        /// Above this.
        lo: f64,
        /// And below this.
        hi: f64,
    },
    /// (a − b) − (c − d) has a mean above 0: the effect is larger in the first pair.
    Interaction {
        /// The first pair, (a, b).
        first: (Quantity, Quantity),
        /// The second pair, (c, d).
        second: (Quantity, Quantity),
    },
    /// In more than half of all seeds `early` crosses before `late`: the exact sign test. A curve that never crosses is
    /// later than one that does; a tie, and two that never cross, speak against.
    OnsetBefore {
        /// Which should be first; its reading is an onset without `never`.
        early: Term,
        /// Which later; the same.
        late: Term,
    },
    /// In at least `at_least` of the claim's own seeds lo ≤ quantity ≤ hi. A count, not a test: it speaks of these
    /// seeds alone.
    Seeds {
        /// What.
        what: Quantity,
        /// Lowest allowed; may be −∞.
        lo: f64,
        /// Highest allowed; may be ∞.
        hi: f64,
        /// In so many seeds.
        at_least: usize,
    },
    /// All hold. Each is tested at alpha, and the whole is at alpha too (intersection–union; Berger 1982).
    AllOf(Vec<Rule>),
    /// At least one holds. Each of the k is tested at alpha/k (Bonferroni).
    AnyOf(Vec<Rule>),
}

impl Rule {
    pub(super) fn check(&self, seeds: usize) -> Result<()> {
        let need = |ok: bool, what: String| if ok { Ok(()) } else { Err(Error::usage(what)) };
        match self {
            Self::AllOf(parts) | Self::AnyOf(parts) => {
                need(!parts.is_empty(), "all-of and any-of need a rule inside".to_owned())?;
                return parts.iter().try_for_each(|part| part.check(seeds));
            }
            Self::NonInferior { margin, .. } => {
                need(
                    *margin >= 0.0 && margin.is_finite(),
                    format!("the margin is {margin}, not 0 or above"),
                )?;
            }
            Self::Ratio { at_least, .. } => {
                need(
                    *at_least > 0.0 && at_least.is_finite(),
                    format!("the ratio is {at_least}, not above 0"),
                )?;
            }
            Self::Above { threshold, .. } | Self::Below { threshold, .. } => {
                need(threshold.is_finite(), format!("the threshold is {threshold}"))?;
            }
            Self::Within { lo, hi, .. } => need(lo < hi, format!("nothing is between {lo} and {hi}"))?,
            Self::Seeds { lo, hi, at_least, .. } => {
                need(lo <= hi, format!("nothing is between {lo} and {hi}"))?;
                let what = format!("{at_least} of {seeds} seeds");
                need(*at_least >= 1 && *at_least <= seeds, what)?;
            }
            Self::OnsetBefore { early, late } => {
                let onset = |t: &Term| matches!(t.reading, Reading::Onset { never: None, .. });
                let what = "onset-before compares two onsets, in which a curve may never cross";
                need(onset(early) && onset(late), what.to_owned())?;
                Quantity::Of(early.clone()).check()?;
                Quantity::Of(late.clone()).check()?;
            }
            Self::Positive { .. } | Self::Interaction { .. } => {}
        }
        self.quantities().into_iter().try_for_each(Quantity::check)
    }

    /// What is compared; nothing for onsets and composites.
    fn quantities(&self) -> Vec<&Quantity> {
        match self {
            Self::Positive { a, b } | Self::NonInferior { a, b, .. } | Self::Ratio { a, b, .. } => vec![a, b],
            Self::Above { what, .. }
            | Self::Below { what, .. }
            | Self::Within { what, .. }
            | Self::Seeds { what, .. } => vec![what],
            Self::Interaction { first: (a, b), second: (c, d) } => vec![a, b, c, d],
            Self::OnsetBefore { .. } | Self::AllOf(_) | Self::AnyOf(_) => Vec::new(),
        }
    }

    pub(super) fn terms(&self) -> Vec<&Term> {
        match self {
            Self::OnsetBefore { early, late } => vec![early, late],
            Self::AllOf(parts) | Self::AnyOf(parts) => parts.iter().flat_map(Self::terms).collect(),
            _ => self.quantities().into_iter().flat_map(Quantity::terms).collect(),
        }
    }

    /// What is claimed, without how it is decided.
    pub(super) fn subject(&self) -> String {
        let list = |parts: &[Self]| parts.iter().map(Self::subject).collect::<Vec<_>>().join("; ");
        let minus = |a: &Quantity, b: &Quantity| a.clone().minus(b.clone());
        match self {
            Self::Positive { a, b } => format!("{} > 0", minus(a, b).words()),
            Self::Interaction { first: (a, b), second: (c, d) } => {
                format!("{} > 0", minus(&minus(a, b), &minus(c, d)).words())
            }
            Self::NonInferior { a, b, margin } => format!("{} > {}", minus(a, b).words(), short(-margin)),
            Self::Ratio { a, b, at_least } => {
                format!("{} / {} > {}", bracketed(a), bracketed(b), short(*at_least))
            }
            Self::Above { what, threshold } => format!("{} > {}", what.words(), short(*threshold)),
            Self::Below { what, threshold } => format!("{} < {}", what.words(), short(*threshold)),
            Self::Within { what, lo, hi } => format!("{} < {} < {}", short(*lo), what.words(), short(*hi)),
            Self::OnsetBefore { early, late } => format!("{} comes before {}", early.words(), late.words()),
            Self::Seeds { what, lo, hi, at_least } => {
                format!("{} ≤ {} ≤ {} in at least {at_least} seeds", short(*lo), what.words(), short(*hi))
            }
            Self::AllOf(parts) => format!("all of ({})", list(parts)),
            Self::AnyOf(parts) => format!("any of ({})", list(parts)),
        }
    }

    /// What is claimed, and how it is decided.
    pub(super) fn words(&self, alpha: f64, design: Design, seeds: usize) -> String {
        let list = |parts: &[Self], alpha: f64| {
            parts.iter().map(|part| part.words(alpha, design, seeds)).collect::<Vec<_>>().join("; ")
        };
        let percent = short(100.0 * (1.0 - alpha));
        let how = match (self, design) {
            (Self::AllOf(parts), _) => return format!("all of [{}]", list(parts, alpha)),
            (Self::AnyOf(parts), _) => {
                return format!("any of [{}]", list(parts, alpha / parts.len() as f64));
            }
            (Self::Seeds { .. }, _) => format!("counted over {seeds} seeds"),
            (Self::OnsetBefore { .. }, Design::Fixed) => {
                format!("exact sign test at {percent} %, {seeds} seeds")
            }
            (Self::OnsetBefore { .. }, Design::Anytime) => {
                format!("anytime-valid sign test at {percent} %, up to {seeds} seeds")
            }
            (_, Design::Fixed) => format!("one-sided paired t bound at {percent} %, {seeds} seeds"),
            (_, Design::Anytime) => format!("anytime-valid t bound at {percent} %, up to {seeds} seeds"),
        };
        format!("{} ({how})", self.subject())
    }
}

fn bracketed(quantity: &Quantity) -> String {
    let words = quantity.words();
    if matches!(quantity, Quantity::Sum(_)) { format!("({words})") } else { words }
}
