//! What must hold of checkpoints when processes are killed, disks are full and files get damaged.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use regimen_base::{Result, State};

use super::atomic::{is_temporary, with_suffix};
use super::fault::{Fault, FaultyDisk};
use super::stage::names_in;
use super::storage::{FileSystem, Storage};
use super::*;
use crate::model::Folder;

fn state(of: u64) -> State {
    State::new().with("step", of).with_array("adam/m", vec![of as f32; 300])
}

fn save(run: &RunDir, step: u64, content: u64, last: bool) -> Result<Checkpoint> {
    let mut saving = run.stage(0, "sft")?.begin(step)?;
    saving.file("config.json", format!("{{\"content\":{content}}}").as_bytes())?;
    saving.stream("reference/model.safetensors", &mut |out| {
        (0..4).try_for_each(|_| out.write_all(&[content as u8; 50]))
    })?;
    saving.state(&state(content))?;
    saving.commit(last)
}

/// What the newest checkpoint holds, after everything in it was verified.
fn newest(run: &RunDir) -> u64 {
    let (stage, checkpoint) = run.newest().unwrap().unwrap();
    assert_eq!((stage.id(), checkpoint.stage()), ("sft", "sft"));
    let content = checkpoint.state().unwrap().take_u64("step").unwrap();
    assert_eq!(checkpoint.state().unwrap(), state(content));
    assert_eq!(checkpoint.read("reference/model.safetensors").unwrap(), [content as u8; 200]);
    content
}

fn is_clean(name: &str) -> bool {
    !is_temporary(name) && name.strip_suffix(".old").is_none()
}

/// Saves `old` on a good disk and then `new` on one with a fault after n operations, for every n; `judge` looks at
/// what is left. Returns how often the old and how often the new one was found.
fn with_every_fault(step: (u64, u64), fault: Fault, judge: impl Fn(&Path, bool) -> u64) -> [usize; 2] {
    let mut found = [0; 2];
    for after in 0.. {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let healthy = Arc::new(FaultyDisk::new(i64::MAX, fault));
        save(&RunDir::create_on(healthy, &path).unwrap(), step.0, 1, false).unwrap();
        let saved = RunDir::open_on(Arc::new(FaultyDisk::new(after, fault)), &path)
            .and_then(|run| save(&run, step.1, 2, false));
        found[judge(&path, saved.is_ok()) as usize - 1] += 1;
        if saved.is_ok() {
            return found;
        }
    }
    unreachable!("the disk gets better at some point")
}

fn after_a_kill(path: &Path, _: bool) -> u64 {
    let run = RunDir::open_on(Arc::new(FaultyDisk::new(i64::MAX, Fault::Kill)), path).unwrap();
    let content = newest(&run);
    let stage = run.stage(0, "sft").unwrap();
    let names = names_in(stage.path()).unwrap();
    assert!(names.iter().all(|n| is_clean(n)), "{names:?}");
    save(&run, 30, 3, false).unwrap();
    assert_eq!(newest(&run), 3, "and the run goes on");
    content
}

#[test]
fn a_kill_at_any_operation_leaves_the_old_or_the_new_checkpoint() {
    let [old, new] = with_every_fault((10, 20), Fault::Kill, after_a_kill);
    assert!(old >= 10 && new >= 2, "{old} kills before and {new} after the commit");
}

#[test]
fn the_same_step_can_be_saved_again() {
    let [old, new] = with_every_fault((10, 10), Fault::Kill, after_a_kill);
    assert!(old >= 10 && new >= 2, "{old} kills before and {new} after the commit");
}

#[test]
fn a_full_disk_loses_nothing_and_leaves_no_litter() {
    for steps in [(10, 20), (10, 10)] {
        with_every_fault(steps, Fault::Error(ErrorKind::StorageFull), |path, saved| {
            let run = RunDir::view(path).unwrap(); // nothing is cleaned up behind the back of the failed save
            let content = newest(&run);
            assert!(!saved || content == 2);
            let names = names_in(run.stages().unwrap()[0].path()).unwrap();
            assert!(names.iter().all(|n| !n.starts_with("checkpoint") || !is_temporary(n)), "{names:?}");
            content
        });
    }
}

