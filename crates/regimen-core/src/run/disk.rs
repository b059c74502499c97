//! Data files for the readers, which open nothing themselves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use regimen_base::{Error, Exit, Result};
use regimen_data::{Files, Parts};

use super::trouble::Told;

/// The file system, as data readers see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    /// A file is listed as itself; a folder as all files in it and below, sorted, without hidden ones.
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let kind = fs::metadata(path).map_err(|e| missing(path, &e))?;
        if !kind.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = Vec::new();
        walk(path, &mut files)?;
        if files.is_empty() {
            return Err(Error::data(format!("the folder {} holds no files", path.display()))
                .remedy("put text, .jsonl or .parquet files into it, or name another path"));
        }
        Ok(files)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        if path.is_dir() {
            return Err(Error::data(format!("{} is a folder, not a file", path.display())));
        }
        fs::read(path).map_err(|e| missing(path, &e))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Parts>> {
        let size = fs::metadata(path).map_err(|e| missing(path, &e))?.len();
        Ok(Box::new(OnDisk { path: path.to_owned(), size }))
    }
}

/// A file that is opened for every read: a folder may hold more files than a process may keep open.
struct OnDisk {
    path: PathBuf,
    size: u64,
}

impl Parts for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)
        };
        read().map_err(|e| missing(&self.path, &e))?;
        Ok(bytes)
    }
}

impl Disk {
    /// The digest of every file that [`Files::list`] gives, by its path, for the manifest.
    pub fn digests(&self, path: &Path) -> Result<BTreeMap<String, String>> {
        self.list(path)?.into_iter().map(|file| Ok((file.display().to_string(), digest_of(&file)?))).collect()
    }
}

fn digest_of(file: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    File::open(file).and_then(|open| hasher.update_reader(open).map(drop)).map_err(|e| missing(file, &e))?;
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// Depth first, names in order. A link to a folder is not followed: it could lead in a circle.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).told("read", folder)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().told("read", &entry.path())?);
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn missing(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::data(format!("there is no file or folder {}", path.display()))
            .remedy("check the path; a relative one starts at the directory where `regimen` was started");
    }
    Error { exit: Exit::Data, ..super::trouble::cannot("read", path, error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a/z.txt", "a/b/c.txt", ".hidden", "a/.git/x"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        root
    }

    #[test]
    fn lists_a_folder_in_one_order() {
        let root = tree();
        let names = |path: &Path| -> Vec<String> {
            let files = Disk.list(path).unwrap();
            files.iter().map(|f| f.strip_prefix(root.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(root.path()), ["a/b/c.txt", "a/z.txt", "b.txt"]);
        assert_eq!(names(&root.path().join("b.txt")), ["b.txt"]);
        assert_eq!(Disk.read(&root.path().join("a/z.txt")).unwrap(), b"a/z.txt");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let root = tree();
        let gone = root.path().join("gone");
        for error in [Disk.list(&gone).unwrap_err(), Disk.read(&gone).unwrap_err()] {
            assert!(
                error.what.starts_with("there is no file or folder ") && error.exit == Exit::Data,
                "{error}"
            );
        }
        assert!(Disk.read(root.path()).unwrap_err().what.ends_with("is a folder, not a file"));
        fs::create_dir(root.path().join("empty")).unwrap();
        assert!(Disk.list(&root.path().join("empty")).unwrap_err().what.ends_with("holds no files"));
    }

    #[test]
    fn digests_tell_files_apart() {
        let root = tree();
        let digests = Disk.digests(root.path()).unwrap();
        assert_eq!(digests.len(), 3);
        assert_eq!(digests[&root.path().join("b.txt").display().to_string()], super::super::digest(b"b.txt"));
    }
}
