//! Outputs of stages, kept by the hash of all that went into them, so that arms, seeds and papers share what they have in
//! common. Safe under several processes: an entry appears whole or not at all, and one process makes it while the others
//! wait.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use regimen_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::atomic::{is_temporary, with_suffix};
use super::clock::Clock;
use super::directory::RunDir;
use super::manifest::LedgerRow;
use super::stage::StageDir;
use super::trouble::Told;

const FACTS: &str = "entry.json";
const STAGE: &str = "stage";
const LOCK: &str = ".lock";
const TEMPORARY: &str = ".unfinished.tmp";

/// How often a waiting process looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A folder of stage outputs.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// One kept output.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    /// The hash of all that went in.
    pub key: String,
    /// What is known of it.
    pub facts: Facts,
    /// What it takes on the disk.
    pub bytes: u64,
    /// When it was last brought into a run, in seconds since 1970.
    pub used: f64,
}

/// What is written beside an output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The stage's id.
    pub stage: String,
    /// The run that made it.
    pub run: String,
    /// When, UTC.
    pub made: String,
    /// What it took.
    pub ledger: LedgerRow,
}

/// What a process finds that needs an output.
pub enum Found {
    /// It was there, and now is in the run.
    Brought(Facts),
    /// This process has to make it; others wait until the claim is dropped.
    Mine(Claim),
    /// It was told not to wait any longer.
    Stopped,
}

/// The right to make an output. The system takes it back when the process ends, however it ends.
pub struct Claim {
    key: String,
    _lock: File,
}

impl Cache {
    /// The cache in the folder `root`, which is made when something is first kept.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Brings the output of `key` into the stage's empty folder; else claims it, waiting for another process that makes it
    /// for as long as `go` says.
    ///
    /// # Errors
    /// What the disk says.
    pub fn enter(&self, key: &str, run: &RunDir, stage: &StageDir, go: &dyn Fn() -> bool) -> Result<Found> {
        fs::create_dir_all(&self.root).told("make", &self.root)?;
        let lock = self.root.join(format!("{key}{LOCK}"));
        loop {
            if let Some(facts) = self.bring(key, run, stage)? {
                return Ok(Found::Brought(facts));
            }
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&lock);
            let file = file.told("write", &lock)?;
            match file.try_lock() {
                // whoever held the lock a moment ago may have left the output behind
                Ok(()) if self.entry(key).is_dir() => {}
                Ok(()) => return Ok(Found::Mine(Claim { key: key.to_owned(), _lock: file })),
                Err(TryLockError::Error(error)) => return Err(error).told("lock", &lock),
                Err(TryLockError::WouldBlock) if go() => std::thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => return Ok(Found::Stopped),
            }
        }
    }

    /// Keeps what the stage left in the run.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, claim: Claim, run: &RunDir, stage: &StageDir, ledger: LedgerRow) -> Result<()> {
        let facts = Facts {
            stage: stage.id().to_owned(),
            run: run.path().display().to_string(),
            made: Clock::utc(Clock::unix()),
            ledger,
        };
        let entry = self.entry(&claim.key);
        let temporary = with_suffix(&entry, TEMPORARY);
        remove(&temporary)?;
        copy(stage.path(), &temporary.join(STAGE))?;
        let path = temporary.join(FACTS);
        let text = serde_json::to_vec_pretty(&facts).expect("names and numbers become JSON");
        fs::write(&path, text).told("write", &path)?;
        fs::rename(&temporary, &entry).told("write", &entry)
    }

    /// Every kept output, the latest used first.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        for path in entries(&self.root)? {
            let key = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(facts) = facts(&path).filter(|_| !is_temporary(&key)) {
                let used =
                    fs::metadata(path.join(FACTS)).and_then(|m| m.modified()).map_or(0.0, Clock::seconds_of);
                all.push(Kept { key, facts, bytes: size(&path)?, used });
            }
        }
        all.sort_by(|a, b| b.used.total_cmp(&a.used).then_with(|| a.key.cmp(&b.key)));
        Ok(all)
    }

    /// Removes one output. A run that has it already is not touched: it has its own copy.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove(&self, key: &str) -> Result<()> {
        remove(&self.entry(key))
    }

    /// Removes what killed processes left behind.
    ///
    /// # Errors
    /// What the disk says.
    pub fn tidy(&self) -> Result<()> {
        for path in entries(&self.root)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let idle = |lock: &Path| File::open(lock).is_ok_and(|file| file.try_lock().is_ok());
            if name.ends_with(LOCK) && idle(&path) {
                remove(&path)?;
            } else if let Some(key) = name.strip_suffix(TEMPORARY) {
                let lock = self.root.join(format!("{key}{LOCK}"));
                if !lock.exists() || idle(&lock) {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    fn entry(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn bring(&self, key: &str, run: &RunDir, stage: &StageDir) -> Result<Option<Facts>> {
        let entry = self.entry(key);
        let Some(facts) = facts(&entry) else { return Ok(None) };
        let name = stage.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = run.path().join(format!("{name}{TEMPORARY}"));
        remove(&temporary)?;
        copy(&entry.join(STAGE), &temporary)?;
        remove(stage.path())?;
        fs::rename(&temporary, stage.path()).told("write", stage.path())?;
        // only when it was used last is lost if this fails
        let _ =
            File::options().append(true).open(entry.join(FACTS)).and_then(|f| f.set_modified(Clock::now()));
        Ok(Some(facts))
    }
}

fn facts(entry: &Path) -> Option<Facts> {
    serde_json::from_slice(&fs::read(entry.join(FACTS)).ok()?).ok()
}

fn entries(root: &Path) -> Result<Vec<PathBuf>> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root).and_then(|all| all.map(|e| e.map(|e| e.path())).collect()).told("read", root)?;
    paths.sort();
    Ok(paths)
}

fn remove(path: &Path) -> Result<()> {
    let done =
        if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).told("remove", path),
        _ => Ok(()),
    }
}

