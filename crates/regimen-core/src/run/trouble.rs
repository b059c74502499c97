//! What a user hears when the disk does not do what it should.

use std::io::{self, ErrorKind};
use std::path::Path;

use regimen_base::Error;

/// The error for a failed `doing` (a verb: "write", "read") at `path`.
pub(super) fn cannot(doing: &str, path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::failed(format!("cannot {doing} {shown}: the disk is full")).remedy(
                "free some space and go on with `regimen resume`; what was saved before is complete and still there",
            )
        }
        ErrorKind::ReadOnlyFilesystem => Error::failed(format!("cannot {doing} {shown}: the disk is read-only"))
            .remedy("choose a run directory on a disk that can be written"),
        ErrorKind::PermissionDenied => Error::failed(format!("cannot {doing} {shown}: permission denied"))
            .remedy("give yourself access to it (chmod, chown), or choose another place"),
        ErrorKind::NotFound => Error::failed(format!("cannot {doing} {shown}: it does not exist"))
            .remedy("check the path, and that nothing else moved or removed it"),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            Error::failed(format!("cannot {doing} {shown}: a file is where a folder should be"))
                .remedy("move that file away, or choose another place")
        }
        _ => Error::failed(format!("cannot {doing} {shown}: {error}")),
    }
}

/// Says which `doing` at which path failed.
pub(super) trait Told<T> {
    fn told(self, doing: &str, path: &Path) -> regimen_base::Result<T>;
}

impl<T> Told<T> for io::Result<T> {
    fn told(self, doing: &str, path: &Path) -> regimen_base::Result<T> {
        self.map_err(|e| cannot(doing, path, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_names_the_path_and_a_remedy() {
        for kind in [
            ErrorKind::StorageFull,
            ErrorKind::QuotaExceeded,
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
        ] {
            let e = cannot("write", Path::new("runs/a/manifest.json"), &io::Error::from(kind));
            assert!(e.what.starts_with("cannot write runs/a/manifest.json: "), "{}", e.what);
            assert!(e.remedy.is_some(), "{kind:?}");
        }
    }
}
