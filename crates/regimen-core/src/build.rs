//! From the resolved recipe to a stage: every piece is built from its own table.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Error, Key, Length, Result, Split};
use regimen_data::sampler::Mix;
use regimen_data::task::Task;
use regimen_data::{
    Catalogue, ChatTemplate, Files, Ledger, Sampler, Source, TaskSource, Tokenizer, Transform,
};
use regimen_nn::hf::{all_names, parse_targets};
use regimen_nn::{Arch, Device, Lora, Net, Shape, build as build_net};
use regimen_recipe::{Node, Resolved, Room, StagePlan};

use crate::clamps::Clamps;
use crate::evaluate::{Evaluation, Set};
use crate::feed::{DataFeed, Judges, Memory, Recalled, RolloutFeed, Supply};
use crate::generate::Generator;
use crate::knobs::Knobs;
use crate::model::Model;
use crate::objective::Weighted;
use crate::probe::Periods;
use crate::reduce::Reduce;
use crate::registry::{BuildCx, Material, Registry, build};
use crate::rollout::{Rollout, Settings, SingleTurn};
use crate::stage::{Counters, Feed, Placing, Stage, Stream};

/// Builds what a resolved recipe describes.
pub struct Builder<'a> {
    /// Which pieces exist.
    pub registry: &'a Registry,
    /// Opens data files.
    pub files: &'a dyn Files,
    /// Where nets run.
    pub device: &'a Device,
    /// The recipe.
    pub resolved: &'a Resolved,
}

/// Bytes of activations that a micro-batch may take when the recipe does not say how many tokens it has.
const ACTIVATION_BYTES: usize = 512 << 20;

/// Bytes of each data set that a tokenizer is trained on.
const TOKENIZER_BYTES: usize = 256 << 20;

/// How many examples are looked at to turn epochs and tokens into steps.
const PROBE: u64 = 256;

/// The sources of a stream, with what is known of each.
struct Sources {
    catalogue: Catalogue,
    judges: Judges,
    names: Vec<String>,
    weights: Vec<f64>,
}

