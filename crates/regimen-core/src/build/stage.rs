//! A stage that trains: its streams with their feeds and objectives, and what turns them.

use std::collections::BTreeMap;

use regimen_base::{Error, Key, Length, Result, Split};
use regimen_data::sampler::Mix;
use regimen_data::{ChatTemplate, Ledger, Sampler, Transform};
use regimen_nn::{Arch, Net};
use regimen_recipe::{Node, StagePlan};

use super::{Builder, Sources, unique};
use crate::clamps::Clamps;
use crate::feed::{DataFeed, Memory, Recalled, RolloutFeed, Supply};
use crate::generate::Generator;
use crate::knobs::Knobs;
use crate::model::Model;
use crate::objective::Weighted;
use crate::probe::Periods;
use crate::reduce::Reduce;
use crate::registry::{BuildCx, build};
use crate::stage::{Counters, Feed, Placing, Stage, Stream};

/// Bytes of activations that a micro-batch may take when the recipe does not say how many tokens it has.
const ACTIVATION_BYTES: usize = 512 << 20;

/// How many examples are looked at to turn epochs and tokens into steps.
const PROBE: u64 = 256;

impl Builder<'_> {
    /// A stage that trains `policy`.
    pub fn stage(
        &self,
        node: &Node,
        plan: &StagePlan,
        mut policy: Model,
        casts: BTreeMap<String, Box<dyn Net>>,
    ) -> Result<Stage> {
        policy.net.set_checkpointing(node.opt_bool("gradient-checkpointing").unwrap_or(false));
        let id = node.str("id");
        let key = self.stage_key(id);
        let mut policy = policy;
        freeze(node, &mut policy)?;
        let longest = policy.net.arch().decoder().map_or(1, |shape| shape.max_positions);
        let context = node.opt_usize("context").unwrap_or(longest).min(longest);
        let mut streams = Vec::new();
        for (name, stream) in node.map("stream") {
            let stream_key = key.child("stream").child(name);
            streams.push(self.stream(name, stream, node, stream_key, &policy, context)?);
        }
        let total = Self::steps(node, &streams)?;
        let cx = BuildCx::default();
        let mut controllers = Vec::new();
        for (name, controller) in node.map("controller") {
            controllers.push((name.to_owned(), build(&self.registry.controller, controller, &cx)?));
        }
        let clamps = Clamps::of(node);
        if let Some((name, _)) =
            node.map("stream").into_iter().find(|(_, s)| s.opt_table("rollout").is_some())
            && !clamps.is_empty()
        {
            return Err(node
                .error(format!("stage `{id}` clamps activations, and its stream `{name}` decodes"))
                .remedy("decoding knows nothing of clamps: train on data alone, or take `clamp` out"));
        }
        let mut probes = Vec::new();
        for (name, probe) in node.map("probe") {
            probes.push((format!("probe/{name}"), build(&self.registry.probe, probe, &cx)?));
        }
        let mut update = build(&self.registry.update, node.table("update"), &cx)?;
        update.attach(policy.net.as_ref());
        let mut optimizer = build(&self.registry.optimizer, node.table("optimizer"), &cx)?;
        optimizer.attach(policy.net.params());
        Ok(Stage {
            id: id.to_owned(),
            key,
            total,
            generator: policy.net.arch().decoder().map(Generator::new),
            micro_batch_tokens: node
                .opt_usize("micro-batch-tokens")
                .unwrap_or_else(|| micro_batch_tokens(policy.net.arch())),
            policy,
            casts,
            streams,
            update,
            optimizer,
            schedule: build(&self.registry.schedule, node.table("schedule"), &cx)?,
            lr: node.f64("lr"),
            max_grad_norm: node.f64("max-grad-norm"),
            controllers,
            clamps,
            probes,
            probe_periods: probe_periods(node),
            knobs: Knobs::new(plan.knobs.clone()),
            counters: Counters::default(),
            signals: BTreeMap::new(),
        })
    }

    fn stream(
        &self,
        name: &str,
        node: &Node,
        stage: &Node,
        key: Key,
        policy: &Model,
        context: usize,
    ) -> Result<Stream> {
        let sources = self.sources(node.list("data"), key.child("source"))?;
        let cx = BuildCx {
            tokenizer: policy.language.as_ref().map(|language| language.tokenizer.clone()),
            context,
            weights: sources.weights.clone(),
        };
        let sampler = self.sampler(node.table("sampler"), &sources, &cx)?;
        if sources.catalogue.total(Split::Train) == Some(0) {
            return Err(Error::data(format!("stream `{name}` has no rows to train on: all are held out"))
                .remedy("lower `eval` of its data, or give more rows"));
        }
        let ledger = Ledger::new(&sources.catalogue);
        let supply = Supply { catalogue: sources.catalogue, judges: sources.judges, sampler, ledger, key };
        let batch = node.opt_usize("batch").unwrap_or_else(|| stage.usize("batch"));
        let feed = match node.opt_table("rollout") {
            None => {
                let transforms = self.transforms(node.list("transform"), &cx)?;
                let mut feed = DataFeed::new(supply, transforms, batch, context);
                feed.memory = node.opt_table("memory").map(memory);
                Feed::Data(Box::new(feed))
            }
            Some(rollout) => {
                let template = ChatTemplate::of(policy.tokenizer()?)?;
                let rollout = build(&self.registry.rollout, rollout, &cx)?;
                let rewards = self.rewards(node.list("reward"), &cx)?;
                if rewards.is_empty() {
                    return Err(node
                        .error(format!("stream `{name}` draws completions, but nothing rewards them"))
                        .remedy("add reward = [{ kind = \"verifier\" }]"));
                }
                let advantage = node.opt_table("advantage");
                let Some(advantage) = advantage else {
                    return Err(node
                        .error(format!("stream `{name}` has rewards, but no advantage"))
                        .remedy("add advantage = \"group-relative\""));
                };
                let advantage = build(&self.registry.advantage, advantage, &cx)?;
                Feed::Rollout(Box::new(RolloutFeed::new(
                    supply, template, rollout, rewards, advantage, batch,
                )))
            }
        };
        let objectives = self.objectives(node, name, &cx)?;
        if let Feed::Data(feed) = &feed
            && let Some(at) = objectives.iter().position(|o| o.objective.needs().pairs)
            && !feed.has_pairs()?
        {
            return Err(node.list("objective")[at]
                .error(format!(
                    "objective `{}` compares two replies, but the data of stream `{name}` are no preferences",
                    objectives[at].name
                ))
                .remedy(
                    "give rows with `chosen` and `rejected`, and the transforms `chat` and `train-on-reply`",
                ));
        }
        let compare = node.opt_usize("compare-paths").unwrap_or(0);
        let placing = node.opt_usize("path").map(|path| Placing { path, compare });
        Ok(Stream { name: name.to_owned(), weight: node.f64("weight"), feed, objectives, placing })
    }

    /// The sampler that the stream names. Endless tasks cannot be shuffled: the standard sampler mixes them. (Whether the
    /// recipe gave it must not count: a run that goes on reads it from its resolved recipe, where everything is given.)
    fn sampler(&self, node: &Node, sources: &Sources, cx: &BuildCx) -> Result<Box<dyn Sampler>> {
        if node.spec().is_some_and(|spec| spec.standard) && sources.catalogue.total(Split::Train).is_none() {
            return Ok(Box::new(Mix::new(sources.weights.clone())));
        }
        build(&self.registry.sampler, node, cx)
    }

    fn transforms(&self, nodes: &[Node], cx: &BuildCx) -> Result<Vec<Box<dyn Transform>>> {
        nodes.iter().map(|n| build(&self.registry.transform, n, cx)).collect()
    }

    fn rewards(&self, nodes: &[Node], cx: &BuildCx) -> Result<Vec<crate::reward::Weighted>> {
        let mut rewards: Vec<crate::reward::Weighted> = Vec::new();
        for node in nodes {
            let taken: Vec<String> = rewards.iter().map(|r| r.name.clone()).collect();
            rewards.push(crate::reward::Weighted {
                name: unique(node.kind(), &taken),
                weight: node.f64("weight"),
                reward: build(&self.registry.reward, node, cx)?,
            });
        }
        Ok(rewards)
    }

    fn objectives(&self, stream: &Node, name: &str, cx: &BuildCx) -> Result<Vec<Weighted>> {
        let mut objectives = Vec::new();
        for node in stream.list("objective") {
            let objective = build(&self.registry.objective, node, cx)?;
            if objective.needs().rollout && stream.opt_table("rollout").is_none() {
                return Err(node
                    .error(format!(
                        "objective `{}` needs drawn tokens, but stream `{name}` has no rollout",
                        node.kind()
                    ))
                    .remedy("add rollout = { kind = \"group\" }, a reward and an advantage"));
            }
            let coef = node.f64("coef");
            if objective.needs().pairs && stream.opt_table("rollout").is_some() {
                return Err(node.error(format!(
                    "objective `{}` compares two given replies; a rollout has none",
                    node.kind()
                )));
            }
            objectives.push(Weighted { name: node.kind().to_owned(), coef, reduce: reduce(node), objective });
        }
        Ok(objectives)
    }

    /// The stage's length in optimiser steps. Tokens and epochs are converted by what the first stream's data hold.
    fn steps(node: &Node, streams: &[Stream]) -> Result<u64> {
        let length = node.length("length");
        let feed = match (length, streams.first().map(|s| &s.feed)) {
            (Length::Steps(n), _) => return Ok(n),
            (_, Some(Feed::Data(feed))) => feed,
            _ => {
                return Err(node
                    .error("a stage of rollouts is measured in steps")
                    .remedy("write length = \"200st\""));
            }
        };
        let (examples, units, tokens) = feed.probe(PROBE)?;
        let per_example = units as f64 / examples.max(1) as f64;
        let steps = match length {
            Length::Epochs(epochs) => match feed.supply.catalogue.total(Split::Train) {
                Some(total) => epochs * total as f64 * per_example / feed.batch as f64,
                None => {
                    return Err(node
                        .error("an endless task has no epochs")
                        .remedy("give the task `take = …`, or write the length in steps"));
                }
            },
            Length::Tokens(n) => n as f64 * units as f64 / tokens.max(1) as f64 / feed.batch as f64,
            Length::Steps(n) => n as f64,
        };
        Ok((steps.ceil() as u64).max(1))
    }
}

