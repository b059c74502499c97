//! What each stage of a recipe works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Result, Split};
use regimen_core::Clamps;
use regimen_core::build::{Builder, micro_batch_tokens};
use regimen_core::evaluate::Set;
use regimen_core::feed::{DataFeed, RolloutFeed, prompt_tokens};
use regimen_core::model::{Model, Outline, Written};
use regimen_core::registry::{BuildCx, Registry, build};
use regimen_core::run::{Disk, Origin};
use regimen_core::stage::{Feed, Stage};
use regimen_data::{Body, Example, ExampleId, Files, Role, Source, Tokenizer};
use regimen_nn::hf::Family;
use regimen_nn::{Arch, Device, Positions, Shape, Taps, build as build_net};
use regimen_recipe::{Node, Resolved, Room, StagePlan, Start};

use super::data::{self, Findings, Level, Shown};
use crate::failure::Outcome;

/// Tokens of each kind over a whole stage, or what they cost.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Work<T> {
    /// Trained on.
    pub trained: T,
    /// Written by the policy, as far as its data lets one guess.
    pub generated: T,
}

/// A stage as the estimates see it.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// The stage's id.
    pub stage: String,
    /// The net.
    pub arch: Arch,
    /// Optimiser steps; 0 where nothing is trained.
    pub steps: u64,
    /// Tokens over the whole stage.
    pub work: Work<f64>,
    /// Tokens trained on in one step.
    pub step_tokens: f64,
    /// Tokens in one pass at the most.
    pub micro_batch_tokens: usize,
    /// Whether activations are computed again in the backward pass.
    pub checkpointing: bool,
    /// Mean length of a row in tokens.
    pub mean_length: f64,
    /// Whether the net comes from files.
    pub loaded: bool,
    /// Whether replies are drawn to be judged.
    pub replies: bool,
    /// Other models.
    pub casts: usize,
    /// Rows decoded side by side.
    pub slots: usize,
    /// The longest of them, in tokens.
    pub longest: usize,
    /// What is known of its items once they are in memory.
    pub data_bytes: u64,
}

impl Load {
    /// How many parameters the net has.
    pub fn parameters(&self) -> u64 {
        self.arch.layout().len() as u64
    }

    /// How many of them train: all, or the adapters.
    pub fn trained(&self) -> u64 {
        let Some(shape) = self.arch.decoder().filter(|shape| shape.lora.is_some()) else {
            return self.parameters();
        };
        self.parameters() - Arch::Decoder(Shape { lora: None, ..shape.clone() }).layout().len() as u64
    }

    /// Whether the policy writes.
    pub fn decodes(&self) -> bool {
        self.slots > 0
    }

    /// Tokens in one pass: a step's, as far as they fit; a row is never cut.
    pub fn pass_tokens(&self) -> u64 {
        (self.step_tokens.ceil() as u64).min(self.micro_batch_tokens as u64).max(1)
    }
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As far as it takes moments: a tokenizer that would have to be trained is stood in for by bytes.
    Quick,
    /// With the run's own tokenizer.
    Full,
}

/// The decoder's rows at the most.
const SLOTS: usize = 64;

/// Items that are looked at to learn how long they are.
const PROBE: u64 = 64;

/// Builds every stage around a tiny net, and says what the real one will have to do. A recipe that says something which
/// nobody reads is refused here.
pub fn examine(resolved: &Resolved, registry: &Registry, device: &Device, depth: Depth) -> Outcome<Examined> {
    examine_and_keep(resolved, registry, device, depth, Shown::default())
}