impl Builder<'_> {
    fn seed(&self) -> u64 {
        self.resolved.root().u64("seed")
    }

    /// The root of a stage's randomness.
    pub fn stage_key(&self, id: &str) -> Key {
        Key::new(self.seed()).child("stage").child(id)
    }

    /// Trains or loads the recipe's tokenizer.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let node = self.resolved.root().table("tokenizer");
        let make = build(&self.registry.tokenizer, node, &BuildCx::default())?;
        let material = if make.reads_texts() { self.material()? } else { Material::default() };
        make.make(&material, self.files)
    }

    /// What the recipe's tasks and files are written in.
    fn material(&self) -> Result<Material> {
        let mut material = Material::default();
        for stage in self.resolved.stages() {
            let evals = stage.opt_table("eval").into_iter();
            let streams = if stage.kind() == "train" { stage.map("stream") } else { Vec::new() };
            for holder in streams.iter().map(|(_, node)| *node).chain(evals) {
                for data in holder.list("data") {
                    if data.room() == Some(Room::Task) {
                        material
                            .alphabet
                            .push_str(&build(&self.registry.task, data, &BuildCx::default())?.alphabet());
                    } else {
                        let set = build(&self.registry.data, data, &BuildCx::default())?;
                        material.texts.extend(set.open(0, self.files)?.texts(TOKENIZER_BYTES)?);
                    }
                }
            }
        }
        Ok(material)
    }

    /// A net of random weights, as the recipe's `[model]` describes it.
    pub fn fresh(&self) -> Result<Model> {
        let node = self.resolved.root().table("model");
        let arch = build(&self.registry.arch, node, &BuildCx::default())?;
        let tokenizer = arch.reads_tokens().then(|| self.tokenizer()).transpose()?;
        let mut net =
            build_net(&arch.arch(tokenizer.as_ref().map_or(0, Tokenizer::vocab_size)), self.device)?;
        arch.init(net.params_mut(), Key::new(self.seed()).child("init"));
        Ok(Model::new(net, tokenizer))
    }

    /// The stage's policy with the adapters that its `lora` asks for, or as it is.
    ///
    /// # Errors
    /// When a target is none of the model's projections.
    pub fn adapted(&self, node: &Node, policy: Model) -> Result<Model> {
        let Some(table) = node.opt_table("lora") else { return Ok(policy) };
        let shape = policy.shape()?;
        let targets = parse_targets(&table.strs("targets"), shape).map_err(|name| {
            table
                .error(format!("the model has no projection `{name}`"))
                .remedy(format!("projections that it has: {}", all_names(shape)))
        })?;
        let dropout = table.f32("dropout");
        if dropout > 0.0 && node.map("stream").iter().any(|(_, s)| s.opt_table("rollout").is_some()) {
            return Err(table
                .error("adapters that drop inputs while they train are not the policy that draws the completions")
                .remedy("leave `dropout` out where a stream has a rollout"));
        }
        let (rank, alpha, rslora) = (table.usize("r"), table.f32("alpha"), table.bool("rslora"));
        let lora = Lora { rank, alpha, rslora, dropout, targets };
        policy.with_adapters(lora, self.stage_key(node.str("id")).child("lora"))
    }

    /// Every path of a data file that the recipe names.
    pub fn data_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for path in self.resolved.stages().iter().flat_map(data_paths_of) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    fn sources(&self, data: &[Node], key: Key) -> Result<Sources> {
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        let (mut judges, mut names, mut weights) = (Judges::default(), Vec::new(), Vec::new());
        for (i, node) in data.iter().enumerate() {
            let index = i as u32;
            let take = node.opt_u64("take");
            if node.room() == Some(Room::Task) {
                let task: Arc<dyn Task> = Arc::from(build(&self.registry.task, node, &BuildCx::default())?);
                judges.0.push(Some(Arc::clone(&task)));
                let pool = node.opt_u64("pool").map(|pool| Key::new(self.seed()).child("pool").at(pool));
                let items = pool.unwrap_or_else(|| key.at(u64::from(index)));
                sources.push(Arc::new(TaskSource::new(index, task, items, take)));
            } else {
                let set = build(&self.registry.data, node, &BuildCx::default())?;
                judges.0.push(None);
                sources.push(Arc::new(set.open(index, self.files)?));
            }
            weights.push(node.f64("weight"));
            names.push(unique(node.opt_str("name").unwrap_or(node.kind()), &names));
        }
        Ok(Sources { catalogue: Catalogue::new(sources)?, judges, names, weights })
    }

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

    /// The sets that an `eval` table names. Its items do not depend on the run's seed, so that runs are compared on
    /// the same questions.
    /// `speech` is what a decoder has; `arch` is the net's.
    pub fn evaluation(
        &self,
        eval: &Node,
        speech: Option<(&Tokenizer, &Shape)>,
        arch: &Arch,
    ) -> Result<Evaluation> {
        let key = Key::new(0).child("eval");
        let sources = self.sources(eval.list("data"), key.child("source"))?;
        let rollout: Box<dyn Rollout> = match eval.opt_table("sampling") {
            Some(node) => build(&self.registry.rollout, node, &BuildCx::default())?,
            None => {
                Box::new(SingleTurn(Settings::greedy(speech.map_or(1, |(_, shape)| shape.max_positions))))
            }
        };
        let mut probes = Vec::new();
        for node in eval.list("probe") {
            probes.push((String::new(), build(&self.registry.probe, node, &BuildCx::default())?));
        }
        let mut sets = Vec::new();
        for (i, source) in sources.catalogue.sources().iter().enumerate() {
            let gold = match speech {
                Some((tokenizer, shape)) => gold_transforms(source.as_ref(), tokenizer, shape.max_positions)?,
                None => Vec::new(),
            };
            let name = sources.names[i].clone();
            sets.push(Set { name, source: Arc::clone(source), judges: sources.judges.clone(), gold });
        }
        let n = eval.opt_u64("n").unwrap_or(200);
        let (micro_batch_tokens, select) = (micro_batch_tokens(arch), eval.opt_usize("select"));
        Ok(Evaluation { sets, n, rollout, key, micro_batch_tokens, probes, select })
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

/// The paths of data files that one stage names, in its order.
pub(crate) fn data_paths_of(stage: &Node) -> Vec<String> {
    let streams = if stage.kind() == "train" { stage.map("stream") } else { Vec::new() };
    let holders = streams.into_iter().map(|(_, node)| node).chain(stage.opt_table("eval"));
    let files = holders.flat_map(|holder| holder.list("data")).filter(|d| d.room() == Some(Room::Data));
    files.filter_map(|data| data.to_json().get("path")?.as_str().map(str::to_owned)).collect()
}

/// What makes weighted gold tokens of a source's items: conversations are judged on the reply, text on all of it.
fn gold_transforms(
    source: &dyn Source,
    tokenizer: &Tokenizer,
    context: usize,
) -> Result<Vec<Box<dyn Transform>>> {
    use regimen_data::Body;
    use regimen_data::transform::{Chat, Chunk, Text, TrainOnReply, Turns};
    let is_text =
        source.len(Split::Eval) != Some(0) && matches!(source.get(0, Split::Eval)?.body, Body::Text(_));
    if is_text {
        return Ok(vec![Box::new(Text::new(tokenizer.clone())), Box::new(Chunk { tokens: context })]);
    }
    Ok(vec![Box::new(Chat::new(ChatTemplate::of(tokenizer)?)), Box::new(TrainOnReply { turns: Turns::All })])
}

/// `kind`, or `kind-2`, … where it is taken.
fn unique(kind: &str, taken: &[String]) -> String {
    let mut names = std::iter::once(kind.to_owned()).chain((2..).map(|n| format!("{kind}-{n}")));
    names.find(|name| !taken.contains(name)).unwrap_or_default()
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
