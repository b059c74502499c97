//! The door to the file system: this crate asks, somebody else opens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};

/// Where bytes come from. Errors name the path and the remedy.
pub trait Files {
    /// The file itself, or all data files below a folder, sorted by path.
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>>;
    /// The whole of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
}

/// Files that exist only in memory: for embedded data and for tests.
#[derive(Clone, Debug, Default)]
pub struct InMemory(BTreeMap<PathBuf, Vec<u8>>);

impl InMemory {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), bytes.into());
        self
    }
}

impl Files for InMemory {
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let found: Vec<PathBuf> = self.0.keys().filter(|p| p.starts_with(path)).cloned().collect();
        if found.is_empty() { Err(missing(path)) } else { Ok(found) }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| missing(path))
    }
}

fn missing(path: &Path) -> Error {
    Error::data(format!("there is no file or folder `{}`", path.display())).remedy("correct the path")
}
