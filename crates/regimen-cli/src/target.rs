//! `RUN|CKPT`: the checkpoint that a verb works on.

use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_core::model::{Folder, Model, Outline, weight_files};
use regimen_core::run::{Checkpoint, Disk, Origin, RunDir, StageDir};
use regimen_data::Files;
use regimen_nn::Device;
use regimen_nn::hf::Hold;
use regimen_recipe::{Choice, Node, Recipe, Resolved, Room, Start};

use crate::failure::Outcome;
use crate::recipes::nearest;

/// What the user names it by.
#[derive(clap::Args, Clone)]
pub struct Named {
    /// The directory of a run, or a checkpoint folder in Hugging Face's layout
    #[arg(value_name = "RUN|CKPT")]
    pub target: PathBuf,
    /// Which stage of the run [default: the last that has a checkpoint]
    #[arg(long, value_name = "ID")]
    pub stage: Option<String>,
    /// Which of its checkpoints [default: the newest]
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
}

/// A checkpoint that was found.
pub struct Target {
    folder: PathBuf,
    /// With digests, when Regimen wrote it.
    checkpoint: Option<Checkpoint>,
    run: Option<RunDir>,
    stage: Option<String>,
    /// When something else wrote it.
    origin: Option<Origin>,
}

impl Named {
    /// Finds the checkpoint and verifies its digests.
    pub fn find(&self) -> Result<Target> {
        let path = &self.target;
        if path.join("stages").is_dir() {
            return self.in_run(RunDir::view(path)?);
        }
        if self.stage.is_some() || self.step.is_some() {
            return Err(Error::usage(format!("{} is no run, so it has no stages and steps", path.display()))
                .remedy("leave `--stage` and `--step` out, or name a run"));
        }
        let written_by_us = path.join("COMMITTED").is_file();
        if !written_by_us
            && let Ok(origin) = Origin::find(&path.to_string_lossy())
            && holds_a_model(&origin)
        {
            let folder = origin.path().to_owned();
            return Ok(Target { folder, checkpoint: None, run: None, stage: None, origin: Some(origin) });
        }
        if !path.exists() {
            return Err(missing(path));
        }
        if !written_by_us {
            return Err(Error::usage(format!("{} is neither a run nor a checkpoint", path.display())).remedy(
                "name a run, such as runs/quickstart, a folder with config.json, model.safetensors and tokenizer.json, or a .gguf file",
            ));
        }
        let checkpoint = Some(Checkpoint::open(path)?);
        // runs/NAME/stages/NN-ID/checkpoint-STEP
        let run = checkpoint.is_some().then(|| path.canonicalize().ok()).flatten();
        let run = run.and_then(|p| RunDir::view(p.ancestors().nth(3)?).ok());
        let stage = checkpoint.as_ref().map(|c| c.stage().to_owned());
        Ok(Target { folder: path.clone(), checkpoint, run, stage, origin: None })
    }

    fn in_run(&self, run: RunDir) -> Result<Target> {
        let (stage, checkpoint) = match &self.stage {
            Some(id) => self.in_stage(&stage_of(&run, id)?)?,
            None if self.step.is_some() => {
                let last =
                    run.stages()?.into_iter().rev().find(|s| s.steps().is_ok_and(|steps| !steps.is_empty()));
                self.in_stage(&last.ok_or_else(|| empty(&run))?)?
            }
            None => {
                let (stage, checkpoint) = run.newest()?.ok_or_else(|| empty(&run))?;
                (stage.id().to_owned(), checkpoint)
            }
        };
        let folder = checkpoint.folder().to_owned();
        Ok(Target { folder, checkpoint: Some(checkpoint), run: Some(run), stage: Some(stage), origin: None })
    }

    fn in_stage(&self, stage: &StageDir) -> Result<(String, Checkpoint)> {
        let steps = stage.steps()?;
        let checkpoint = match self.step {
            None => stage.newest()?,
            Some(step) if steps.contains(&step) => Some(stage.checkpoint(step)?),
            Some(_) => None,
        };
        let checkpoint = checkpoint.ok_or_else(|| {
            let has = steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let what = self
                .step
                .map_or_else(|| "no checkpoint yet".to_owned(), |s| format!("no checkpoint of step {s}"));
            let error = Error::usage(format!("stage `{}` has {what}", stage.id()));
            if has.is_empty() { error } else { error.remedy(format!("it has those of steps {has}")) }
        })?;
        Ok((stage.id().to_owned(), checkpoint))
    }
}

/// Whether there is enough to try: what is missing is told when it is read.
fn holds_a_model(origin: &Origin) -> bool {
    const ANY: [&str; 3] = ["config.json", "model.safetensors", "adapter_config.json"];
    !matches!(origin, Origin::Folder(folder) if !ANY.iter().any(|name| folder.join(name).is_file()))
}

