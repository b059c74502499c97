//! The folder of one stage: `stages/01-pretrain`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::{Error, Result};

use super::atomic::is_temporary;
use super::checkpoint::Checkpoint;
use super::commit::{COMMITTED, Commit};
use super::episodes::{self, EpisodeRecord};
use super::metrics::{Metrics, MetricsRow};
use super::saving::Saving;
use super::storage::Storage;
use super::trouble::Told;

/// A stage's folder: its checkpoints, metrics and episodes.
#[derive(Clone)]
pub struct StageDir {
    disk: Arc<dyn Storage>,
    path: PathBuf,
    index: usize,
    id: String,
}

impl StageDir {
    /// The `index`-th stage (from 0) below `stages`; nothing is made yet.
    pub(super) fn new(disk: Arc<dyn Storage>, stages: &Path, index: usize, id: &str) -> Result<Self> {
        let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(plain) {
            return Err(Error::usage(format!("`{id}` cannot be the id of a stage"))
                .remedy("use letters, digits, `-`, `_` and `.`: the id names a folder"));
        }
        let path = stages.join(format!("{:02}-{id}", index + 1));
        Ok(Self { disk, path, index, id: id.to_owned() })
    }

    /// The stage whose folder is `path`; `None` when its name is not a stage's.
    pub(super) fn at(disk: Arc<dyn Storage>, path: &Path) -> Option<Self> {
        let (number, id) = path.file_name()?.to_str()?.split_once('-')?;
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        path.is_dir().then(|| Self { disk, path: path.to_owned(), index, id: id.to_owned() })
    }

    pub(super) fn make(&self) -> Result<()> {
        self.disk.make_folder(&self.path).told("make", &self.path)
    }

    /// Whether nothing has been written into it yet.
    pub fn is_untouched(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Its place in the regimen, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its id in the recipe.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to write `checkpoint-<step>`.
    pub fn begin(&self, step: u64) -> Result<Saving> {
        Saving::begin(self.disk.clone(), &self.path, &self.id, step)
    }

    /// The steps of the committed checkpoints, ascending. Folders without COMMITTED do not count.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = self.names()?.iter().filter_map(|name| step_of(name)).collect();
        steps.retain(|&step| self.folder(step).join(COMMITTED).exists());
        steps.sort_unstable();
        Ok(steps)
    }

    /// Opens the checkpoint of `step`.
    pub fn checkpoint(&self, step: u64) -> Result<Checkpoint> {
        Checkpoint::open(&self.folder(step))
    }

    /// Opens the newest committed checkpoint. One that is damaged is an error, not a reason to go back in silence.
    pub fn newest(&self) -> Result<Option<Checkpoint>> {
        self.steps()?.last().map(|&step| self.checkpoint(step)).transpose()
    }

    /// Removes checkpoints but for the newest `keep` (at least one stays) and those that ended a stage.
    pub fn prune(&self, keep: usize) -> Result<()> {
        let steps = self.steps()?;
        for &step in &steps[..steps.len().saturating_sub(keep.max(1))] {
            let folder = self.folder(step);
            if Commit::read(&folder).is_ok_and(|commit| !commit.last) {
                self.disk.remove(&folder).told("remove", &folder)?;
            }
        }
        Ok(())
    }

    /// Opens the stage's metrics: fresh (`None`), or with the first `rows` rows of a run that goes on.
    pub fn metrics(&self, rows: Option<u64>) -> Result<Metrics> {
        Metrics::open(self.disk.clone(), &self.path, &self.id, rows.unwrap_or(0))
    }

    /// Every row of the metrics so far, with what the clock measured beside it.
    pub fn read_metrics(&self) -> Result<Vec<MetricsRow>> {
        super::metrics::read(&self.path)
    }

    /// One file of the stage's folder; `None` when there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        if path.exists() { fs::read(&path).told("read", &path).map(Some) } else { Ok(None) }
    }

    /// Writes `episodes/step_000200.jsonl`.
    pub fn write_episodes(&self, step: u64, episodes: &[EpisodeRecord]) -> Result<()> {
        episodes::write(&*self.disk, &self.path, step, episodes)
    }

    /// The steps whose episodes were kept, in order.
    pub fn episode_steps(&self) -> Result<Vec<u64>> {
        episodes::steps(&self.path)
    }

    /// The episodes of one step.
    pub fn read_episodes(&self, step: u64) -> Result<Vec<EpisodeRecord>> {
        episodes::read(&self.path, step)
    }

    /// Removes the episodes of later steps, which a resumed run writes again.
    pub fn discard_episodes_after(&self, step: u64) -> Result<()> {
        episodes::discard_after(&*self.disk, &self.path, step)
    }

    /// Cleans what a killed save left behind, and puts back a checkpoint that was about to be replaced.
    pub(super) fn recover(&self) -> Result<()> {
        for name in self.names()? {
            let path = self.path.join(&name);
            let replaced = name.strip_suffix(".old").filter(|kept| step_of(kept).is_some());
            if let Some(kept) = replaced.map(|kept| self.path.join(kept)) {
                if kept.exists() {
                    self.disk.remove(&path).told("remove", &path)?;
                } else {
                    self.disk.rename(&path, &kept).told("restore", &kept)?;
                }
            } else if is_temporary(&name) {
                self.disk.remove(&path).told("remove", &path)?;
            }
        }
        Ok(())
    }

    fn folder(&self, step: u64) -> PathBuf {
        self.path.join(format!("checkpoint-{step}"))
    }

    fn names(&self) -> Result<Vec<String>> {
        names_in(&self.path)
    }
}

/// The step of a checkpoint's folder name.
fn step_of(name: &str) -> Option<u64> {
    let step: u64 = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (name == format!("checkpoint-{step}")).then_some(step)
}

/// The names in `folder`, sorted.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).told("read", folder)? {
        names.push(entry.told("read", folder)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
