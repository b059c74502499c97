//! Batches of episodes: prompts drawn, completed by the policy, rewarded, and turned into units.

use regimen_base::{Error, Key, Persist, Result, State, StateError};
use regimen_data::{Body, ChatTemplate, Example, prompt_of};
use regimen_kernels::span;

use super::supply::Supply;
use super::units::{units_from_json, units_to_json};
use crate::advantage::Advantage;
use crate::episode::Group;
use crate::objective::{Reading, Readings};
use crate::picks::{Content, Unit};
use crate::reward::{Scored, Weighted, score_group};
use crate::rollout::{Decoder, Prompt, Rollout};

/// When a larger share of the rewards of a step fails, the run stops.
const MOST_ERRORS: f64 = 0.5;

/// A stream of episodes.
pub struct RolloutFeed {
    /// Where prompts come from.
    pub supply: Supply,
    /// Turns conversations into prompts.
    pub template: ChatTemplate,
    /// How completions are made.
    pub rollout: Box<dyn Rollout>,
    /// What they are worth.
    pub rewards: Vec<Weighted>,
    /// How much better than their group.
    pub advantage: Box<dyn Advantage>,
    /// Prompts in an optimiser batch.
    pub batch: usize,
    /// The newest episodes, as units, and for how many steps they still serve.
    units: Vec<Unit>,
    left: u64,
}

/// A group with its rewards and, for each episode, its advantage.
pub type Judged = (Group, Scored, Vec<Option<f64>>);

/// A batch with all that is to be told of it.
pub struct Rolled {
    /// What to train on.
    pub units: Vec<Unit>,
    /// The groups with their rewards and advantages, when they were drawn in this step.
    pub fresh: Option<Vec<Judged>>,
}

impl RolloutFeed {
    /// A feed at its beginning.
    pub fn new(
        supply: Supply,
        template: ChatTemplate,
        rollout: Box<dyn Rollout>,
        rewards: Vec<Weighted>,
        advantage: Box<dyn Advantage>,
        batch: usize,
    ) -> Self {
        Self { supply, template, rollout, rewards, advantage, batch, units: Vec::new(), left: 0 }
    }

    /// The next batch: fresh episodes, or the last ones again while inner steps are left. `key` is the step's own.
    ///
    /// # Errors
    /// Prompts that do not fit; rewards that fail for most completions.
    pub fn next(
        &mut self,
        decoder: &mut Decoder,
        key: Key,
        step: u64,
        readings: &mut Readings,
    ) -> Result<Rolled> {
        if self.left > 0 {
            self.left -= 1;
            let units = self.units.clone();
            if self.left == 0 {
                self.units.clear();
            }
            return Ok(Rolled { units, fresh: None });
        }
        let part = span("data");
        let prompts = self.prompts(key, step)?;
        drop(part);
        let part = span("sample");
        let groups = self.rollout.collect(decoder, prompts)?;
        drop(part);
        let part = span("reward");
        let mut fresh = Vec::with_capacity(groups.len());
        for group in groups {
            let judge = |example: &Example, reply: &str| self.supply.judges.judge(example, reply);
            let scored = score_group(&self.rewards, &group, &judge);
            let advantages = self.advantage.advantages(&scored.total);
            fresh.push((group, scored, advantages));
        }
        drop(part);
        self.read(&fresh, readings)?;
        let units: Vec<Unit> =
            fresh.iter().flat_map(|(group, _, advantages)| self.to_units(group, advantages)).collect();
        self.left = self.rollout.settings().inner_steps.saturating_sub(1);
        if self.left > 0 {
            self.units.clone_from(&units);
        }
        Ok(Rolled { units, fresh: Some(fresh) })
    }

    fn prompts(&mut self, key: Key, step: u64) -> Result<Vec<Prompt>> {
        let mut prompts = Vec::with_capacity(self.batch);
        for n in 0..self.batch {
            let (draw, example) = self.supply.draw()?;
            let tokens = prompt_tokens(&self.template, &example)?;
            self.supply.ledger.record(draw.id, tokens.len() as u64, step);
            prompts.push(Prompt { example, tokens, key: key.child("completion").at(n as u64) });
        }
        Ok(prompts)
    }

    fn to_units(&self, group: &Group, advantages: &[Option<f64>]) -> Vec<Unit> {
        let drop = self.rollout.settings().drop_truncated;
        let unit = |(episode, advantage): (&crate::Episode, &Option<f64>)| Unit {
            example: group.example.id,
            content: Content::Tokens(episode.tokens.clone()),
            weight: 1.0,
            advantage: advantage.filter(|_| !(drop && episode.stop.truncated())).map(|a| a as f32),
            side: None,
        };
        group.episodes.iter().zip(advantages).map(unit).collect()
    }