/// As [`examine`], and keeps rows to be shown.
pub fn examine_and_keep(
    resolved: &Resolved,
    registry: &Registry,
    device: &Device,
    depth: Depth,
    shown: Shown,
) -> Outcome<Examined> {
    let builder = Builder { registry, files: &Disk, device, resolved };
    let mut known = Known {
        builder: &builder,
        resolved,
        depth,
        ends: BTreeMap::new(),
        fresh: None,
        findings: Findings::default(),
        shown,
        trained: Vec::new(),
        held_out: Vec::new(),
    };
    // these say what the run is called and what its report begins with
    let _ = (resolved.root().opt_str("name"), resolved.root().opt_str("about"));
    let mut loads = Vec::new();
    for (node, plan) in resolved.stages().iter().zip(&resolved.plan().stages) {
        // `from` is a matter of the plan
        let _ = (node.opt_str("id"), node.opt_str("about"), node.opt_str("from"));
        loads.push(known.stage(node, plan).map_err(|e| e.within(format!("stage `{}`", plan.id)))?);
    }
    let Known { mut findings, trained, held_out, shown, .. } = known;
    data::leaks(&trained, &held_out, &mut findings);
    match resolved.report_unread() {
        Some(report) => Err(report.into()),
        None => Ok(Examined { loads, findings, shown }),
    }
}

/// What came of looking at a recipe.
pub struct Examined {
    /// What each stage will have to do.
    pub loads: Vec<Load>,
    /// What is wrong with its data.
    pub findings: Findings,
    /// The rows that were to be kept.
    pub shown: Shown,
}

struct Known<'a> {
    builder: &'a Builder<'a>,
    resolved: &'a Resolved,
    depth: Depth,
    ends: BTreeMap<String, Outline>,
    fresh: Option<Outline>,
    findings: Findings,
    shown: Shown,
    /// What all stages so far train on, and what they are evaluated on.
    trained: Vec<Arc<dyn Source>>,
    held_out: Vec<Arc<dyn Source>>,
}