/// Copies a folder with all that it holds; links stay links.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).told("make", to)?;
    for path in entries(from)? {
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        if path.is_symlink() {
            link(&fs::read_link(&path).told("read", &path)?, &target).told("write", &target)?;
        } else if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).map(drop).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Error::failed(format!("{} is gone", path.display())),
                _ => super::trouble::cannot("write", &target, &e),
            })?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(target: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(not(unix))]
fn link(target: &Path, at: &Path) -> std::io::Result<()> {
    fs::write(at, target.to_string_lossy().as_bytes())
}

fn size(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for path in entries(path)? {
        bytes += if path.is_dir() && !path.is_symlink() {
            size(&path)?
        } else {
            fs::symlink_metadata(&path).told("read", &path)?.len()
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(root: &Path, name: &str) -> (RunDir, StageDir) {
        let run = RunDir::create(&root.join(name)).expect("a run");
        let stage = run.stage(0, "a").expect("a stage");
        (run, stage)
    }

    #[test]
    fn made_once_and_brought_to_the_next() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(&root.path().join("cache"));
        let (first, stage) = run(root.path(), "first");
        let Found::Mine(claim) = cache.enter("k", &first, &stage, &|| true).expect("entered") else {
            panic!("nothing is there yet")
        };
        fs::create_dir(stage.path().join("checkpoint-3")).expect("made");
        fs::write(stage.path().join("checkpoint-3/w"), "weights").expect("written");
        let ledger = LedgerRow { steps: 3, ..LedgerRow::default() };
        cache.keep(claim, &first, &stage, ledger.clone()).expect("kept");
        let (second, stage) = run(root.path(), "second");
        let Found::Brought(facts) = cache.enter("k", &second, &stage, &|| true).expect("entered") else {
            panic!("it is there")
        };
        assert_eq!((facts.ledger, facts.stage.as_str()), (ledger, "a"));
        assert_eq!(fs::read(stage.path().join("checkpoint-3/w")).expect("there"), b"weights");
        let all = cache.list().expect("a list");
        assert!(all.len() == 1 && all[0].bytes > 7 && all[0].used > 1e9, "{all:?}");
        cache.tidy().expect("tidied");
        cache.remove("k").expect("removed");
        assert!(cache.list().expect("a list").is_empty());
        assert!(stage.path().join("checkpoint-3/w").exists(), "a run has its own copy");
    }

    #[test]
    fn the_second_waits_for_the_first_or_is_told_to_stop() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(&root.path().join("cache"));
        let (first, of_first) = run(root.path(), "first");
        let (second, of_second) = run(root.path(), "second");
        let Found::Mine(claim) = cache.enter("k", &first, &of_first, &|| true).expect("entered") else {
            panic!("nothing is there yet")
        };
        let stopped = cache.enter("k", &second, &of_second, &|| false).expect("entered");
        assert!(matches!(stopped, Found::Stopped));
        let waiting = std::thread::scope(|s| {
            let handle = s.spawn(|| cache.enter("k", &second, &of_second, &|| true).expect("entered"));
            cache.keep(claim, &first, &of_first, LedgerRow::default()).expect("kept");
            handle.join().expect("it ends")
        });
        assert!(matches!(waiting, Found::Brought(_)));
    }

    /// A process that was killed leaves its claim and half an entry; the next one makes it anew.
    #[test]
    fn half_an_entry_does_not_count() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(&root.path().join("cache"));
        let (first, stage) = run(root.path(), "first");
        drop(cache.enter("k", &first, &stage, &|| true).expect("entered"));
        let half = root.path().join(format!("cache/k{TEMPORARY}"));
        fs::create_dir_all(half.join(STAGE)).expect("made");
        assert!(matches!(cache.enter("k", &first, &stage, &|| true).expect("entered"), Found::Mine(_)));
        cache.tidy().expect("tidied");
        assert!(!half.exists());
    }
}
