//! A file is either the old one or the new one, whatever happens in between.

use std::path::{Path, PathBuf};

use regimen_base::Result;

use super::storage::Storage;
use super::trouble::Told;

/// Unlike any name that a user would give, because files of this name are cleaned away.
const TEMPORARY: &str = ".unfinished.tmp";

/// Replaces the file at `path`: temporary name, fsync, rename, fsync of the folder. A failed write leaves the old file
/// and no litter.
pub(super) fn write_file(disk: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written =
        disk.write(&temporary, &mut |out| out.write_all(bytes)).and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        // best effort: the error that matters is the one of the write
        let _ = disk.remove(&temporary);
    }
    written.told("write", path)?;
    sync_parent(disk, path)
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_parent(disk: &dyn Storage, path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => disk.sync(folder).told("write", folder),
        _ => Ok(()),
    }
}

/// The name under which `path` is written before it is complete.
pub(super) fn temporary_name(path: &Path) -> PathBuf {
    with_suffix(path, TEMPORARY)
}

/// Whether a file or folder of this name is what a killed write left behind.
pub(super) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

/// `path` with `suffix` after its last character.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::fault::{Fault, FaultyDisk};
    use super::super::storage::FileSystem;
    use super::*;

    #[test]
    fn after_a_kill_at_any_operation_the_file_is_the_old_or_the_new() {
        let mut outcomes = [0; 2];
        for after in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("manifest.json");
            write_file(&FileSystem, &path, b"old old old").unwrap();
            let disk = FaultyDisk::new(after, Fault::Kill);
            let done = write_file(&disk, &path, b"new").is_ok();
            let found = std::fs::read(&path).unwrap();
            assert!(found == b"new" || found == b"old old old", "killed after {after} operations: {found:?}");
            outcomes[usize::from(found == b"new")] += 1;
            if done {
                break;
            }
        }
        assert!(outcomes[0] > 1 && outcomes[1] > 1, "both were seen: {outcomes:?}");
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        write_file(&FileSystem, &path, b"old").unwrap();
        let disk = FaultyDisk::new(1, Fault::Error(ErrorKind::StorageFull));
        let error = write_file(&disk, &path, b"new").unwrap_err();
        assert!(error.what.contains("the disk is full") && error.what.contains("manifest.json"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
