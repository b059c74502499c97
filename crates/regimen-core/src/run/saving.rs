//! A checkpoint on its way to the disk: temporary folder, every file fsynced, `COMMITTED` last, rename.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::{Result, State};

use super::atomic::{sync_parent, temporary_name, with_suffix};
use super::checkpoint::Checkpoint;
use super::commit::{COMMITTED, Commit, FileDigest, is_plain};
use super::state_file::{STATE_FILE, write_state};
use super::storage::{Fill, Storage};
use super::trouble::{Told, cannot};

/// A checkpoint that is being written. Without [`Saving::commit`] it never happened.
#[must_use = "a checkpoint counts only once it is committed"]
pub struct Saving {
    disk: Arc<dyn Storage>,
    folder: PathBuf,
    temporary: PathBuf,
    stage: String,
    step: u64,
    files: BTreeMap<String, FileDigest>,
    committed: bool,
}

impl Saving {
    pub(super) fn begin(disk: Arc<dyn Storage>, stage_path: &Path, stage: &str, step: u64) -> Result<Self> {
        let folder = stage_path.join(format!("checkpoint-{step}"));
        let temporary = temporary_name(&folder);
        if temporary.exists() {
            disk.remove(&temporary).told("remove", &temporary)?;
        }
        disk.make_folder(&temporary).told("make", &temporary)?;
        let stage = stage.to_owned();
        Ok(Self { disk, folder, temporary, stage, step, files: BTreeMap::new(), committed: false })
    }

    /// Writes one file; `name` may lead into a folder of the checkpoint (`"reference/model.safetensors"`).
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.stream(name, &mut |out| out.write_all(bytes))
    }

    /// Writes one file piece by piece, so that it never is in memory as a whole.
    ///
    /// # Panics
    /// When `name` leads out of the checkpoint, or was written already.
    pub fn stream(&mut self, name: &str, fill: &mut Fill<'_>) -> Result<()> {
        assert!(is_plain(name) && name != COMMITTED, "`{name}` is not a name for a file of a checkpoint");
        assert!(!self.files.contains_key(name), "`{name}` was written already");
        let path = self.temporary.join(name);
        if let Some(parent) = path.parent().filter(|parent| *parent != self.temporary) {
            self.disk.make_folder(parent).told("make", parent)?;
        }
        let mut hasher = blake3::Hasher::new();
        let mut bytes = 0;
        let written = self.disk.write(&path, &mut |out| {
            let mut tee = Tee { out, hasher: &mut hasher, bytes: &mut bytes };
            fill(&mut tee)
        });
        // the final name is the one that a user knows
        written.map_err(|e| cannot("write", &self.folder.join(name), &e))?;
        let digest = FileDigest { blake3: hasher.finalize().to_hex().to_string(), bytes };
        self.files.insert(name.to_owned(), digest);
        Ok(())
    }

    /// Writes `state.safetensors`.
    pub fn state(&mut self, state: &State) -> Result<()> {
        self.stream(STATE_FILE, &mut |out| write_state(state, out))
    }

    /// Makes the checkpoint count. `last` marks the one at the end of its stage, which is never pruned. A checkpoint of
    /// the same step is replaced.
    pub fn commit(mut self, last: bool) -> Result<Checkpoint> {
        let commit = Commit::new(&self.stage, self.step, last, std::mem::take(&mut self.files));
        let bytes = commit.to_bytes();
        let record = self.temporary.join(COMMITTED);
        self.sync_folders(commit.files.keys())?;
        self.disk
            .write(&record, &mut |out| out.write_all(&bytes))
            .told("write", &self.folder.join(COMMITTED))?;
        self.disk.sync(&self.temporary).told("write", &self.folder)?;
        self.put_in_place()?;
        self.committed = true;
        self.point_latest()?;
        Ok(Checkpoint::from_parts(self.folder.clone(), commit))
    }

    fn sync_folders<'a>(&self, names: impl Iterator<Item = &'a String>) -> Result<()> {
        let parents: std::collections::BTreeSet<PathBuf> =
            names.filter_map(|name| self.temporary.join(name).parent().map(Path::to_owned)).collect();
        parents.iter().filter(|p| **p != self.temporary).try_for_each(|p| self.disk.sync(p).told("write", p))
    }

    fn put_in_place(&self) -> Result<()> {
        // a folder cannot be replaced in one move; `StageDir::recover` undoes the first when the second did not happen
        let old = with_suffix(&self.folder, ".old");
        let replaces = self.folder.exists();
        if replaces {
            self.disk.rename(&self.folder, &old).told("replace", &self.folder)?;
        }
        if let Err(error) = self.disk.rename(&self.temporary, &self.folder) {
            if replaces {
                // best effort: opening the run does the same
                let _ = self.disk.rename(&old, &self.folder);
            }
            return Err(cannot("write", &self.folder, &error));
        }
        sync_parent(&*self.disk, &self.folder)?;
        if replaces {
            self.disk.remove(&old).told("remove", &old)?;
        }
        Ok(())
    }

    /// For people and for other programs; Regimen itself looks at the names and at COMMITTED.
    fn point_latest(&self) -> Result<()> {
        let link = self.folder.with_file_name("latest");
        let temporary = temporary_name(&link);
        if temporary.is_symlink() || temporary.exists() {
            self.disk.remove(&temporary).told("remove", &temporary)?;
        }
        let target = format!("checkpoint-{}", self.step);
        self.disk
            .point(&temporary, &target)
            .and_then(|()| self.disk.rename(&temporary, &link))
            .told("write", &link)
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.committed {
            // a failed save makes room again; what stays behind is cleaned when the run is opened
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// Digests what it passes on.
struct Tee<'a> {
    out: &'a mut dyn Write,
    hasher: &'a mut blake3::Hasher,
    bytes: &'a mut u64,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
