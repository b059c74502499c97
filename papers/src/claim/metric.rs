//! The names of what runs measure.
//!
//! | name | what | one number or a curve |
//! |---|---|---|
//! | `STAGE/SET/exact_match`, `…/loss`, `…/bits_per_byte`, `…/answered`, `…/cut_off`, `…/reply_tokens`, `…/preferred`, `…/gain` | the held-out set `SET` after the stage | a number |
//! | `STAGE/eval/SET/exact_match`, `…/loss`, `…/bpb`, `…/reply_tokens`, `…/preferred`, `…/gain` | the same every `eval-every` steps, and at those of `eval-at` | a curve |
//! | with `*` for `SET` | the mean over all sets of the stage, each read on its own | as above |
//! | `STAGE/SET/NAME`, `STAGE/eval/SET/NAME` | a reading of a probe that the stage's `eval` lists, such as `top1` | a number, a curve |
//! | `STAGE/NAME`, such as `train/loss`, `rl/reward`, `rl/completions/mean_length` | any line of the stage's metrics.jsonl | a curve |
//! | `STAGE/ledger/WHAT`, `ledger/WHAT`: `steps`, `tokens`, `generated_tokens`, `flops`, `seconds` | what the stage, or all of them, took | a number |

use std::fmt;

use regimen_recipe::{Node, Resolved, did_you_mean};

/// A metric of a run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Metric {
    /// Of a held-out set after a stage.
    Score(String, String, Score),
    /// What a probe read of a held-out set after a stage.
    Probed(String, String, String),
    /// A line of a stage's metrics.
    Curve(String, String),
    /// What a stage, or the whole run, took.
    Ledger(Option<String>, Sum),
}

/// What is known of a held-out set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Score {
    /// The share of right answers.
    ExactMatch,
    /// Mean −log p of the gold tokens, in nats.
    Loss,
    /// Of the gold text.
    BitsPerByte,
    /// The share of replies with an answer in them.
    Answered,
    /// The share of replies that were cut off.
    CutOff,
    /// Mean number of tokens that a reply took.
    ReplyTokens,
    /// The share of preferences whose chosen side the model finds likelier.
    Preferred,
    /// How much of wanted values a net of numbers gives.
    Gain,
}

/// A column of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sum {
    /// Optimiser steps.
    Steps,
    /// Trained tokens.
    Tokens,
    /// Written tokens.
    GeneratedTokens,
    /// Floating-point operations.
    Flops,
    /// Wall-clock time.
    Seconds,
}

const SCORES: [(&str, Score); 8] = [
    ("exact_match", Score::ExactMatch),
    ("loss", Score::Loss),
    ("bits_per_byte", Score::BitsPerByte),
    ("answered", Score::Answered),
    ("cut_off", Score::CutOff),
    ("reply_tokens", Score::ReplyTokens),
    ("preferred", Score::Preferred),
    ("gain", Score::Gain),
];

const SUMS: [(&str, Sum); 5] = [
    ("steps", Sum::Steps),
    ("tokens", Sum::Tokens),
    ("generated_tokens", Sum::GeneratedTokens),
    ("flops", Sum::Flops),
    ("seconds", Sum::Seconds),
];