fn memory(node: &Node) -> Memory {
    let goal = if node.str("goal") == "path" { Recalled::Path } else { Recalled::Own };
    Memory::new(node.usize("size"), node.f64("chance"), node.usize("recall"), goal, node.opt_usize("path"))
}

/// Takes the parameters that the stage's `freeze` names out of the training.
fn freeze(stage: &Node, policy: &mut Model) -> Result<()> {
    let params = policy.net.params_mut();
    for pattern in stage.strs("freeze") {
        if params.set_train(pattern, false) == 0 {
            let paths: Vec<&str> = params.layout().entries().iter().map(|e| e.path.as_str()).collect();
            return Err(stage
                .error(format!("the model has no parameter `{pattern}` to freeze"))
                .remedy(format!("it has {}", shortened(&paths))));
        }
    }
    if params.train_ranges().is_empty() {
        return Err(stage.error("everything is frozen: nothing would train"));
    }
    if let Some(path) = params.half_that_trains() {
        return Err(stage
            .error(format!("`{path}` is to train, but the model's `dtype` holds it in 16 bits"))
            .remedy("give the stage adapters (`lora`), or leave `dtype` out"));
    }
    Ok(())
}

fn shortened(paths: &[&str]) -> String {
    let more = if paths.len() > 8 { ", …" } else { "" };
    paths.iter().take(8).copied().collect::<Vec<_>>().join(", ") + more
}

fn probe_periods(node: &Node) -> Periods {
    let every = match node.opt_length("probe-every") {
        Some(Length::Steps(n)) => n,
        _ => 0,
    };
    Periods { every, at: node.u64s("probe-at") }
}

fn reduce(objective: &Node) -> Reduce {
    let reduce = objective.get("reduce");
    match reduce.as_str() {
        Some("per-unit") => Reduce::PerUnit,
        Some(_) => Reduce::PerToken,
        None => Reduce::Constant(reduce.f64("constant")),
    }
}

/// As many tokens, or rows, as keep a micro-batch's activations near [`ACTIVATION_BYTES`].
pub fn micro_batch_tokens(arch: &Arch) -> usize {
    let per_token = match arch {
        Arch::Decoder(shape) => {
            let per_layer = 8 * shape.width + 4 * shape.heads * shape.head_dim + 3 * shape.ffn;
            4 * shape.layers * per_layer
        }
        Arch::Mlp(mlp) => 8 * mlp.paths * mlp.chain().sizes.iter().sum::<usize>(),
    };
    (ACTIVATION_BYTES / per_token.max(1)).clamp(512, 16_384)
}
