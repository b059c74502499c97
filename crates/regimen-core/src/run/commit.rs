//! `COMMITTED`: what a complete checkpoint holds. It is written last, so a folder without it is a save that was cut off.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use regimen_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::trouble::Told;

/// The record's file name.
pub(super) const COMMITTED: &str = "COMMITTED";
const VERSION: u32 = 1;

/// The record. It holds no time, so that equal checkpoints are equal bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    version: u32,
    pub(super) stage: String,
    pub(super) step: u64,
    pub(super) last: bool,
    pub(super) files: BTreeMap<String, FileDigest>,
    /// Digest of this record with an empty seal.
    seal: String,
}

/// What one file must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileDigest {
    pub(super) blake3: String,
    pub(super) bytes: u64,
}

impl Commit {
    pub(super) fn new(stage: &str, step: u64, last: bool, files: BTreeMap<String, FileDigest>) -> Self {
        let mut commit =
            Self { version: VERSION, stage: stage.to_owned(), step, last, files, seal: String::new() };
        commit.seal = blake3::hash(&commit.to_bytes()).to_hex().to_string();
        commit
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("names, numbers and texts always become JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the record of `folder`. It must be byte for byte what [`Commit::to_bytes`] writes.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(COMMITTED);
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(unfinished(folder)),
            other => other.told("read", &path)?,
        };
        let record = serde_json::from_slice::<Self>(&bytes).ok().filter(|record| record.is_sealed_as(&bytes));
        record.ok_or_else(|| damaged(folder, "COMMITTED was cut off or changed"))
    }

    fn is_sealed_as(&self, bytes: &[u8]) -> bool {
        let fresh = Self::new(&self.stage, self.step, self.last, self.files.clone());
        self.to_bytes() == bytes && *self == fresh && self.files.keys().all(|name| is_plain(name))
    }

    /// Compares every file of `folder` with its digest; a file too many is told as well as one too few.
    pub(super) fn verify(&self, folder: &Path) -> Result<()> {
        for (name, digest) in &self.files {
            check_file(folder, name, digest)?;
        }
        let mut found = Vec::new();
        list(folder, "", &mut found).told("read", folder)?;
        match found.iter().find(|name| *name != COMMITTED && !self.files.contains_key(*name)) {
            None => Ok(()),
            Some(extra) => Err(Error::failed(format!(
                "checkpoint {} holds `{extra}`, which was not saved with it",
                folder.display()
            ))
            .remedy("move that file out of the checkpoint")),
        }
    }
}

/// Whether `name` stays inside of the folder it is joined to.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn check_file(folder: &Path, name: &str, wanted: &FileDigest) -> Result<()> {
    let path = folder.join(name);
    let found = fs::metadata(&path).map(|m| m.len());
    let bytes = match found {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(folder, &format!("`{name}` is missing")));
        }
        Err(e) => return Err(e).told("read", &path),
    };
    if bytes != wanted.bytes {
        return Err(damaged(folder, &format!("`{name}` has {bytes} bytes, not {}", wanted.bytes)));
    }
    let mut hasher = blake3::Hasher::new();
    File::open(&path).and_then(|file| hasher.update_reader(file).map(drop)).told("read", &path)?;
    if hasher.finalize().to_hex().as_str() == wanted.blake3 {
        Ok(())
    } else {
        Err(damaged(folder, &format!("the bytes of `{name}` are not those that were saved")))
    }
}

/// Names of all files below `folder`, but for hidden ones (file managers leave such).
fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else {
            found.push(format!("{prefix}{name}"));
        }
    }
    found.sort();
    Ok(())
}

/// The error for a checkpoint that was complete once and is not any more.
pub(super) fn damaged(folder: &Path, why: &str) -> Error {
    Error::data(format!("checkpoint {} is damaged: {why}", folder.display()))
        .remedy("restore it from a copy, or remove its folder to go on from the checkpoint before it")
}

fn unfinished(folder: &Path) -> Error {
    Error::data(format!("{} is not a complete checkpoint: it has no COMMITTED", folder.display())).remedy(
        "use another checkpoint: this one was cut off while it was written, or is not one of Regimen's",
    )
}
