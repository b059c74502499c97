//! The door to the file system: this crate asks, somebody else opens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::{Error, Result};

/// Where bytes come from. Errors name the path and the remedy.
pub trait Files {
    /// The file itself, or all data files below a folder, sorted by path.
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>>;
    /// The whole of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// A file to read parts of, for as long as the run lasts.
    fn open(&self, path: &Path) -> Result<Box<dyn Parts>>;
}

/// A file whose parts can be read in any order, from any thread.
pub trait Parts: Send + Sync {
    /// Its length in bytes, when it was opened.
    fn size(&self) -> u64;
    /// `len` bytes from byte `at` on.
    ///
    /// # Errors
    /// They are not there (any more).
    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>>;
}

struct Bytes(Arc<[u8]>, PathBuf);

impl Parts for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let part = usize::try_from(at).ok().and_then(|at| self.0.get(at..at.checked_add(len)?));
        part.map(<[u8]>::to_vec).ok_or_else(|| missing(&self.1))
    }
}

/// Files that exist only in memory: for embedded data and for tests.
#[derive(Clone, Debug, Default)]
pub struct InMemory(BTreeMap<PathBuf, Arc<[u8]>>);

impl InMemory {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), bytes.into().into());
        self
    }
}

impl Files for InMemory {
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let found: Vec<PathBuf> = self.0.keys().filter(|p| p.starts_with(path)).cloned().collect();
        if found.is_empty() { Err(missing(path)) } else { Ok(found) }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.0.get(path).map(|bytes| bytes.to_vec()).ok_or_else(|| missing(path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Parts>> {
        let bytes = self.0.get(path).cloned().ok_or_else(|| missing(path))?;
        Ok(Box::new(Bytes(bytes, path.to_owned())))
    }
}

fn missing(path: &Path) -> Error {
    Error::data(format!("there is no file or folder `{}`", path.display())).remedy("correct the path")
}