impl Known<'_> {
    fn stage(&mut self, node: &Node, plan: &StagePlan) -> Result<Load> {
        let mut outline = self.start(&plan.from)?;
        if node.kind() == "train" {
            // adapters do not change what a net computes, only what trains
            let with = self.builder.adapted(node, tiny(&outline, self.builder.device)?)?;
            if let (Outline::Decoder(written), Ok(with)) = (&mut outline, with.shape()) {
                written.shape.lora = with.lora.or(written.shape.lora);
            }
        }
        for (_, from) in &plan.casts {
            self.start(from)?;
        }
        let clamps = Clamps::of(node);
        if !clamps.is_empty() {
            let shape = &outline.decoder()?.shape;
            Taps::new(clamps.all()).check(shape).map_err(|e| e.within(node.origin()))?;
        }
        self.ends.insert(plan.id.clone(), outline.clone());
        let mut load = if node.kind() == "eval" {
            Self::idle(plan, &outline)
        } else {
            self.training(node, plan, &outline)?
        };
        let eval = if node.kind() == "eval" { Some(node.table("eval")) } else { node.opt_table("eval") };
        written_and_empty(node, eval);
        if let Some(eval) = eval {
            let evaluation = self.builder.evaluation(eval, outline.speech(), &outline.arch())?;
            load.replies = evaluation.sets.iter().any(draws_replies);
            self.held_out.extend(evaluation.sets.into_iter().map(|set| set.source));
        }
        Ok(load)
    }

    fn idle(plan: &StagePlan, outline: &Outline) -> Load {
        let arch = outline.arch();
        let decoder = arch.decoder();
        Load {
            stage: plan.id.clone(),
            slots: decoder.map_or(0, |_| SLOTS),
            longest: decoder.map_or(0, |shape| shape.max_positions.min(REPLY)),
            micro_batch_tokens: micro_batch_tokens(&arch),
            arch,
            steps: 0,
            work: Work::default(),
            step_tokens: 0.0,
            checkpointing: false,
            mean_length: 0.0,
            loaded: !matches!(plan.from, Start::Model),
            replies: false,
            casts: 0,
            data_bytes: 0,
        }
    }

    fn training(&mut self, node: &Node, plan: &StagePlan, outline: &Outline) -> Result<Load> {
        let mut stage =
            self.builder.stage(node, plan, tiny(outline, self.builder.device)?, BTreeMap::new())?;
        let loaded = self.resolved.root().opt_table("model").is_some_and(|m| m.kind().is_empty())
            || matches!(plan.from, Start::Folder(_));
        let report = &mut data::Report { findings: &mut self.findings, shown: &mut self.shown };
        data::examine(&stage, node, plan, self.builder.registry, loaded, report)?;
        for stream in &stage.streams {
            let supply = match &stream.feed {
                Feed::Data(feed) => &feed.supply,
                Feed::Rollout(feed) => &feed.supply,
            };
            self.trained.extend(supply.catalogue.sources().iter().cloned());
        }
        let stops = self.findings.count(Level::Error) > 0;
        let mut load = Load {
            steps: stage.total,
            loaded: loaded || !matches!(plan.from, Start::Model),
            casts: node.map("cast").len(),
            slots: 0,
            longest: 0,
            micro_batch_tokens: node
                .opt_usize("micro-batch-tokens")
                .unwrap_or_else(|| micro_batch_tokens(&outline.arch())),
            checkpointing: node.opt_bool("gradient-checkpointing").unwrap_or(false),
            data_bytes: data_bytes(node)? + ROW_BYTES * rows_of(&stage),
            ..Self::idle(plan, outline)
        };
        let steps = stage.total as f64;
        let mut rows = 0.0;
        // broken rows were told already, and better than a first batch could
        for stream in stage.streams.iter_mut().filter(|_| !stops) {
            let one = match &mut stream.feed {
                Feed::Data(feed) => static_step(feed)?,
                Feed::Rollout(feed) => rollout_step(feed, outline, &mut load)?,
            };
            load.step_tokens += one.tokens;
            load.work.generated += one.generated * steps;
            rows += one.rows;
        }
        load.work.trained = load.step_tokens * steps;
        load.mean_length = load.step_tokens / f64::max(rows, 1.0);
        Ok(load)
    }

    fn start(&mut self, start: &Start) -> Result<Outline> {
        match start {
            Start::Stage(id) => {
                Ok(self.ends.get(id).cloned().expect("the plan lets a stage start from earlier ones only"))
            }
            Start::Folder(path) => Origin::find(path)?.outline(),
            Start::Model => {
                if let Some(fresh) = &self.fresh {
                    return Ok(fresh.clone());
                }
                let node = self.resolved.root().table("model");
                let outline = if node.kind().is_empty() {
                    Origin::find(node.str("from"))?.outline()?
                } else {
                    self.fresh(node)?
                };
                self.fresh = Some(outline.clone());
                Ok(outline)
            }
        }
    }

    fn fresh(&self, node: &Node) -> Result<Outline> {
        let arch = build(&self.builder.registry.arch, node, &BuildCx::default())?;
        if !arch.reads_tokens() {
            return Ok(Outline::Numbers(arch.arch(0)));
        }
        let made = self.resolved.root().table("tokenizer");
        let learned =
            (self.depth == Depth::Quick && declares(made, "vocab-size")).then(|| made.usize("vocab-size"));
        let tokenizer = if learned.is_some() { Tokenizer::byte()? } else { self.builder.tokenizer()? };
        let vocab = learned.unwrap_or(tokenizer.vocab_size());
        let Arch::Decoder(shape) = arch.arch(vocab) else {
            return Err(node.error("a net that reads tokens is a decoder"));
        };
        shape.check().map_err(|why| node.error(why))?;
        let family = Family::of(&shape);
        Ok(Outline::Decoder(Box::new(Written { shape, tokenizer, family })))
    }
}

