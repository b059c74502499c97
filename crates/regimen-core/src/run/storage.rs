//! Every change that a run makes to the disk. Tests put a faulty disk in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the content of a file.
pub type Fill<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

/// The changes a run makes to a disk, each of which can fail.
pub trait Storage: Send + Sync {
    /// Makes a folder and its parents; one that is there already is fine.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes or replaces a file, and waits until the disk has it.
    fn write(&self, path: &Path, fill: &mut Fill<'_>) -> io::Result<()>;
    /// Adds to the end of a file, which is made when it is not there. Does not wait for the disk.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to its first `length` bytes.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Waits until the disk has a file, or the names in a folder.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or a folder another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, or a folder with all that it holds.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes `link` a name for its sibling `target`.
    fn point(&self, link: &Path, target: &str) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Storage for FileSystem {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, fill: &mut Fill<'_>) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(1 << 16, File::create(path)?);
        fill(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        // only Unix can open a folder as a file
        if cfg!(unix) || path.is_file() { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }

    #[cfg(unix)]
    fn point(&self, link: &Path, target: &str) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    #[cfg(not(unix))]
    fn point(&self, link: &Path, target: &str) -> io::Result<()> {
        fs::write(link, target)
    }
}