fn stage_of(run: &RunDir, id: &str) -> Result<StageDir> {
    let stages = run.stages()?;
    if let Some(stage) = stages.iter().find(|s| s.id() == id) {
        return Ok(stage.clone());
    }
    let ids: Vec<&str> = stages.iter().map(StageDir::id).collect();
    let near = nearest(id, &ids).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Err(Error::usage(format!("{} has no stage `{id}`", run.path().display()))
        .remedy(format!("{near}stages so far: {}", ids.join(", "))))
}

fn empty(run: &RunDir) -> Error {
    let path = run.path().display();
    Error::failed(format!("{path} has no checkpoint yet"))
        .remedy(format!("wait for the first one, or go on with the run by `regimen resume {path}`"))
}

fn missing(path: &Path) -> Error {
    let error = Error::usage(format!("there is no {}", path.display()));
    let under_runs = Path::new("runs").join(path);
    if under_runs.is_dir() {
        return error.remedy(format!("did you mean `{}`?", under_runs.display()));
    }
    error.remedy("`regimen ls` shows the runs; `regimen run quickstart` makes one")
}

impl Target {
    /// Where the checkpoint is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The checkpoint with its digests, when Regimen wrote it.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Architecture and tokenizer.
    pub fn outline(&self) -> Result<Outline> {
        match &self.origin {
            Some(origin) => origin.outline(),
            None => Outline::read(self),
        }
    }

    /// The files of weights, by name: of the model, and of its adapters.
    pub fn weights(&self) -> Result<Vec<(String, Vec<u8>)>> {
        if let Some(Origin::Gguf(path)) = &self.origin {
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            return Ok(vec![(name, Disk.read(path)?)]);
        }
        weight_files(self)
    }

    /// The model.
    pub fn model(&self, device: &Device) -> Result<Model> {
        match &self.origin {
            Some(origin) => origin.model(device, None),
            None => {
                Model::read(self, device, Hold::Full).map_err(|e| e.within(self.folder.display().to_string()))
            }
        }
    }

    /// The recipe of the run that made it, when it is known.
    pub fn recipe(&self) -> Outcome<Option<Resolved>> {
        let Some(run) = &self.run else { return Ok(None) };
        Ok(Some(resolved(run)?))
    }

    /// Whether the model was trained on conversations: some stage that led to it made tokens by the chat template. A
    /// model from elsewhere talks when it brings a template.
    pub fn talks(&self) -> bool {
        match (self.recipe().ok().flatten(), &self.stage) {
            (Some(recipe), Some(stage)) => talks(&recipe, stage),
            _ => self.has_template(),
        }
    }

    /// Whether the model reads tokens: a net of numbers has no tokenizer.
    pub fn speaks(&self) -> bool {
        self.checkpoint.is_none() || self.folder.join("tokenizer.json").is_file()
    }

    fn has_template(&self) -> bool {
        if let Some(Ok(outline)) = self.origin.as_ref().map(Origin::outline) {
            return outline.speech().is_some_and(|(tokenizer, _)| tokenizer.chat_template().is_some());
        }
        let config = self.read("tokenizer_config.json").unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
        config.get("chat_template").is_some() || self.folder.join("chat_template.jinja").is_file()
    }
}

impl Folder for Target {
    fn has(&self, name: &str) -> bool {
        match (&self.checkpoint, &self.origin) {
            (Some(checkpoint), _) => checkpoint.has(name),
            (None, Some(origin)) => origin.has(name),
            (None, None) => Origin::Folder(self.folder.clone()).has(name),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        match (&self.checkpoint, &self.origin) {
            (Some(checkpoint), _) => checkpoint.read(name),
            (None, Some(origin)) => origin.read(name),
            (None, None) => Origin::Folder(self.folder.clone()).read(name),
        }
    }
}

/// The resolved recipe that a run keeps.
pub fn resolved(run: &RunDir) -> Outcome<Resolved> {
    const FILE: &str = "recipe.resolved.toml";
    let text = run.read(FILE).map_err(|e| e.remedy("start the run anew in another directory"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = run.path().join(FILE);
    let recipe = Recipe::read(&path.to_string_lossy(), &|_| Ok(text.clone()))?;
    let resolved = recipe.resolve(&regimen_papers::registry().catalogue(), &Choice::default())?;
    // it was checked when it was written; by now everything in it is written out, needed or not
    resolved.root().mark_all_read();
    Ok(resolved)
}

fn talks(recipe: &Resolved, stage: &str) -> bool {
    let plans = &recipe.plan().stages;
    let Some(at) = plans.iter().position(|p| p.id == stage) else { return false };
    if recipe.stages()[at].kind() == "train"
        && recipe.stages()[at].map("stream").iter().any(|(_, s)| stream_talks(s))
    {
        return true;
    }
    match &plans[at].from {
        Start::Stage(earlier) => talks(recipe, earlier),
        // what a checkpoint from elsewhere was trained on is not known
        Start::Folder(_) | Start::Model => false,
    }
}

fn stream_talks(stream: &Node) -> bool {
    stream.opt_table("rollout").is_some()
        || stream.list("transform").iter().any(|t| t.room() == Some(Room::Transform) && t.kind() == "chat")
}
