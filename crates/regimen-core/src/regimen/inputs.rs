//! The hash of all that goes into a stage: what two runs must have in common to share its output.

use std::collections::BTreeMap;
use std::path::Path;

use regimen_base::{Error, Result};
use regimen_recipe::{Node, StagePlan, Start};
use serde_json::{Map, Value, json};

use super::device_class;
use crate::build::{Builder, data_paths_of};
use crate::registry::{BuildCx, build};
use crate::run::{Disk, Origin, digest, program_digest};

/// Keys of a run's stages, in their order.
#[derive(Default)]
pub struct Inputs {
    stages: BTreeMap<String, String>,
    fresh: Option<String>,
}

impl Inputs {
    /// The key of the next stage: a hash over the program, the kind of device, the seed, the stage's table with all its
    /// defaults, its data files, and the keys of the models that it starts from.
    pub fn of(&mut self, builder: &Builder, node: &Node, plan: &StagePlan) -> Result<String> {
        let mut table = node.to_json();
        if let Value::Object(fields) = &mut table {
            fields.remove("about");
        }
        let device = device_class(builder.device);
        let mut casts = Map::new();
        for (name, start) in &plan.casts {
            casts.insert(name.clone(), self.start(builder, start)?.into());
        }
        let all = json!({
            "program": program_digest(),
            "device": [device.device, device.isa],
            "seed": builder.resolved.root().u64("seed"),
            "from": self.start(builder, &plan.from)?,
            "casts": casts,
            "stage": table,
            "files": files(node)?,
        });
        let key = digest(all.to_string().as_bytes()).trim_start_matches("blake3:").to_owned();
        self.stages.insert(plan.id.clone(), key.clone());
        Ok(key)
    }

    fn start(&mut self, builder: &Builder, start: &Start) -> Result<String> {
        match start {
            Start::Stage(id) => {
                self.stages.get(id).cloned().ok_or_else(|| {
                    Error::failed(format!("stage `{id}` comes after those that start from it"))
                })
            }
            Start::Folder(path) => Ok(held(folder(path)?, builder)),
            Start::Model => {
                if let Some(fresh) = &self.fresh {
                    return Ok(fresh.clone());
                }
                let model = builder.resolved.root().table("model");
                let fresh = if model.kind().is_empty() {
                    held(folder(model.str("from"))?, builder)
                } else {
                    fresh(builder, model)?
                };
                self.fresh = Some(fresh.clone());
                Ok(fresh)
            }
        }
    }
}

/// What a model of random weights is made of, but for the seed.
fn fresh(builder: &Builder, model: &Node) -> Result<String> {
    let arch = build(&builder.registry.arch, model, &BuildCx::default())?;
    let files = if arch.reads_tokens() { builder.tokenizer()?.files() } else { Vec::new() };
    let tokenizer: BTreeMap<String, String> =
        files.into_iter().map(|(name, bytes)| (name, digest(&bytes))).collect();
    Ok(digest(json!([model.to_json(), tokenizer]).to_string().as_bytes()))
}

/// A model that is read, and what its matrices are held in.
fn held(folder: String, builder: &Builder) -> String {
    match builder.half() {
        None => folder,
        Some(half) => digest(format!("{folder} {half:?}").as_bytes()),
    }
}

fn folder(path: &str) -> Result<String> {
    let mut files: Vec<String> = Vec::new();
    for path in Origin::find(path)?.paths()? {
        files.extend(Disk.digests(&path)?.into_values());
    }
    Ok(digest(json!(files).to_string().as_bytes()))
}

/// Digests of the stage's data files, wherever they lie.
fn files(node: &Node) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for path in data_paths_of(node) {
        all.extend(Disk.digests(Path::new(&path))?.into_values());
    }
    Ok(all)
}
