//! A whole run: every stage of a recipe, in order, into one run directory.

mod inputs;
mod recorder;
mod summary;

pub use summary::{STAGE_RESULTS, read_results, report};

use std::collections::BTreeMap;

use regimen_base::{Error, Persist, Result};
use regimen_data::Files;
use regimen_nn::hf::Hold;
use regimen_nn::{Device, Net};
use regimen_recipe::{Node, Resolved, StagePlan, Start};

use crate::build::Builder;
use crate::clamps::Clamps;
use crate::evaluate::{SetResult, Subject};
use crate::generate::Generator;
use crate::model::Model;
use crate::registry::Registry;
use crate::run::{
    Cache, Checkpoint, Clock, DeviceClass, Disk, Found, LedgerRow, Manifest, Origin, RunDir, StageDir,
    Status, digest, host_facts, peak_memory, program_digest,
};
use crate::stage::{End, Progress, Stage, train};
use inputs::Inputs;
use recorder::Recorder;

/// Whoever shows the run to a person. It sees everything and changes nothing.
pub trait Observer {
    /// A stage begins, or goes on from `step`.
    fn stage(&mut self, id: &str, step: u64, total: u64, parameters: u64);
    /// A step is done. `tokens_per_second` counts trained and generated tokens.
    fn step(&mut self, progress: &Progress, tokens_per_second: f64);
    /// An evaluation is done.
    fn evaluated(&mut self, stage: &str, results: &[SetResult]);
    /// Something worth a line.
    fn note(&mut self, text: &str);
    /// Whether the user wants the run to stop after the present step.
    fn interrupted(&self) -> bool;
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every stage is done.
    Complete,
    /// The user stopped it after a full checkpoint.
    Interrupted,
}

/// A run with all it needs.
pub struct Regimen<'a> {
    /// The recipe.
    pub resolved: &'a Resolved,
    /// Which pieces exist.
    pub registry: &'a Registry,
    /// Opens data files and checkpoints.
    pub files: &'a dyn Files,
    /// Where nets run.
    pub device: &'a Device,
    /// Where everything is kept.
    pub dir: &'a RunDir,
    /// Where stages are looked up before they are trained, and kept afterwards.
    pub cache: Option<&'a Cache>,
    /// Who looks on.
    pub observer: &'a mut dyn Observer,
}

