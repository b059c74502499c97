//! A complete checkpoint, verified.

use std::fs;
use std::path::{Path, PathBuf};

use regimen_base::{Result, State};

use super::commit::{COMMITTED, Commit, damaged};
use super::state_file::{STATE_FILE, read_state};
use super::trouble::Told;
use crate::model::Folder;

/// A folder whose every file is what was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    commit: Commit,
}

impl Checkpoint {
    pub(super) fn from_parts(folder: PathBuf, commit: Commit) -> Self {
        Self { folder, commit }
    }

    /// Opens `folder` and compares every file with its digest.
    ///
    /// # Errors
    /// When it was never committed, or a file is missing, too many, cut off or changed: the message names it.
    pub fn open(folder: &Path) -> Result<Self> {
        let commit = Commit::read(folder)?;
        commit.verify(folder)?;
        Ok(Self { folder: folder.to_owned(), commit })
    }

    /// Whether `folder` was written as a checkpoint, and to its end.
    pub fn is_committed(folder: &Path) -> bool {
        folder.join(COMMITTED).is_file()
    }

    /// Opens `folder` by its record alone. Every file is compared with its digest when it is read.
    ///
    /// # Errors
    /// When it was never committed, or its record was cut off or changed.
    pub fn of_record(folder: &Path) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), commit: Commit::read(folder)? })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of the stage it belongs to.
    pub fn stage(&self) -> &str {
        &self.commit.stage
    }

    /// Optimiser steps of the stage that are behind it.
    pub fn step(&self) -> u64 {
        self.commit.step
    }

    /// Whether the stage was complete.
    pub fn is_last(&self) -> bool {
        self.commit.last
    }

    /// The names of its files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.commit.files.keys().map(String::as_str)
    }

    /// The bytes of one file, which are compared with the digest once more.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let Some(wanted) = self.commit.files.get(name) else {
            return Err(damaged(&self.folder, &format!("it has no `{name}`")));
        };
        let path = self.folder.join(name);
        let bytes = fs::read(&path).told("read", &path)?;
        if blake3::hash(&bytes).to_hex().as_str() == wanted.blake3 {
            Ok(bytes)
        } else {
            Err(damaged(&self.folder, &format!("the bytes of `{name}` are not those that were saved")))
        }
    }

    /// The saved state of `state.safetensors`.
    pub fn state(&self) -> Result<State> {
        let bytes = self.read(STATE_FILE)?;
        read_state(&bytes).map_err(|why| damaged(&self.folder, &format!("`{STATE_FILE}`: {why}")))
    }
}

impl Folder for Checkpoint {
    fn has(&self, name: &str) -> bool {
        self.commit.files.contains_key(name)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        Self::read(self, name)
    }
}
