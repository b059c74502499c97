//! Evaluation on held-out items: exact match by a verifier, loss and bits per byte of gold text.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Key, Result, Split};
use regimen_data::task::Parse;
use regimen_data::{Body, ChatTemplate, Example, Notes, Source, Token, Transform, apply_all, prompt_of};
use regimen_nn::{Inputs, Taps, Tokens, Want};
use serde::{Deserialize, Serialize};

use crate::feed::{Judges, prompt_tokens};
use crate::generate::Generator;
use crate::model::Model;
use crate::picks::{Picks, Unit, flat, micro_batches};
use crate::rollout::{Decoder, Prompt, Rollout};

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
}

/// How many replies are kept for reading.
const SHOWN: usize = 8;

/// What is evaluated, with what it needs to speak.
pub struct Subject<'a> {
    /// The model.
    pub model: &'a mut Model,
    /// Its decoding engine.
    pub generator: &'a mut Generator,
    /// Names the model's weights for the generator.
    pub version: u64,
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
        self.loss(set, &examples, subject, &mut result)?;
        if examples.iter().all(|e| matches!(e.body, Body::Messages(_))) && !examples.is_empty() {
            self.replies(set, examples, subject, &mut result)?;
        }
        Ok(result)
    }

    /// Mean −log p over the weighted tokens of the gold texts.
    fn loss(
        &self,
        set: &Set,
        examples: &[Example],
        subject: &mut Subject,
        result: &mut SetResult,
    ) -> Result<()> {
        let model = &mut *subject.model;
        let mut units = Vec::new();
        for example in examples {
            let done = apply_all(&set.gold, example.clone(), self.key.child("gold"), &mut Notes::default())?;
            units.extend(done.into_iter().filter_map(|e| match e.body {
                Body::Tokens(tokens) => {
                    Some(Unit { example: e.id, tokens, weight: 1.0, advantage: None, side: None })
                }
                _ => None,
            }));
        }
        let context = model.shape().max_positions;
        units.retain(|u| u.tokens.len() <= context);
        let (mut nats, mut tokens, mut bytes) = (0.0, 0.0, 0);
        for range in micro_batches(&units, self.micro_batch_tokens) {
            if !(subject.go)() {
                return Ok(());
            }
            let units = &units[range];
            let picks = Picks::of(units);
            if picks.is_empty() {
                continue;
            }
            let (ids, starts) = flat(units);
            let inputs =
                Inputs::Tokens(Tokens { ids: &ids, starts: &starts, picks: &picks.picks, temperature: 1.0 });
            let outputs = model.net.forward(&inputs, Want::default(), &mut Taps::none())?;
            let logp = outputs.logp.into_data().try_into_vec::<f32>();
            let logp =
                logp.map_err(|e| regimen_base::Error::failed(format!("cannot read log-probs back: {e:?}")))?;
            nats -= logp.iter().map(|&x| f64::from(x)).sum::<f64>();
            tokens += logp.len() as f64;
            bytes += picks.picks.iter().map(|p| u64::from(model.tokenizer.byte_len(p.target))).sum::<u64>();
        }
        if tokens > 0.0 {
            result.loss = Some(nats / tokens);
        }
        if bytes > 0 {
            result.bits_per_byte = Some(nats / std::f64::consts::LN_2 / bytes as f64);
        }
        Ok(())
    }

    fn replies(
        &self,
        set: &Set,
        examples: Vec<Example>,
        subject: &mut Subject,
        result: &mut SetResult,
    ) -> Result<()> {
        let Subject { model, generator, version, go } = subject;
        let template = ChatTemplate::of(&model.tokenizer)?;
        let mut prompts = Vec::new();
        for (i, example) in examples.into_iter().enumerate() {
            let tokens: Vec<Token> = prompt_tokens(&template, &example)?;
            prompts.push(Prompt { example, tokens, key: self.key.child(&set.name).at(i as u64) });
        }
        let mut on_token = |_: usize, _: u32| go();
        let mut decoder = Decoder {
            generator,
            weights: model.net.params().flat(),
            version: *version,
            tokenizer: &model.tokenizer,
            on_token: &mut on_token,
        };
        let mut all = Tally::default();
        for group in self.rollout.collect(&mut decoder, prompts)? {
            for episode in &group.episodes {
                let Some(verdict) = set.judges.judge(&group.example, &episode.text) else { continue };
                let one = Tally {
                    score: verdict.score,
                    n: 1,
                    parsed: u64::from(verdict.parse == Parse::Answer),
                    truncated: u64::from(episode.stop.truncated()),
                };
                all.add(one);
                if let Some(level) = group.example.difficulty {
                    result.by_difficulty.entry(level).or_default().add(one);
                }
                if result.examples.len() < SHOWN {
                    result.examples.push(Reply {
                        prompt: question(&group.example),
                        answer: group.example.answer.clone(),
                        reply: episode.text.clone(),
                        score: verdict.score,
                        stop: episode.stop.name().to_owned(),
                    });
                }
            }
        }
        result.replies = (all.n > 0).then_some(all);
        Ok(())
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
