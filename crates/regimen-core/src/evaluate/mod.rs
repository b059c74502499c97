//! Evaluation on held-out items: exact match by a verifier, loss and bits per byte of gold text, preferences, and what
//! nets of numbers make of classes and values.

mod gold;
mod numbers;
mod replies;

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Key, Result, Split};
use regimen_data::{Body, Example, Source, Transform, prompt_of};
use regimen_nn::Rule;
use serde::{Deserialize, Serialize};

use crate::feed::Judges;
use crate::generate::Generator;
use crate::model::Model;
use crate::probe::Probe;
use crate::rollout::Rollout;

/// Right answers out of so many.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the scores.
    pub score: f64,
    /// How many replies.
    pub n: u64,
    /// How many of them held an answer of the expected form.
    pub parsed: u64,
    /// How many were cut off.
    pub truncated: u64,
}

/// One reply of an evaluation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The question.
    pub prompt: String,
    /// The expected answer.
    pub answer: Option<String>,
    /// What the model said.
    pub reply: String,
    /// The verifier's score.
    pub score: f64,
    /// Why it ended.
    pub stop: String,
}

/// What one set of held-out items says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SetResult {
    /// The set's name.
    pub name: String,
    /// Replies judged; `None` for plain text, which has no question.
    pub replies: Option<Tally>,
    /// The same by difficulty.
    pub by_difficulty: BTreeMap<u32, Tally>,
    /// Mean −log p of the gold tokens, in nats; `None` where items have no gold text.
    pub loss: Option<f64>,
    /// Bits per byte of the gold text, comparable between tokenizers.
    pub bits_per_byte: Option<f64>,
    /// Preferences whose chosen reply is the likelier one, by the mean log-prob of its tokens; `None` for other data.
    #[serde(default)]
    pub preferred: Option<Tally>,
    /// Mean number of tokens that the model drew for a reply; what it was made to begin with does not count.
    #[serde(default)]
    pub reply_tokens: Option<f64>,
    /// Σ output·wanted / Σ wanted² over wanted values: 1 where a net of numbers gives them all, 0 where it gives nothing
    /// that has to do with them; `None` for other data.
    #[serde(default)]
    pub gain: Option<f64>,
    /// What the probes read of the gold text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, f64>,
    /// The first few replies.
    pub examples: Vec<Reply>,
}

/// One set to evaluate on.
pub struct Set {
    /// Its name in tables.
    pub name: String,
    /// Where its items come from (the held-out split).
    pub source: Arc<dyn Source>,
    /// Its verifier.
    pub judges: Judges,
    /// What turns an item with its gold reply into weighted tokens, for the loss.
    pub gold: Vec<Box<dyn Transform>>,
}

/// What to evaluate, and how replies are drawn.
pub struct Evaluation {
    /// The sets.
    pub sets: Vec<Set>,
    /// Items a set, at most.
    pub n: u64,
    /// How replies are drawn.
    pub rollout: Box<dyn Rollout>,
    /// Where the draws come from.
    pub key: Key,
    /// Most tokens in a forward pass.
    pub micro_batch_tokens: usize,
    /// What else is read of gold text.
    pub probes: Vec<(String, Box<dyn Probe>)>,
    /// Of a net of several paths the one that says which of those before it answers each row.
    pub select: Option<usize>,
}

/// How many replies are kept for reading.
const SHOWN: usize = 8;

/// What is evaluated, with what it needs to speak.
pub struct Subject<'a> {
    /// The model.
    pub model: &'a mut Model,
    /// Its decoding engine; a net of numbers has none.
    pub generator: Option<&'a mut Generator>,
    /// Names the model's weights for the generator.
    pub version: u64,
    /// Activations that are held. Decoding knows nothing of clamps, so that under any no replies are drawn.
    pub clamps: &'a [Rule],
    /// Whether to go on: asked at every drawn token and every forward pass.
    pub go: &'a dyn Fn() -> bool,
}

impl Evaluation {
    /// Evaluates on every set; `None` when it was told not to go on.
    pub fn run(&self, subject: &mut Subject) -> Result<Option<Vec<SetResult>>> {
        let mut results = Vec::with_capacity(self.sets.len());
        for set in &self.sets {
            let result =
                self.set(set, subject).map_err(|e| e.within(format!("evaluating `{}`", set.name)))?;
            if !(subject.go)() {
                return Ok(None);
            }
            results.push(result);
        }
        Ok(Some(results))
    }

    fn set(&self, set: &Set, subject: &mut Subject) -> Result<SetResult> {
        let count = set.source.len(Split::Eval).map_or(self.n, |len| len.min(self.n));
        let examples: Vec<Example> =
            (0..count).map(|i| set.source.get(i, Split::Eval)).collect::<Result<_>>()?;
        let mut result = SetResult { name: set.name.clone(), ..SetResult::default() };
        if subject.model.language.is_none() {
            numbers::read(self, examples, subject, &mut result)?;
            return Ok(result);
        }
        gold::read(self, set, &examples, subject, &mut result)?;
        // replies that nothing can judge are not drawn
        let asked = examples.iter().all(|e| matches!(e.body, Body::Messages(_)))
            && examples.iter().any(|e| set.judges.can_judge(e));
        if asked && subject.clamps.is_empty() {
            replies::judge(self, set, examples, subject, &mut result)?;
        }
        Ok(result)
    }
}

impl SetResult {
    /// What the set counts: right replies, or preferences that the model shares.
    pub fn shares(&self) -> Option<Tally> {
        self.replies.or(self.preferred)
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.score += other.score;
        self.n += other.n;
        self.parsed += other.parsed;
        self.truncated += other.truncated;
    }

    /// The mean score.
    pub fn mean(&self) -> f64 {
        self.score / self.n.max(1) as f64
    }
}

/// The last message before the reply, as text.
pub fn question(example: &Example) -> String {
    match &example.body {
        Body::Messages(messages) => {
            prompt_of(messages).iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n")
        }
        Body::Text(text) => text.clone(),
        _ => String::new(),
    }
}