#[test]
fn a_full_or_read_only_disk_is_told_with_the_path() {
    let root = tempfile::tempdir().unwrap();
    save(&RunDir::create(root.path()).unwrap(), 10, 1, false).unwrap();
    for (kind, words) in [
        (ErrorKind::StorageFull, "the disk is full"),
        (ErrorKind::ReadOnlyFilesystem, "the disk is read-only"),
        (ErrorKind::PermissionDenied, "permission denied"),
    ] {
        let run = RunDir::open_on(Arc::new(FaultyDisk::new(3, Fault::Error(kind))), root.path()).unwrap();
        let error = save(&run, 20, 2, false).unwrap_err();
        assert!(error.what.contains(words) && error.what.contains("checkpoint-20/config.json"), "{error}");
        assert!(error.remedy.is_some());
    }
    let disk = Arc::new(FaultyDisk::new(0, Fault::Error(ErrorKind::PermissionDenied)));
    let error = RunDir::create_on(disk, &root.path().join("new")).err().unwrap();
    assert!(
        error.what.starts_with("cannot make ") && error.what.ends_with("new: permission denied"),
        "{error}"
    );
}

#[test]
fn a_cut_at_any_byte_of_any_file_is_detected() {
    let root = tempfile::tempdir().unwrap();
    let folder = save(&RunDir::create(root.path()).unwrap(), 10, 1, false).unwrap().folder().to_owned();
    for name in ["COMMITTED", "config.json", "reference/model.safetensors", "state.safetensors"] {
        let whole = fs::read(folder.join(name)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(folder.join(name)).unwrap();
        for length in (0..whole.len()).rev() {
            file.set_len(length as u64).unwrap();
            let error = Checkpoint::open(&folder).unwrap_err();
            assert!(
                error.what.contains("is damaged") && error.what.contains(name),
                "{name} at {length}: {error}"
            );
            assert!(error.remedy.is_some());
        }
        fs::write(folder.join(name), &whole).unwrap();
        Checkpoint::open(&folder).unwrap();
    }
}

#[test]
fn a_checkpoint_that_a_recipe_starts_from_is_compared_as_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    assert!(Origin::find(&run.to_string_lossy()).is_err());
    let run_dir = RunDir::create(&run).unwrap();
    let told = Origin::find(&run.to_string_lossy()).unwrap_err();
    assert!(told.what.contains("has no checkpoint yet"), "{told}");
    save(&run_dir, 10, 1, false).unwrap();
    let folder = save(&run_dir, 20, 2, true).unwrap().folder().to_owned();
    for name in [&run, &folder] {
        let origin = Origin::find(&name.to_string_lossy()).unwrap();
        assert_eq!(origin.path(), folder);
        assert_eq!(origin.read("config.json").unwrap(), b"{\"content\":2}");
        assert!(!origin.has("tokenizer.json") && origin.read("tokenizer.json").is_err());
    }
    let origin = Origin::find(&folder.to_string_lossy()).unwrap();
    let whole = fs::read(folder.join("config.json")).unwrap();
    for length in 0..whole.len() {
        fs::write(folder.join("config.json"), &whole[..length]).unwrap();
        assert!(origin.has("config.json"));
        assert!(origin.read("config.json").unwrap_err().what.contains("not those that were saved"));
        assert!(Origin::find(&run.to_string_lossy()).is_err(), "the newest checkpoint is damaged");
    }
}