/// Marks what is read only while a stage runs, and empty lists, which say nothing and so have nobody to read them: a
/// resolved recipe writes them out.
fn written_and_empty(stage: &Node, eval: Option<&Node>) {
    let skip_empty = |node: &Node, fields: &[&str]| {
        let json = node.to_json();
        for field in
            fields.iter().filter(|f| json.get(**f).and_then(|v| v.as_array()).is_some_and(Vec::is_empty))
        {
            let _ = node.list(field);
        }
    };
    if stage.kind() == "train" {
        for field in ["log-every", "checkpoint-every", "eval-every"] {
            let _ = stage.opt_length(field);
        }
        let _ = stage.u64s("eval-at");
        for (_, stream) in stage.map("stream") {
            skip_empty(stream, &["reward", "transform"]);
        }
    }
    if let Some(eval) = eval {
        skip_empty(eval, &["metric", "probe"]);
    }
}

/// Whether a piece has a field of this name; kinds are added without this crate knowing them.
fn declares(node: &Node, field: &str) -> bool {
    node.spec().is_some_and(|spec| spec.fields.iter().any(|f| f.name == field))
}

/// A prompt and its reply in an evaluation, about, in tokens. Longer rows take memory only when they come.
const REPLY: usize = 512;

/// Whether a set has prompts whose replies can be judged.
fn draws_replies(set: &Set) -> bool {
    let first = || set.source.get(0, Split::Eval).ok();
    let judged = |e: Example| matches!(e.body, Body::Messages(_)) && set.judges.can_judge(&e);
    set.source.len(Split::Eval) != Some(0) && first().is_some_and(judged)
}

/// A net that reads and writes the same tokens, and is as small as can be. A net of numbers is small as it is.
fn tiny(outline: &Outline, device: &Device) -> Result<Model> {
    let Outline::Decoder(written) = outline else {
        return Ok(Model::new(build_net(&outline.arch(), device)?, None));
    };
    let shape = Shape {
        vocab: written.tokenizer.vocab_size(),
        width: 8,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        head_dim: 8,
        ffn: 8,
        tied: true,
        positions: Positions::rotary(1e4),
        lora: None,
        ..written.shape.clone()
    };
    let net = build_net(&Arch::Decoder(shape), device)?;
    Ok(Model::new(net, Some(written.tokenizer.clone())))
}

/// What one step takes from a stream.
struct Step {
    tokens: f64,
    generated: f64,
    rows: f64,
}

fn static_step(feed: &mut DataFeed) -> Result<Step> {
    // a sampler that cannot draw and a mask that leaves nothing show at the first batch
    feed.next(0)?;
    let (_, units, tokens) = feed.probe(PROBE)?;
    let rows = feed.batch as f64;
    Ok(Step { tokens: rows * tokens as f64 / units.max(1) as f64, generated: 0.0, rows })
}

fn rollout_step(feed: &mut RolloutFeed, outline: &Outline, load: &mut Load) -> Result<Step> {
    feed.supply.draw()?;
    let settings = feed.rollout.settings();
    let (mut lengths, mut longest, mut seen) = (0, 0, 0);
    let (mut replies, mut with_reply) = (0, 0);
    for (source, len) in feed.supply.catalogue.lens(Split::Train).into_iter().enumerate() {
        for index in 0..len.unwrap_or(PROBE).min(PROBE) {
            let example =
                feed.supply.catalogue.get(ExampleId { source: source as u32, index }, Split::Train)?;
            let length = prompt_tokens(&feed.template, &example)?.len();
            (lengths, longest, seen) = (lengths + length, longest.max(length), seen + 1);
            if let Some(reply) = gold_reply(feed, &example, length)? {
                (replies, with_reply) = (replies + reply, with_reply + 1);
            }
        }
    }
    let prompt = f64::from(lengths as u32) / f64::from(seen.max(1));
    let rows = (feed.batch * settings.size) as f64;
    let context = outline.decoder()?.shape.max_positions;
    load.longest = load.longest.max((longest + settings.max_new).min(context));
    load.slots = load.slots.max((feed.batch * settings.size).min(SLOTS));
    let most = (settings.max_new as f64).min((context as f64 - prompt).max(0.0));
    // as long as the replies of the data, or half of what is allowed
    let written =
        if with_reply > 0 { f64::from(replies as u32) / f64::from(with_reply) } else { most / 2.0 }.min(most);
    let fresh = 1.0 / settings.inner_steps.max(1) as f64;
    Ok(Step { tokens: rows * (prompt + written), generated: rows * written * fresh, rows })
}

