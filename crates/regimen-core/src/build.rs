//! From the resolved recipe to a stage: every piece is built from its own table.

mod evaluation;
mod model;
mod stage;

use std::sync::Arc;

use regimen_base::{Key, Result};
use regimen_data::task::Task;
use regimen_data::{Catalogue, Files, Source, TaskSource};
use regimen_nn::Device;
use regimen_recipe::{Node, Resolved, Room};

use crate::feed::Judges;
use crate::registry::{BuildCx, Registry, build};

pub use stage::micro_batch_tokens;

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
}

/// The paths of data files that one stage names, in its order.
pub(crate) fn data_paths_of(stage: &Node) -> Vec<String> {
    let streams = if stage.kind() == "train" { stage.map("stream") } else { Vec::new() };
    let holders = streams.into_iter().map(|(_, node)| node).chain(stage.opt_table("eval"));
    let files = holders.flat_map(|holder| holder.list("data")).filter(|d| d.room() == Some(Room::Data));
    files.filter_map(|data| data.to_json().get("path")?.as_str().map(str::to_owned)).collect()
}

/// `kind`, or `kind-2`, … where it is taken.
fn unique(kind: &str, taken: &[String]) -> String {
    let mut names = std::iter::once(kind.to_owned()).chain((2..).map(|n| format!("{kind}-{n}")));
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}
