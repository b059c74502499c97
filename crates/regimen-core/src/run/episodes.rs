//! `episodes/step_000200.jsonl`: what the model said at one step, and what it got for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::atomic::{is_temporary, write_file};
use super::stage::names_in;
use super::storage::Storage;
use super::trouble::Told;

/// One episode, as a line of JSON.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// The task it comes from.
    pub task: String,
    /// Which prompt of the step it belongs to; episodes of one group answer the same prompt.
    pub group: u64,
    /// The prompt as text.
    pub prompt: String,
    /// The completion as text.
    pub completion: String,
    /// The ids of the completion, exactly as they were sampled.
    pub tokens: Vec<u32>,
    /// Every reward by its name; `null` where it abstained.
    pub rewards: BTreeMap<String, Option<f64>>,
    /// Their weighted sum; `null` where one failed or all abstained, never 0 for it.
    pub reward: Option<f64>,
    /// Its advantage in its group; `null` where it is left out of the loss.
    pub advantage: Option<f64>,
    /// Why it ended.
    pub stop: String,
    /// Tokens of the completion.
    pub length: usize,
    /// Why a reward failed, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, String>,
}

pub(super) fn write(disk: &dyn Storage, stage: &Path, step: u64, episodes: &[EpisodeRecord]) -> Result<()> {
    let folder = stage.join("episodes");
    disk.make_folder(&folder).told("make", &folder)?;
    let mut text = Vec::new();
    for episode in episodes {
        serde_json::to_writer(&mut text, episode).expect("numbers, texts and string keys always become JSON");
        text.push(b'\n');
    }
    write_file(disk, &file(stage, step), &text)
}

/// The steps whose episodes were kept, in order.
pub(super) fn steps(stage: &Path) -> Result<Vec<u64>> {
    let folder = stage.join("episodes");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut steps: Vec<u64> = names_in(&folder)?.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable();
    Ok(steps)
}

pub(super) fn read(stage: &Path, step: u64) -> Result<Vec<EpisodeRecord>> {
    let path = file(stage, step);
    let text = fs::read_to_string(&path).told("read", &path)?;
    let row = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Error::failed(format!("{}:{}: {e}", path.display(), i + 1)))
    };
    text.lines().enumerate().map(row).collect()
}

/// Removes the files of steps after `step`, and what a killed write left.
pub(super) fn discard_after(disk: &dyn Storage, stage: &Path, step: u64) -> Result<()> {
    let folder = stage.join("episodes");
    if !folder.exists() {
        return Ok(());
    }
    for name in names_in(&folder)? {
        if is_temporary(&name) || step_of(&name).is_some_and(|of| of > step) {
            let path = folder.join(name);
            disk.remove(&path).told("remove", &path)?;
        }
    }
    Ok(())
}

fn file(stage: &Path, step: u64) -> PathBuf {
    stage.join("episodes").join(format!("step_{step:06}.jsonl"))
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step_")?.strip_suffix(".jsonl")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::storage::FileSystem;
    use super::*;

    fn episode() -> EpisodeRecord {
        EpisodeRecord {
            task: "arith".into(),
            group: 3,
            prompt: "17 + 25 =\n".into(),
            completion: " \"42\"\u{1F600}".into(),
            tokens: vec![5, 0, 4_000_000_000],
            rewards: BTreeMap::from([("verifier".into(), Some(1.0)), ("format".into(), None)]),
            reward: Some(0.1 + 0.2),
            advantage: Some(-0.0),
            stop: "stop-token".into(),
            length: 3,
            causes: BTreeMap::from([("verifier".into(), "a time-out".into())]),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let stage = tempfile::tempdir().unwrap();
        write(&FileSystem, stage.path(), 200, &[episode(), EpisodeRecord::default()]).unwrap();
        assert!(stage.path().join("episodes/step_000200.jsonl").exists());
        assert_eq!(read(stage.path(), 200).unwrap(), [episode(), EpisodeRecord::default()]);
    }

    #[test]
    fn later_steps_are_discarded() {
        let stage = tempfile::tempdir().unwrap();
        discard_after(&FileSystem, stage.path(), 0).unwrap();
        for step in [10, 20, 1_000_000] {
            write(&FileSystem, stage.path(), step, &[episode()]).unwrap();
        }
        fs::write(stage.path().join("episodes/step_000030.jsonl.unfinished.tmp"), "{").unwrap();
        discard_after(&FileSystem, stage.path(), 10).unwrap();
        assert_eq!(names_in(&stage.path().join("episodes")).unwrap(), ["step_000010.jsonl"]);
    }

    #[test]
    fn a_broken_line_is_told() {
        let stage = tempfile::tempdir().unwrap();
        write(&FileSystem, stage.path(), 1, &[episode()]).unwrap();
        FileSystem.append(&file(stage.path(), 1), b"{}\n").unwrap();
        let error = read(stage.path(), 1).unwrap_err();
        assert!(error.what.contains("step_000001.jsonl:2: missing field"), "{error}");
    }
}
