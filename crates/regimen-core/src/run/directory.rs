//! A run's directory: one process writes it, anybody may look.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::{Error, Result};

use super::atomic::{is_temporary, write_file};
use super::checkpoint::Checkpoint;
use super::journal::Journal;
use super::lock::Lock;
use super::manifest::Manifest;
use super::stage::{StageDir, names_in};
use super::storage::{FileSystem, Storage};
use super::trouble::Told;

const MANIFEST: &str = "manifest.json";
const STAGES: &str = "stages";

/// The directory of one run.
pub struct RunDir {
    disk: Arc<dyn Storage>,
    path: PathBuf,
    /// Held until the run ends; `None` for one that only looks.
    _lock: Option<Lock>,
}

impl RunDir {
    /// The first of `root/name`, `root/name-2`, `root/name-3`, … that holds no run.
    pub fn free_path(root: &Path, name: &str) -> PathBuf {
        let numbered = |n: u32| root.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
        (1..=u32::MAX).map(numbered).find(|path| !holds_run(path)).unwrap_or_else(|| root.join(name))
    }

    /// Makes the directory for a new run, and takes its lock.
    ///
    /// # Errors
    /// When it holds a run already, another process is at work in it, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        Self::create_on(Arc::new(FileSystem), path)
    }

    pub(super) fn create_on(disk: Arc<dyn Storage>, path: &Path) -> Result<Self> {
        disk.make_folder(path).told("make", path)?;
        let run = Self { _lock: Some(Lock::take(path)?), disk, path: path.to_owned() };
        if holds_run(path) {
            return Err(Error::usage(format!("{} holds a run already", path.display())).remedy(format!(
                "go on with it by `regimen resume {}`, remove it, or choose another run directory",
                path.display()
            )));
        }
        let stages = path.join(STAGES);
        run.disk.make_folder(&stages).told("make", &stages)?;
        Ok(run)
    }

    /// Opens a run to go on with it: takes the lock, and cleans what a killed save left behind.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_on(Arc::new(FileSystem), path)
    }

    pub(super) fn open_on(disk: Arc<dyn Storage>, path: &Path) -> Result<Self> {
        must_hold_run(path)?;
        let run = Self { _lock: Some(Lock::take(path)?), disk, path: path.to_owned() };
        for name in names_in(path)?.iter().filter(|name| is_temporary(name)) {
            let litter = path.join(name);
            run.disk.remove(&litter).told("remove", &litter)?;
        }
        run.stages()?.iter().try_for_each(StageDir::recover)?;
        Ok(run)
    }

    /// Opens a run to look at it, also while it is under way: takes no lock. Nothing may be written through it.
    pub fn view(path: &Path) -> Result<Self> {
        must_hold_run(path)?;
        Ok(Self { disk: Arc::new(FileSystem), path: path.to_owned(), _lock: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Replaces one file, as a whole or not at all: `recipe.resolved.toml`, `report.html`.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        write_file(&*self.disk, &self.path.join(file), bytes)
    }

    /// Reads one file.
    pub fn read(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.path.join(file);
        fs::read(&path).told("read", &path)
    }

    /// Replaces `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let mut bytes =
            serde_json::to_vec_pretty(manifest).expect("numbers, texts and string keys become JSON");
        bytes.push(b'\n');
        self.write(MANIFEST, &bytes)
    }

    /// Reads `manifest.json`.
    pub fn manifest(&self) -> Result<Manifest> {
        let bytes = self.read(MANIFEST)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::failed(format!("{}: {e}", self.path.join(MANIFEST).display()))
                .remedy("restore the file from a copy, or start the run anew in another directory")
        })
    }

    /// The folder of the `index`-th stage (from 0), made when it is not there.
    pub fn stage(&self, index: usize, id: &str) -> Result<StageDir> {
        let stage = StageDir::new(self.disk.clone(), &self.path.join(STAGES), index, id)?;
        stage.make()?;
        Ok(stage)
    }

    /// The stages that were begun, in their order.
    pub fn stages(&self) -> Result<Vec<StageDir>> {
        let folder = self.path.join(STAGES);
        let at = |name: &String| StageDir::at(self.disk.clone(), &folder.join(name));
        let mut stages: Vec<StageDir> = names_in(&folder)?.iter().filter_map(at).collect();
        stages.sort_by_key(StageDir::index);
        Ok(stages)
    }

    /// The newest committed checkpoint of the last stage that has one, verified; `None` for a run without any.
    pub fn newest(&self) -> Result<Option<(StageDir, Checkpoint)>> {
        for stage in self.stages()?.into_iter().rev() {
            if let Some(checkpoint) = stage.newest()? {
                return Ok(Some((stage, checkpoint)));
            }
        }
        Ok(None)
    }

    /// Opens `events.jsonl` to add to it.
    pub fn events(&self) -> Result<Journal> {
        Journal::open(self.disk.clone(), self.path.join("events.jsonl"))
    }
}

