//! Rollouts let the policy write: prompts in, groups of episodes out. They read weights and never change them.

use regimen_base::{Key, Result};
use regimen_data::Tokenizer;
use regimen_data::{Example, Role, Token};
use regimen_kernels::{Sampling, Weights};

use crate::episode::{Episode, Group, StopReason, drawn_token};
use crate::generate::{Completion, Generator, Request, Stops};

/// How completions are drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Completions a prompt.
    pub size: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Longest completion, in tokens.
    pub max_new: usize,
    /// Texts that end a completion.
    pub stop: Vec<String>,
    /// Text that every completion is made to begin with.
    pub prefix: Option<String>,
    /// Optimiser steps on each batch of episodes.
    pub inner_steps: u64,
    /// Leave completions that were cut off out of the loss.
    pub drop_truncated: bool,
}

impl Settings {
    /// One completion a prompt, always the most likely token.
    pub fn greedy(max_new: usize) -> Self {
        Self {
            size: 1,
            sampling: Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, greedy: true },
            max_new,
            stop: Vec::new(),
            prefix: None,
            inner_steps: 1,
            drop_truncated: false,
        }
    }
}

/// What the policy is asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Prompt {
    /// Where it comes from, for the rewards.
    pub example: Example,
    /// Its tokens, up to where the reply begins.
    pub tokens: Vec<Token>,
    /// Where the draws of its completions come from.
    pub key: Key,
}

/// A way to collect episodes.
pub trait Rollout: Send {
    /// Its settings.
    fn settings(&self) -> &Settings;
    /// Its settings, for knobs.
    fn settings_mut(&mut self) -> &mut Settings;
    /// One group for each prompt, in order.
    fn collect(&self, decoder: &mut Decoder, prompts: Vec<Prompt>) -> Result<Vec<Group>>;
}

/// Every prompt is answered once per completion, in one turn.
pub struct SingleTurn(pub Settings);

impl Rollout for SingleTurn {
    fn settings(&self) -> &Settings {
        &self.0
    }

    fn settings_mut(&mut self) -> &mut Settings {
        &mut self.0
    }

    fn collect(&self, decoder: &mut Decoder, prompts: Vec<Prompt>) -> Result<Vec<Group>> {
        decoder.complete(prompts, &self.0)
    }
}

/// The policy as a rollout sees it: something that completes prompts.
pub struct Decoder<'a> {
    /// The decoding engine.
    pub generator: &'a mut Generator,
    /// The policy's weights.
    pub weights: Weights<'a>,
    /// Names the weights, so that they are packed once.
    pub version: u64,
    /// Turns ids into text.
    pub tokenizer: &'a Tokenizer,
    /// Sees every drawn token; `false` ends early. Index of the prompt × size + completion.
    pub on_token: &'a mut dyn FnMut(usize, u32) -> bool,
}

impl Decoder<'_> {
    /// `settings.size` completions of every prompt.
    pub fn complete(&mut self, prompts: Vec<Prompt>, settings: &Settings) -> Result<Vec<Group>> {
        let prefix = self.prefix(settings)?;
        let reads: Vec<Vec<u32>> =
            prompts.iter().map(|p| p.tokens.iter().chain(&prefix).map(|t| t.id).collect()).collect();
        let mut requests = Vec::with_capacity(prompts.len() * settings.size);
        for (prompt, ids) in prompts.iter().zip(&reads) {
            for n in 0..settings.size {
                requests.push(Request {
                    prompt: ids,
                    sampling: settings.sampling,
                    max_new: settings.max_new,
                    key: prompt.key.at(n as u64),
                });
            }
        }
        let tokenizer = self.tokenizer;
        let text = |ids: &[u32]| tokenizer.decode(ids, true);
        let ids = crate::model::stops(tokenizer);
        let stops = Stops { ids: &ids, strings: &settings.stop, text: &text };
        let done = self.generator.generate(self.weights, self.version, &requests, &stops, self.on_token)?;
        let mut done = done.into_iter();
        let group = |prompt: Prompt| {
            let episodes = done.by_ref().take(settings.size);
            let episodes =
                episodes.map(|c| episode(&prompt.tokens, &prefix, &c, settings, tokenizer)).collect();
            Group { example: prompt.example, episodes }
        };
        Ok(prompts.into_iter().map(group).collect())
    }

    fn prefix(&self, settings: &Settings) -> Result<Vec<Token>> {
        let ids = match &settings.prefix {
            Some(text) => self.tokenizer.encode_text(text)?,
            None => Vec::new(),
        };
        let token = |id| Token { id, role: Role::Assistant, weight: 0.0, logprob: None };
        Ok(ids.into_iter().map(token).collect())
    }
}

fn episode(
    prompt: &[Token],
    prefix: &[Token],
    done: &Completion,
    settings: &Settings,
    tokenizer: &Tokenizer,
) -> Episode {
    let unweighted = |t: &Token| Token { weight: 0.0, ..*t };
    let mut tokens: Vec<Token> = prompt.iter().map(unweighted).collect();
    let prompt_len = tokens.len();
    tokens.extend_from_slice(prefix);
    tokens.extend(done.ids.iter().zip(&done.logprobs).map(|(&id, &logprob)| drawn_token(id, logprob)));
    let stop = done.stop.unwrap_or(StopReason::Length);
    let said: Vec<u32> = prefix.iter().map(|t| t.id).chain(done.ids.iter().copied()).collect();
    let mut text = tokenizer.decode(&said, true);
    if stop == StopReason::StopString
        && let Some(at) = settings.stop.iter().filter_map(|s| text.find(s.as_str())).min()
    {
        text.truncate(at);
    }
    Episode { tokens, prompt_len, stop, text }
}
