//! Invariant 5: stopped anywhere and resumed, a run ends in the same bytes.

mod support;

use std::fs;

use regimen_core::regimen::Outcome;
use support::{Looker, SMALL, exact_files, go, resolve, run};

fn same(left: &std::path::Path, right: &std::path::Path, what: &str) {
    let (left, right) = (exact_files(left), exact_files(right));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{what}: other files");
    for (name, bytes) in &left {
        assert!(bytes == &right[name], "{what}: {name} differs");
    }
}

#[test]
fn stopped_at_every_step_of_every_stage() {
    let tmp = tempfile::tempdir().expect("a folder");
    let whole = tmp.path().join("whole/run");
    run(SMALL, &[], &whole);
    let resolved = resolve(SMALL, &[]);
    for (stage, steps) in [("pretrain", 1..8), ("sft", 1..6), ("rl", 1..7)] {
        for step in steps {
            let path = tmp.path().join(format!("{stage}-{step}/run"));
            let first =
                go(&resolved, &path, &mut Looker::stopping_after(stage, step)).expect("the first part");
            assert_eq!(first, Outcome::Interrupted, "{stage} {step}");
            let second = go(&resolved, &path, &mut Looker::default()).expect("the second part");
            assert_eq!(second, Outcome::Complete);
            // the extra checkpoint of the interruption may push another one out; what counts is what is left at the end
            drop_intermediate(&path);
            let reference = tmp.path().join("reference");
            if !reference.exists() {
                copy(&whole, &reference);
                drop_intermediate(&reference);
            }
            same(&reference, &path, &format!("stopped after step {step} of {stage}"));
        }
    }
}

#[test]
fn stopped_after_every_single_step() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (tmp.path().join("a/run"), tmp.path().join("b/run"));
    run(SMALL, &[], &whole);
    let resolved = resolve(SMALL, &[]);
    for (stage, steps) in [("pretrain", 1..8), ("sft", 1..6), ("rl", 1..7)] {
        for step in steps {
            go(&resolved, &parts, &mut Looker::stopping_after(stage, step)).expect("a part");
        }
    }
    assert_eq!(go(&resolved, &parts, &mut Looker::default()).expect("the rest"), Outcome::Complete);
    drop_intermediate(&whole);
    drop_intermediate(&parts);
    same(&whole, &parts, "stopped after every step");
}

#[test]
fn preferences_are_resumed_exactly() {
    let tmp = tempfile::tempdir().expect("a folder");
    let recipe = support::preferences(tmp.path());
    let whole = tmp.path().join("whole/run");
    run(&recipe, &[], &whole);
    drop_intermediate(&whole);
    let resolved = resolve(&recipe, &[]);
    for step in 1..6 {
        let path = tmp.path().join(format!("{step}/run"));
        go(&resolved, &path, &mut Looker::stopping_after("dpo", step)).expect("the first part");
        assert_eq!(go(&resolved, &path, &mut Looker::default()).expect("the rest"), Outcome::Complete);
        drop_intermediate(&path);
        same(&whole, &path, &format!("stopped after step {step}"));
    }
}

/// Removes every checkpoint of a stage but the one that `latest` names.
fn drop_intermediate(run: &std::path::Path) {
    for stage in fs::read_dir(run.join("stages")).expect("stages") {
        let stage = stage.expect("an entry").path();
        let latest = fs::read_link(stage.join("latest")).expect("a pointer to the latest");
        for entry in fs::read_dir(&stage).expect("a stage").map(|e| e.expect("an entry").path()) {
            let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
            if name.starts_with("checkpoint-") && std::path::Path::new(&name) != latest {
                fs::remove_dir_all(&entry).expect("removed");
            }
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&entry).expect("a link"), target).expect("linked");
        } else if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}