fn holds_run(path: &Path) -> bool {
    path.join(STAGES).is_dir()
}

fn must_hold_run(path: &Path) -> Result<()> {
    if holds_run(path) {
        return Ok(());
    }
    let shown = path.display();
    Err(Error::usage(if path.exists() {
        format!("{shown} holds no run")
    } else {
        format!("there is no {shown}")
    })
    .remedy("name the directory of a run, such as runs/quickstart; `regimen ls` shows what there is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_made_once_and_opened_by_one() {
        let root = tempfile::tempdir().unwrap();
        let path = RunDir::free_path(root.path(), "quick");
        let run = RunDir::create(&path).unwrap();
        assert_eq!(
            (run.name().as_str(), RunDir::free_path(root.path(), "quick")),
            ("quick", root.path().join("quick-2"))
        );
        for second in [RunDir::create(&path), RunDir::open(&path)] {
            assert!(
                second.err().unwrap().what.contains(&format!("in use by process {}", std::process::id()))
            );
        }
        assert!(RunDir::view(&path).is_ok(), "looking is always possible");
        drop(run);
        assert!(RunDir::create(&path).err().unwrap().remedy.unwrap().contains("regimen resume"));
        assert!(RunDir::open(&path).is_ok());
    }

    #[test]
    fn what_is_no_run_is_told() {
        let root = tempfile::tempdir().unwrap();
        let error = RunDir::open(root.path()).err().unwrap();
        assert!(error.what.ends_with("holds no run") && error.exit == regimen_base::Exit::Usage, "{error}");
        assert!(RunDir::view(&root.path().join("gone")).err().unwrap().what.starts_with("there is no "));
        fs::write(root.path().join("file"), "x").unwrap();
        let error = RunDir::create(&root.path().join("file")).err().unwrap();
        assert!(error.what.contains("a file is where a folder should be"), "{error}");
    }

    #[test]
    fn stages_are_numbered_and_sorted() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path()).unwrap();
        for index in (0..12).rev() {
            run.stage(index, &format!("s{index}")).unwrap();
        }
        fs::write(root.path().join("stages/notes.txt"), "mine").unwrap();
        let stages = run.stages().unwrap();
        assert!(stages.iter().enumerate().all(|(i, s)| s.index() == i && s.id() == format!("s{i}")));
        assert!(stages[0].path().ends_with("stages/01-s0"));
        for id in ["", "a/b", "..\\x", "a b"] {
            assert!(run.stage(0, id).is_err(), "{id}");
        }
    }

    #[test]
    fn files_and_the_manifest_come_back() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path()).unwrap();
        run.write("recipe.resolved.toml", b"a = 1\n").unwrap();
        assert_eq!(run.read("recipe.resolved.toml").unwrap(), b"a = 1\n");
        assert!(run.manifest().unwrap_err().what.contains("manifest.json: it does not exist"));
        let manifest = Manifest { seed: 3, ..Manifest::default() };
        run.write_manifest(&manifest).unwrap();
        assert_eq!(run.manifest().unwrap(), manifest);
        run.write("manifest.json", b"{").unwrap();
        assert!(run.manifest().unwrap_err().remedy.is_some());
    }
}