    /// The readings of TRL's names, and the check that rewards work at all.
    fn read(&self, fresh: &[Judged], readings: &mut Readings) -> Result<()> {
        let mut totals = Vec::new();
        let (mut spread, mut flat) = (Vec::new(), 0.0);
        let mut errors: Vec<&String> = Vec::new();
        for (_, scored, _) in fresh {
            let known: Vec<f64> = scored.total.iter().copied().flatten().collect();
            if let Some(estimate) = mean_and_std(&known) {
                spread.push(estimate.1);
                flat += f64::from(u8::from(estimate.1 == 0.0));
            }
            totals.extend(known);
            errors.extend(&scored.errors);
        }
        let episodes: f64 = fresh.iter().map(|(g, ..)| g.episodes.len() as f64).sum();
        readings.set("reward_errors", errors.len() as f64);
        if errors.len() as f64 > MOST_ERRORS * episodes {
            return Err(Error::failed(format!(
                "{} of {episodes} completions got no reward; the first cause: {}",
                errors.len(),
                errors[0]
            ))
            .remedy("mend the reward; an error is never counted as 0"));
        }
        if !totals.is_empty() {
            readings.set("reward", totals.iter().sum::<f64>() / totals.len() as f64);
            readings.set("reward_std", spread.iter().sum::<f64>() / spread.len().max(1) as f64);
            readings.set("frac_reward_zero_std", flat / spread.len().max(1) as f64);
        }
        self.read_parts(fresh, readings);
        read_lengths(fresh, readings);
        Ok(())
    }

    fn read_parts(&self, fresh: &[Judged], readings: &mut Readings) {
        for (i, reward) in self.rewards.iter().enumerate() {
            let outcomes = fresh.iter().flat_map(|(_, scored, _)| &scored.parts[i]);
            let scores: Vec<f64> = outcomes
                .filter_map(|o| match o {
                    crate::reward::Outcome::Score(x) => Some(*x),
                    _ => None,
                })
                .collect();
            if let Some((mean, std)) = mean_and_std(&scores) {
                readings.set(&format!("rewards/{}/mean", reward.name), mean);
                readings.set(&format!("rewards/{}/std", reward.name), std);
            }
        }
    }
}

fn mean_and_std(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    Some((mean, (square / (n - 1.0).max(1.0)).sqrt()))
}

fn read_lengths(fresh: &[Judged], readings: &mut Readings) {
    let episodes = || fresh.iter().flat_map(|(g, ..)| &g.episodes);
    let lengths =
        |all: bool| episodes().filter(move |e| all || !e.stop.truncated()).map(|e| e.drawn() as f64);
    for (name, all) in [("length", true), ("terminated_length", false)] {
        let count = lengths(all).count();
        if count > 0 {
            readings.add(Reading::mean(&format!("completions/mean_{name}"), lengths(all), &vec![1.0; count]));
            readings.add(Reading::min(&format!("completions/min_{name}"), lengths(all)));
            readings.add(Reading::max(&format!("completions/max_{name}"), lengths(all)));
        }
    }
    let total = episodes().count().max(1) as f64;
    let clipped = episodes().filter(|e| e.stop.truncated()).count() as f64;
    readings.set("completions/clipped_ratio", clipped / total);
}

/// The tokens of an example up to where the reply begins.
///
/// # Errors
/// An example that is not a conversation.
pub fn prompt_tokens(template: &ChatTemplate, example: &Example) -> Result<Vec<regimen_data::Token>> {
    match &example.body {
        Body::Messages(messages) => template.prompt(prompt_of(messages)),
        _ => Err(Error::data(format!("item {} of the data is not a prompt", example.id.index))
            .remedy("rollouts need tasks, or rows with `prompt` or `messages`")),
    }
}

impl Persist for RolloutFeed {
    fn save(&self) -> State {
        let mut state = State::new()
            .with("position", self.supply.sampler.position())
            .with("left", self.left)
            .with("episodes", units_to_json(&self.units));
        state.nest("ledger", self.supply.ledger.save());
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let position = state.take_u64("position")?;
        self.left = state.take_u64("left")?;
        self.units = units_from_json(&state.take("episodes")?)?;
        self.supply.ledger.load(state.take_nested("ledger"))?;
        let key = self.supply.key.child("sampler");
        let wrong = |e: Error| StateError(e.to_string());
        self.supply.sampler.seek(position, &self.supply.catalogue, key).map_err(wrong)?;
        state.finish()
    }
}