#[test]
fn a_changed_bit_is_detected() {
    let root = tempfile::tempdir().unwrap();
    let saved = save(&RunDir::create(root.path()).unwrap(), 10, 1, false).unwrap();
    for name in ["COMMITTED", "state.safetensors"] {
        let path = saved.folder().join(name);
        let whole = fs::read(&path).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            file.rewind().unwrap();
            file.write_all(&bytes).unwrap();
            assert!(Checkpoint::open(saved.folder()).is_err(), "{name}, byte {at}");
            assert!(name == "COMMITTED" || saved.state().is_err(), "also when it happens after opening");
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_file_too_few_or_too_many_is_told() {
    let root = tempfile::tempdir().unwrap();
    let saved = save(&RunDir::create(root.path()).unwrap(), 10, 1, false).unwrap();
    let open = || Checkpoint::open(saved.folder());
    fs::write(saved.folder().join(".DS_Store"), "x").unwrap();
    assert_eq!(open().unwrap().files().count(), 3);
    fs::write(saved.folder().join("reference/extra.bin"), "x").unwrap();
    assert!(open().unwrap_err().what.contains("holds `reference/extra.bin`, which was not saved with it"));
    fs::remove_file(saved.folder().join("reference/extra.bin")).unwrap();
    fs::remove_file(saved.folder().join("config.json")).unwrap();
    assert!(open().unwrap_err().what.ends_with("is damaged: `config.json` is missing"));
    fs::remove_file(saved.folder().join("COMMITTED")).unwrap();
    assert!(open().unwrap_err().what.ends_with("is not a complete checkpoint: it has no COMMITTED"));
}

#[test]
fn a_damaged_newest_checkpoint_stops_the_run_with_a_way_out() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path()).unwrap();
    save(&run, 10, 1, false).unwrap();
    let second = save(&run, 20, 2, false).unwrap();
    fs::write(second.folder().join("config.json"), "{}").unwrap();
    let error = run.newest().err().unwrap();
    assert!(error.what.contains("checkpoint-20") && error.remedy.unwrap().contains("remove its folder"));
    fs::remove_dir_all(second.folder()).unwrap();
    assert_eq!(newest(&run), 1);
}

#[test]
fn what_was_never_committed_does_not_count() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path()).unwrap();
    assert!(run.newest().unwrap().is_none());
    let stage = run.stage(0, "sft").unwrap();
    stage.begin(5).unwrap().file("config.json", b"{}").unwrap();
    assert_eq!(names_in(stage.path()).unwrap(), [""; 0], "a save that was given up cleans up");
    fs::create_dir_all(stage.path().join("checkpoint-7")).unwrap();
    assert!(run.newest().unwrap().is_none());
    run.stage(1, "rl").unwrap();
    save(&run, 3, 3, true).unwrap();
    assert_eq!(newest(&run), 3, "a later stage without a checkpoint does not hide it");
}

#[test]
fn pruning_keeps_the_newest_and_those_that_ended_a_stage() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path()).unwrap();
    for step in [10, 20, 30, 100] {
        save(&run, step, step, step == 20).unwrap();
    }
    let stage = run.stage(0, "sft").unwrap();
    assert_eq!(stage.steps().unwrap(), [10, 20, 30, 100]);
    stage.prune(2).unwrap();
    assert_eq!(stage.steps().unwrap(), [20, 30, 100]);
    stage.prune(0).unwrap();
    assert_eq!(stage.steps().unwrap(), [20, 100], "the newest always stays");
    assert!(stage.checkpoint(20).unwrap().is_last());
}

#[cfg(unix)]
#[test]
fn latest_leads_to_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path()).unwrap();
    for step in [10, 20] {
        save(&run, step, step, false).unwrap();
        let latest = run.stage(0, "sft").unwrap().path().join("latest");
        assert_eq!(Checkpoint::open(&latest).unwrap().step(), step);
    }
}

#[test]
fn equal_checkpoints_are_equal_bytes() {
    let all = |root: &Path| -> BTreeMap<String, Vec<u8>> {
        let folder = save(&RunDir::create(root).unwrap(), 10, 1, true).unwrap().folder().to_owned();
        let names = ["COMMITTED", "config.json", "state.safetensors"];
        names.map(|n| (n.to_owned(), fs::read(folder.join(n)).unwrap())).into()
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(all(one.path()), all(two.path()));
}

#[test]
fn a_record_that_leads_out_of_the_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let secret = root.path().join("secret");
    fs::write(&secret, "x").unwrap();
    let folder = root.path().join("checkpoint-1");
    FileSystem.make_folder(&folder).unwrap();
    let file = commit::FileDigest { blake3: blake3::hash(b"x").to_hex().to_string(), bytes: 1 };
    let record = commit::Commit::new("sft", 1, false, BTreeMap::from([("../secret".to_owned(), file)]));
    fs::write(folder.join("COMMITTED"), record.to_bytes()).unwrap();
    assert!(Checkpoint::open(&folder).unwrap_err().what.contains("COMMITTED was cut off or changed"));
    assert_eq!(with_suffix(&secret, ".old"), root.path().join("secret.old"));
}
