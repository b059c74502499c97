//! A disk that fails: after some number of operations it is killed, or full, or read-only.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use super::storage::{FileSystem, Fill, Storage};

/// How a [`FaultyDisk`] fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing happens any more, as after SIGKILL; a write in progress stays half done.
    Kill,
    /// Everything that adds to the disk fails with this. Removing still works, and so does renaming unless it is what
    /// fails first: neither needs room.
    Error(ErrorKind),
}

/// Counts operations (each chunk of a write is one) and fails once `after` of them are done.
pub(super) struct FaultyDisk {
    left: AtomicI64,
    fault: Fault,
}

impl FaultyDisk {
    pub(super) fn new(after: i64, fault: Fault) -> Self {
        Self { left: AtomicI64::new(after), fault }
    }

    fn spend(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(match self.fault {
            Fault::Kill => io::Error::other("killed"),
            Fault::Error(kind) => kind.into(),
        })
    }
}

/// Lets half of the fatal chunk through.
struct FaultyWriter<'a> {
    disk: &'a FaultyDisk,
    inner: &'a mut dyn Write,
}

impl Write for FaultyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.spend() {
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
            self.inner.flush()?;
            return Err(error);
        }
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Storage for FaultyDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        FileSystem.make_folder(path)
    }

    fn write(&self, path: &Path, fill: &mut Fill<'_>) -> io::Result<()> {
        self.spend()?;
        // without fsync, which would only make the tests slow
        fill(&mut FaultyWriter { disk: self, inner: &mut File::create(path)? })?;
        self.spend()
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.spend() {
            FileSystem.append(path, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        FileSystem.append(path, bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.spend()?;
        FileSystem.truncate(path, length)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        File::open(path).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let spent = self.left.load(Ordering::SeqCst) < 0;
        if matches!(self.fault, Fault::Kill) || !spent {
            self.spend()?;
        }
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if matches!(self.fault, Fault::Kill) {
            self.spend()?;
        }
        FileSystem.remove(path)
    }

    fn point(&self, link: &Path, target: &str) -> io::Result<()> {
        self.spend()?;
        FileSystem.point(link, target)
    }
}