fn named<T: Copy>(table: &[(&'static str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, known)| known == value).map_or("", |(name, _)| *name)
}

impl Metric {
    /// The metric of that name in the runs of `recipe`.
    ///
    /// # Errors
    /// What the recipe does not have, and what it has instead.
    pub fn of(name: &str, recipe: &Resolved) -> Result<Self, String> {
        let parts: Vec<&str> = name.split('/').collect();
        if let ["ledger", what] = parts.as_slice() {
            return Ok(Self::Ledger(None, sum(what)?));
        }
        let [stage, rest @ ..] = parts.as_slice() else { return Err("write STAGE/NAME".to_owned()) };
        if rest.is_empty() || parts.iter().any(|part| part.is_empty()) {
            return Err("write STAGE/NAME, such as main/loss".to_owned());
        }
        let node = stage_of(recipe, stage)?;
        let sets = sets(node);
        match rest {
            ["ledger", what] => Ok(Self::Ledger(Some((*stage).to_owned()), sum(what)?)),
            ["eval", ..] | [_, "exact_match"] if sets.is_empty() => {
                Err(format!("stage `{stage}` has no `eval`: nothing is held out"))
            }
            ["eval", set, _] => {
                known_set(set, &sets)?;
                let on_the_way =
                    || node.opt_length("eval-every").is_some() || !node.u64s("eval-at").is_empty();
                if node.kind() != "train" || !on_the_way() {
                    return Err(format!(
                        "stage `{stage}` has no `eval-every`: only {stage}/{set}/… is measured"
                    ));
                }
                Ok(Self::Curve((*stage).to_owned(), rest.join("/")))
            }
            [set, what] if sets.iter().any(|known| known == set) => {
                let probes = node.opt_table("eval").is_some_and(|eval| !eval.list("probe").is_empty());
                if probes && named(&SCORES, what).is_none() {
                    let words = [stage, set, what].map(|word| (*word).to_owned());
                    let [stage, set, what] = words;
                    return Ok(Self::Probed(stage, set, what));
                }
                let score = named(&SCORES, what).ok_or_else(|| {
                    let names: Vec<&str> = SCORES.iter().map(|(name, _)| *name).collect();
                    other("a held-out set", what, &names)
                })?;
                Ok(Self::Score((*stage).to_owned(), (*set).to_owned(), score))
            }
            [set, "exact_match"] => Err(other("the stage's `eval`", set, &names(&sets))),
            _ if node.kind() == "train" => Ok(Self::Curve((*stage).to_owned(), rest.join("/"))),
            _ => Err(format!("stage `{stage}` trains nothing and has no curves")),
        }
    }

    /// The held-out sets of a stage.
    ///
    /// # Errors
    /// When the recipe has no such stage.
    pub fn sets(stage: &str, recipe: &Resolved) -> Result<Vec<String>, String> {
        stage_of(recipe, stage).map(sets)
    }

    /// Whether it is a curve over the steps of its stage.
    pub fn is_curve(&self) -> bool {
        matches!(self, Self::Curve(..))
    }
}

fn stage_of<'a>(recipe: &'a Resolved, id: &str) -> Result<&'a Node, String> {
    let plans = &recipe.plan().stages;
    let ids: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
    let at = ids.iter().position(|known| *known == id).ok_or_else(|| other("the recipe", id, &ids))?;
    Ok(&recipe.stages()[at])
}

/// The names of a stage's held-out sets.
fn sets(stage: &Node) -> Vec<String> {
    let data = stage.opt_table("eval").map_or(&[][..], |eval| eval.list("data"));
    let mut names: Vec<String> = Vec::new();
    for set in data {
        let name = set.opt_str("name").unwrap_or(set.kind());
        let numbered = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
        names.extend(numbered.into_iter().find(|name| !names.contains(name)));
    }
    names
}

fn known_set(set: &str, sets: &[String]) -> Result<(), String> {
    let names = names(sets);
    if names.contains(&set) { Ok(()) } else { Err(other("the stage's `eval`", set, &names)) }
}

fn names(sets: &[String]) -> Vec<&str> {
    sets.iter().map(String::as_str).collect()
}

fn sum(what: &str) -> Result<Sum, String> {
    let names: Vec<&str> = SUMS.iter().map(|(name, _)| *name).collect();
    named(&SUMS, what).ok_or_else(|| other("the ledger", what, &names))
}

fn other(holder: &str, word: &str, names: &[&str]) -> String {
    let near = did_you_mean(word, names);
    let near = if near.is_empty() { near } else { format!(": {near}") };
    let has = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    format!("{holder} has no `{word}`{near} (it has {has})")
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(stage, set, score) => write!(f, "{stage}/{set}/{}", name_of(&SCORES, score)),
            Self::Probed(stage, set, name) => write!(f, "{stage}/{set}/{name}"),
            Self::Curve(stage, name) => write!(f, "{stage}/{name}"),
            Self::Ledger(None, sum) => write!(f, "ledger/{}", name_of(&SUMS, sum)),
            Self::Ledger(Some(stage), sum) => write!(f, "{stage}/ledger/{}", name_of(&SUMS, sum)),
        }
    }
}