/// The length of the reply that the data holds, in tokens.
fn gold_reply(feed: &RolloutFeed, example: &Example, prompt: usize) -> Result<Option<usize>> {
    let Body::Messages(messages) = &example.body else { return Ok(None) };
    if messages.last().is_none_or(|m| m.role != Role::Assistant) {
        return Ok(None);
    }
    Ok(Some(feed.template.tokenize(messages)?.len().saturating_sub(prompt)))
}

/// What is kept of a row of a file: where it lies.
const ROW_BYTES: u64 = 40;

/// Rows of the files of all streams.
fn rows_of(stage: &Stage) -> u64 {
    let supply = |feed: &Feed| match feed {
        Feed::Data(feed) => feed.supply.catalogue.total(Split::Train),
        Feed::Rollout(feed) => feed.supply.catalogue.total(Split::Train),
    };
    stage.streams.iter().filter_map(|stream| supply(&stream.feed)).sum()
}

/// What a file of `bytes` takes beside its rows' places. Lines are read where they lie; of Parquet up to about 1 GiB of
/// decoded row groups is kept; the rest is read as a whole.
fn held(path: &std::path::Path, bytes: u64) -> u64 {
    match path.extension().and_then(|e| e.to_str()) {
        Some("jsonl" | "ndjson" | "txt" | "md" | "text") => 0,
        Some("parquet") => (4 * bytes).min(1 << 30),
        _ => bytes,
    }
}

/// What the files of a stage's streams take in memory.
fn data_bytes(stage: &Node) -> Result<u64> {
    let mut bytes = 0;
    for (_, stream) in stage.map("stream") {
        for data in stream.list("data").iter().filter(|d| d.room() == Some(Room::Data) && declares(d, "path"))
        {
            for file in Disk.list(std::path::Path::new(data.str("path")))? {
                bytes += held(&file, std::fs::metadata(&file).map_or(0, |m| m.len()));
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use regimen_kernels::{Activation, Norm, Positions};

    /// A stage of a small model.
    pub fn load() -> Load {
        let shape = Shape {
            vocab: 64,
            width: 96,
            layers: 3,
            heads: 4,
            kv_heads: 4,
            head_dim: 24,
            ffn: 256,
            norm: Norm::Rms,
            activation: Activation::SwiGlu,
            norm_eps: 1e-5,
            positions: Positions::rotary(10_000.0),
            qk_norm: false,
            tied: true,
            attention_bias: false,
            output_bias: false,
            mlp_bias: false,
            parallel: false,
            lora: None,
            max_positions: 256,
        };
        Load {
            stage: "a".to_owned(),
            arch: Arch::Decoder(shape),
            steps: 100,
            work: Work { trained: 100.0 * 4000.0, generated: 0.0 },
            step_tokens: 4000.0,
            micro_batch_tokens: 8192,
            checkpointing: false,
            mean_length: 40.0,
            loaded: false,
            replies: false,
            casts: 0,
            slots: 0,
            longest: 0,
            data_bytes: 0,
        }
    }

    #[test]
    fn a_file_of_lines_takes_no_memory() {
        let held = |name: &str| held(std::path::Path::new(name), 1 << 40);
        assert_eq!((held("a.jsonl"), held("b/a.txt"), held("a.parquet")), (0, 0, 1 << 30));
        assert_eq!((held("a.json"), held("a.csv"), held("a")), (1 << 40, 1 << 40, 1 << 40));
    }

    #[test]
    fn parameters_are_those_of_the_layout() {
        // embedding, three blocks (norms, q k v o, gate up down), the last norm
        let block = 2 * 96 + 4 * 96 * 96 + 3 * 96 * 256;
        assert_eq!(load().parameters(), 64 * 96 + 3 * block + 96);
    }
}
