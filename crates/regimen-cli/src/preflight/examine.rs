//! What each stage of a recipe works on, found by building it around a tiny net.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Result, Split};
use regimen_core::Clamps;
use regimen_core::build::{Builder, micro_batch_tokens};
use regimen_core::evaluate::Set;
use regimen_core::model::{ADAPTER_CONFIG, Folder, Model, Outline, Written};
use regimen_core::registry::{BuildCx, Registry, build};
use regimen_core::run::{Disk, Origin};
use regimen_core::stage::Feed;
use regimen_data::{Body, Example, Source, Tokenizer};
use regimen_nn::hf::Family;
use regimen_nn::{Arch, Device, Half, Positions, Shape, Taps, build_in};
use regimen_recipe::{Node, Resolved, StagePlan, Start};

use super::data::{self, Findings, Level, Shown};
use super::load::{Load, Work};
use super::work::{ROW_BYTES, data_bytes, declares, rollout_step, rows_of, static_step};
use crate::failure::Outcome;

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As far as it takes moments: a tokenizer that would have to be trained is stood in for by bytes.
    Quick,
    /// With the run's own tokenizer.
    Full,
}

/// The decoder's rows at the most.
pub(super) const SLOTS: usize = 64;

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
        first: None,
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

/// A model that a stage begins with or ends with.
#[derive(Clone)]
struct Begun {
    outline: Outline,
    /// What its matrices are held in, when not in f32.
    half: Option<Half>,
    /// Whether it has adapters.
    adapted: bool,
}

struct Known<'a> {
    builder: &'a Builder<'a>,
    resolved: &'a Resolved,
    depth: Depth,
    ends: BTreeMap<String, Begun>,
    first: Option<Begun>,
    findings: Findings,
    shown: Shown,
    /// What all stages so far train on, and what they are evaluated on.
    trained: Vec<Arc<dyn Source>>,
    held_out: Vec<Arc<dyn Source>>,
}

impl Known<'_> {
    fn stage(&mut self, node: &Node, plan: &StagePlan) -> Result<Load> {
        let Begun { mut outline, mut half, mut adapted } = self.start(&plan.from)?;
        if node.kind() == "train" {
            // adapters do not change what a net computes, only what trains
            let with = self.builder.adapted(node, tiny(&outline, self.builder.device, None)?)?;
            if let (Outline::Decoder(written), Ok(with)) = (&mut outline, with.shape()) {
                // adapters that it has already are merged into f32
                half = half.filter(|_| with.lora.is_none() || !adapted);
                adapted |= with.lora.is_some();
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
        self.ends.insert(plan.id.clone(), Begun { outline: outline.clone(), half, adapted });
        let load = if node.kind() == "eval" {
            Self::idle(plan, &outline)
        } else {
            // adapters may train beside matrices of 16 bits, which the tiny net does not have
            self.training(node, plan, &outline, half.filter(|_| !adapted))?
        };
        let mut load = Load { half: half.is_some(), ..load };
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
            half: false,
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

    fn training(
        &mut self,
        node: &Node,
        plan: &StagePlan,
        outline: &Outline,
        half: Option<Half>,
    ) -> Result<Load> {
        let net = tiny(outline, self.builder.device, half)?;
        let mut stage = self.builder.stage(node, plan, net, BTreeMap::new())?;
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

    fn start(&mut self, start: &Start) -> Result<Begun> {
        match start {
            Start::Stage(id) => {
                Ok(self.ends.get(id).cloned().expect("the plan lets a stage start from earlier ones only"))
            }
            Start::Folder(path) => self.read(path),
            Start::Model => self.model(),
        }
    }

    fn model(&mut self) -> Result<Begun> {
        if let Some(first) = &self.first {
            return Ok(first.clone());
        }
        let node = self.resolved.root().table("model");
        let first = if node.kind().is_empty() { self.read(node.str("from"))? } else { self.fresh(node)? };
        self.first = Some(first.clone());
        Ok(first)
    }

    fn read(&self, path: &str) -> Result<Begun> {
        let origin = Origin::find(path)?;
        let (half, adapted) = (self.builder.half(), origin.has(ADAPTER_CONFIG));
        Ok(Begun { outline: origin.outline()?, half, adapted })
    }

    fn fresh(&self, node: &Node) -> Result<Begun> {
        let begun = |outline| Begun { outline, half: None, adapted: false };
        let arch = build(&self.builder.registry.arch, node, &BuildCx::default())?;
        if !arch.reads_tokens() {
            return Ok(begun(Outline::Numbers(arch.arch(0))));
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
        Ok(begun(Outline::Decoder(Box::new(Written { shape, tokenizer, family }))))
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

/// A prompt and its reply in an evaluation, about, in tokens. Longer rows take memory only when they come.
const REPLY: usize = 512;

/// Whether a set has prompts whose replies can be judged.
fn draws_replies(set: &Set) -> bool {
    let first = || set.source.get(0, Split::Eval).ok();
    let judged = |e: Example| matches!(e.body, Body::Messages(_)) && set.judges.can_judge(&e);
    set.source.len(Split::Eval) != Some(0) && first().is_some_and(judged)
}

/// A net that reads and writes the same tokens, and is as small as can be. A net of numbers is small as it is.
fn tiny(outline: &Outline, device: &Device, half: Option<Half>) -> Result<Model> {
    let Outline::Decoder(written) = outline else {
        return Ok(Model::new(build_in(&outline.arch(), device, None)?, None));
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
    let net = build_in(&Arch::Decoder(shape), device, half)?;
    Ok(Model::new(net, Some(written.tokenizer.clone())))
}
