//! Disks that take no more, or nothing at all. They are mounted, which only root can do.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::told::{ready, refused, refused_run, sound};
use crate::program::{inside, outcome};

/// A disk in memory, gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one, or says why the test is skipped.
    fn at(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("the folder is ours");
        let done = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], path);
        if !done {
            eprintln!("skipped: a disk of a given size cannot be mounted here (that takes root)");
        }
        done.then(|| Self(path.to_owned()))
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "{options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(args: &[&str], path: &Path) -> bool {
    let done = Command::new("mount").args(args).arg(path).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk() {
    let dir = ready();
    let more = ["--set", "stage.train.checkpoint-every=1st", "--set", "stage.train.length=20st"];
    inside(&dir, &[&["run", "bad.toml", "--name", "alone"][..], &more].concat()).success();
    let alone = outcome(&dir.path().join("runs/alone"));
    let mut kept = 0;
    for size in ["60k", "250k", "500k", "800k"] {
        let Some(disk) = Mounted::at(&dir.path().join("disk"), size) else { return };
        let told = refused_run(&dir, &[&["--out", "disk"][..], &more].concat(), 1);
        assert!(told.contains("cannot write disk/bad/") && told.contains("the disk is full"), "{told}");
        assert!(told.contains("free some space") && told.contains("regimen resume"), "{told}");
        let checkpoints = sound(&dir, &disk.0.join("bad"));
        if let Some(last) = checkpoints.iter().map(|c| c.display().to_string()).max() {
            let name = last.split('/').next_back().expect("it has one");
            assert!(
                told.contains(&format!("the last good checkpoint is disk/bad/stages/01-train/{name}")),
                "{told}"
            );
        } else {
            assert!(told.contains("no checkpoint yet"), "{told}");
        }
        kept = kept.max(checkpoints.len());
        disk.remount("size=20m");
        inside(&dir, &["resume", "disk/bad"]).success();
        assert!(alone == outcome(&disk.0.join("bad")), "{size}: it ends in other bytes");
    }
    assert!(kept > 0, "no disk was full behind a checkpoint");
}

#[test]
fn output_that_cannot_be_written() {
    let dir = ready();
    inside(&dir, &["run", "bad.toml"]).success();
    for args in [&["plan", "bad.toml"][..], &["generate", "runs/bad", "--prompt", "a", "--max-new", "2"]] {
        let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let done = crate::program::in_folder(&dir, args).stdout(full).output().expect("it starts");
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: cannot write the output: "), "{told}");
        assert!(told.contains("the disk is full") && told.contains("\n  = "), "{told}");
    }
}

#[test]
fn a_read_only_run_directory() {
    let dir = ready();
    let Some(disk) = Mounted::at(&dir.path().join("disk"), "20m") else { return };
    inside(&dir, &["run", "bad.toml", "--out", "disk"]).success();
    let before = outcome(&disk.0.join("bad"));
    disk.remount("ro");
    for told in [
        refused(inside(&dir, &["resume", "disk/bad"]), 1),
        refused_run(&dir, &["--out", "disk", "--name", "new"], 1),
        refused_run(&dir, &["--out", "disk"], 1),
    ] {
        assert!(told.contains("disk/") && told.contains("the disk is read-only"), "{told}");
        assert!(told.contains("on a disk that can be written"), "{told}");
    }
    // what only reads still works
    inside(&dir, &["generate", "disk/bad", "--prompt", "a", "--max-new", "2"]).success();
    inside(&dir, &["inspect", "disk/bad"]).success();
    assert_eq!(before, outcome(&disk.0.join("bad")));
    assert_eq!(fs::read_dir(&disk.0).expect("it is there").count(), 1, "nothing was added");
}

/// The disk turns read-only while a run is under way, as a failing one does.
#[test]
fn a_disk_that_turns_read_only() {
    let dir = ready();
    let Some(disk) = Mounted::at(&dir.path().join("disk"), "20m") else { return };
    let more = ["--set", "stage.train.checkpoint-every=5st", "--set", "stage.train.length=20st"];
    inside(&dir, &[&["run", "bad.toml", "--name", "alone"][..], &more].concat()).success();
    inside(&dir, &[&["run", "bad.toml", "--out", "disk"][..], &more].concat()).success();
    let stage = disk.0.join("bad/stages/01-train");
    fs::remove_dir_all(stage.join("checkpoint-20")).expect("the folder is ours");
    disk.remount("ro");
    let told = refused(inside(&dir, &["resume", "disk/bad"]), 1);
    assert!(told.contains("the disk is read-only"), "{told}");
    disk.remount("rw");
    inside(&dir, &["resume", "disk/bad"]).success();
    assert!(outcome(&dir.path().join("runs/alone")) == outcome(&disk.0.join("bad")));
}