impl Regimen<'_> {
    /// Runs what is not done yet. A fresh directory is filled from the beginning; one that was left in the middle
    /// ends in the same bytes as if it had never been left.
    pub fn run(&mut self) -> Result<Outcome> {
        let mut manifest = self.manifest();
        manifest.status = Status::Running;
        self.same_data(&mut manifest)?;
        self.dir.write_manifest(&manifest)?;
        let outcome = self.stages(&mut manifest);
        manifest.status = match &outcome {
            Ok(Outcome::Complete) => Status::Complete,
            Ok(Outcome::Interrupted) => Status::Interrupted,
            Err(_) => Status::Failed,
        };
        manifest.ended = Some(Clock::utc(Clock::unix()));
        // a full disk must not hide the error that filled it
        let written = self.dir.write_manifest(&manifest).and_then(|()| self.write_report(&manifest));
        let outcome = outcome?;
        written?;
        Ok(outcome)
    }

    fn builder(&self) -> Builder<'_> {
        Builder { registry: self.registry, files: self.files, device: self.device, resolved: self.resolved }
    }

    fn write_report(&self, manifest: &Manifest) -> Result<()> {
        let report = report(self.dir, manifest, self.resolved)?;
        self.dir.write("report.html", crate::run::report::render(&report).as_bytes())
    }

    /// Notes the digests of the data files, or checks that they are still those that the run began with.
    fn same_data(&self, manifest: &mut Manifest) -> Result<()> {
        let mut now = BTreeMap::new();
        for path in self.builder().data_paths() {
            now.extend(Disk.digests(std::path::Path::new(&path))?);
        }
        if manifest.data.is_empty() {
            manifest.data = now;
        } else if let Some(path) = manifest.data.iter().find(|(path, digest)| now.get(*path) != Some(*digest))
        {
            return Err(Error::data(format!("{} is not what it was when the run began", path.0))
                .remedy("put the file back as it was, or start a new run"));
        }
        Ok(())
    }

    fn manifest(&self) -> Manifest {
        if let Ok(manifest) = self.dir.manifest() {
            return manifest;
        }
        Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: digest(self.resolved.to_toml().as_bytes()),
            data: BTreeMap::new(),
            seed: self.resolved.root().u64("seed"),
            device: device_class(self.device),
            program: program_digest(),
            host: host_facts(),
            started: Clock::utc(Clock::unix()),
            ended: None,
            status: Status::Running,
            stages: Vec::new(),
        }
    }

    fn stages(&mut self, manifest: &mut Manifest) -> Result<Outcome> {
        let mut inputs = self.cache.is_some().then(Inputs::default);
        let stages: Vec<(Node, StagePlan)> =
            self.resolved.stages().iter().cloned().zip(self.resolved.plan().stages.iter().cloned()).collect();
        for (index, (node, plan)) in stages.iter().enumerate() {
            let dir = self.dir.stage(index, &plan.id)?;
            let within = |e: Error| e.within(format!("stage `{}`", plan.id));
            let key = inputs.as_mut().map(|inputs| inputs.of(&self.builder(), node, plan)).transpose();
            let outcome = self.shared_stage(key.map_err(within)?.as_deref(), node, plan, &dir, manifest);
            if outcome.map_err(within)? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
            self.dir.write_manifest(manifest)?;
        }
        Ok(Outcome::Complete)
    }

    /// A stage that another run may have made already. One that was begun here is ended here.
    fn shared_stage(
        &mut self,
        key: Option<&str>,
        node: &Node,
        plan: &StagePlan,
        dir: &StageDir,
        manifest: &mut Manifest,
    ) -> Result<Outcome> {
        let (Some(cache), Some(key)) = (self.cache, key.filter(|_| dir.is_untouched())) else {
            return self.stage(node, plan, dir, manifest);
        };
        let observer = &*self.observer;
        let claim = match cache.enter(key, self.dir, dir, &|| !observer.interrupted())? {
            Found::Brought(facts) => {
                self.observer.note(&format!("stage `{}` is there already, from {}", plan.id, facts.run));
                manifest.enter(facts.ledger);
                return Ok(Outcome::Complete);
            }
            Found::Stopped => return Ok(Outcome::Interrupted),
            Found::Mine(claim) => claim,
        };
        let outcome = self.stage(node, plan, dir, manifest)?;
        if outcome == Outcome::Complete {
            let row = manifest.stages.iter().find(|row| row.stage == plan.id).cloned();
            cache.keep(claim, self.dir, dir, row.unwrap_or_default())?;
        }
        Ok(outcome)
    }

    fn stage(
        &mut self,
        node: &Node,
        plan: &StagePlan,
        dir: &StageDir,
        manifest: &mut Manifest,
    ) -> Result<Outcome> {
        match node.kind() {
            "eval" => self.eval_stage(node, plan, dir),
            _ => self.train_stage(node, plan, dir, manifest),
        }
    }

    fn eval_stage(&mut self, node: &Node, plan: &StagePlan, dir: &StageDir) -> Result<Outcome> {
        if read_results(dir)?.is_none() {
            let mut model = self.start(&plan.from)?;
            self.observer.stage(&plan.id, 0, 0, model.parameters());
            let mut generator = model.net.arch().decoder().map(Generator::new);
            let (model, generator, clamps) = (&mut model, generator.as_mut(), Clamps::of(node).rules());
            let subject = &mut Subject { model, generator, version: 0, clamps: &clamps, go: &|| true };
            return self.evaluate(node.table("eval"), subject, dir);
        }
        Ok(Outcome::Complete)
    }

    fn train_stage(
        &mut self,
        node: &Node,
        plan: &StagePlan,
        dir: &StageDir,
        manifest: &mut Manifest,
    ) -> Result<Outcome> {
        let newest = dir.newest()?;
        let finished = newest.as_ref().is_some_and(Checkpoint::is_last);
        let eval = node.opt_table("eval");
        if finished && (eval.is_none() || read_results(dir)?.is_some()) {
            return Ok(Outcome::Complete);
        }
        let (mut stage, rows) = self.prepare(node, plan, newest.as_ref())?;
        if !finished {
            let step = stage.counters.step;
            self.observer.stage(&plan.id, step, stage.total, stage.policy.parameters());
            let periods = recorder::Periods::of(node);
            let clock = Clock::start();
            let end = {
                let mut evaluate = |stage: &mut Stage| -> Result<Vec<SetResult>> {
                    let Some(eval) = eval else { return Ok(Vec::new()) };
                    let builder = Builder {
                        registry: self.registry,
                        files: self.files,
                        device: self.device,
                        resolved: self.resolved,
                    };
                    let (speech, arch) = (stage.policy.speech(), stage.policy.net.arch());
                    let evaluation = builder.evaluation(eval, speech, arch)?;
                    // the row of this step must be in the metrics whenever the run is stopped, so this one is not cut short
                    let mut subject = Subject {
                        model: &mut stage.policy,
                        generator: stage.generator.as_mut(),
                        version: stage.counters.step,
                        clamps: &stage.clamps.rules(),
                        go: &|| true,
                    };
                    Ok(evaluation.run(&mut subject)?.unwrap_or_default())
                };
                let mut recorder = Recorder::new(dir, rows, step, periods, self.observer, &mut evaluate)?;
                let end = train(&mut stage, &mut recorder);
                drop(recorder);
                end.map_err(|e| last_good(e, dir))?
            };
            ledger(manifest, &stage, clock.seconds());
            match end {
                End::Interrupted => return Ok(Outcome::Interrupted),
                End::Finished(Some(why)) => {
                    self.observer.note(&format!("stage `{}` was stopped: {why}", plan.id));
                }
                End::Finished(None) => {}
            }
        }
        if let Some(eval) = eval {
            let version = stage.counters.step;
            let clamps = stage.clamps.rules();
            let Stage { policy, generator, .. } = &mut stage;
            let generator = generator.as_mut();
            let subject = &mut Subject { model: policy, generator, version, clamps: &clamps, go: &|| true };
            return self.evaluate(eval, subject, dir);
        }
        Ok(Outcome::Complete)
    }

    /// The stage at its beginning, or as its newest checkpoint left it, with the rows of its metrics file.
    fn prepare(
        &mut self,
        node: &Node,
        plan: &StagePlan,
        newest: Option<&Checkpoint>,
    ) -> Result<(Stage, Option<u64>)> {
        let policy = match newest {
            Some(checkpoint) => Model::read(checkpoint, self.device, Hold::AsStored)?,
            None => self.builder().adapted(node, self.start(&plan.from)?)?,
        };
        let casts = self.casts(node, plan)?;
        let mut stage = self.builder().stage(node, plan, policy, casts)?;
        let Some(checkpoint) = newest else { return Ok((stage, None)) };
        let mut state = checkpoint.state()?;
        let folder = checkpoint.folder().display().to_string();
        let unfit = |e: regimen_base::StateError| {
            Error::failed(format!("{folder}: {e}"))
                .remedy("it was made by another recipe or version; start a new run")
        };
        let rows = state.take_u64("rows").map_err(unfit)?;
        stage.load(state.take_nested("stage")).map_err(unfit)?;
        state.finish().map_err(unfit)?;
        Ok((stage, Some(rows)))
    }

    fn casts(&mut self, node: &Node, plan: &StagePlan) -> Result<BTreeMap<String, Box<dyn Net>>> {
        let mut casts = BTreeMap::new();
        for (name, member) in node.map("cast") {
            if member.bool("train") {
                return Err(member
                    .error(format!("cast member `{name}` cannot train yet: only the policy does"))
                    .remedy("leave `train` out"));
            }
            let from = plan.casts.iter().find(|(own, _)| own == name).map_or(&plan.from, |(_, from)| from);
            casts.insert(name.to_owned(), self.start(from)?.net.frozen_copy());
        }
        Ok(casts)
    }

    /// The model that something starts from.
    fn start(&self, start: &Start) -> Result<Model> {
        match start {
            Start::Model => {
                let node = self.resolved.root().table("model");
                if node.kind().is_empty() {
                    return Origin::find(node.str("from"))?.model(self.device, self.builder().half());
                }
                self.builder().fresh()
            }
            Start::Folder(path) => Origin::find(path)?.model(self.device, self.builder().half()),
            Start::Stage(id) => {
                let stages = self.dir.stages()?;
                let dir = stages.iter().find(|s| s.id() == id);
                let checkpoint = dir.map(StageDir::newest).transpose()?.flatten().filter(Checkpoint::is_last);
                let checkpoint = checkpoint
                    .ok_or_else(|| Error::failed(format!("stage `{id}` has no finished checkpoint")))?;
                Model::read(&checkpoint, self.device, Hold::AsStored)
            }
        }
    }

    /// Evaluates at a stage's end. Where it is interrupted nothing is written, and the resumed run begins it again.
    fn evaluate(&mut self, eval: &Node, subject: &mut Subject, dir: &StageDir) -> Result<Outcome> {
        let model = &*subject.model;
        let evaluation = self.builder().evaluation(eval, model.speech(), model.net.arch())?;
        let go = || !self.observer.interrupted();
        let part = regimen_kernels::span("evaluate");
        let Subject { model, generator, version, clamps, .. } = subject;
        let generator = generator.as_deref_mut();
        let results =
            evaluation.run(&mut Subject { model, generator, version: *version, clamps, go: &go })?;
        drop(part);
        let Some(results) = results else { return Ok(Outcome::Interrupted) };
        summary::write_results(self.dir, dir, &results)?;
        self.observer.evaluated(dir.id(), &results);
        Ok(Outcome::Complete)
    }
}

