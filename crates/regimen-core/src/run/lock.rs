//! One process a run directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use regimen_base::{Error, Result};

use super::trouble::Told;

/// An exclusive lock on a run directory; the system gives it back when the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`, or says who holds it.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(".lock");
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).told("write", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(error).told("lock", &path),
        }
        let pid = std::process::id().to_string();
        file.write_all(pid.as_bytes()).and_then(|()| file.set_len(pid.len() as u64)).told("write", &path)?;
        Ok(Self { _file: file })
    }
}

fn held(folder: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let who = match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    Error::failed(format!("{} is in use by {who}", folder.display()))
        .remedy("wait until that run ends or stop it with Ctrl-C, or choose another run directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).err().unwrap();
        assert!(error.what.ends_with(&format!("in use by process {}", std::process::id())), "{error}");
        drop(first);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