/// What decides the last bits here.
pub fn device_class(device: &Device) -> DeviceClass {
    DeviceClass {
        device: device.name().to_owned(),
        isa: format!("{:?}", regimen_kernels::level()).to_lowercase(),
        threads: regimen_kernels::threads(),
    }
}

/// Says where training can be taken up again.
fn last_good(error: Error, dir: &StageDir) -> Error {
    let newest = dir.steps().ok().and_then(|steps| steps.last().copied());
    let where_ = match newest {
        Some(step) => {
            format!("the last good checkpoint is {}", dir.path().join(format!("checkpoint-{step}")).display())
        }
        None => "the stage has no checkpoint yet".to_owned(),
    };
    let remedy = error.remedy.clone().map_or_else(|| where_.clone(), |r| format!("{r}; {where_}"));
    error.remedy(remedy)
}

/// Adds what this sitting took to the stage's row.
fn ledger(manifest: &mut Manifest, stage: &Stage, seconds: f64) {
    let before = manifest.stages.iter().find(|r| r.stage == stage.id).cloned().unwrap_or_default();
    manifest.enter(LedgerRow {
        stage: stage.id.clone(),
        steps: stage.counters.step,
        tokens: stage.counters.tokens,
        generated_tokens: stage.counters.generated,
        flops: stage.counters.flops,
        seconds: before.seconds + seconds,
        peak_bytes: before.peak_bytes.max(peak_memory().unwrap_or(0)),
    });
}
