//! Invariant 5: stopped anywhere and resumed, a run ends in the same bytes.

mod support;

use regimen_core::regimen::Outcome;
use support::{Looker, SMALL, assert_same_run, go, resolve, run};

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
            assert_same_run(&whole, &path, &format!("stopped after step {step} of {stage}"));
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
    assert_same_run(&whole, &parts, "stopped after every step");
}

#[test]
fn preferences_are_resumed_exactly() {
    let tmp = tempfile::tempdir().expect("a folder");
    let recipe = support::preferences(tmp.path());
    let whole = tmp.path().join("whole/run");
    run(&recipe, &[], &whole);
    let resolved = resolve(&recipe, &[]);
    for step in 1..6 {
        let path = tmp.path().join(format!("{step}/run"));
        go(&resolved, &path, &mut Looker::stopping_after("dpo", step)).expect("the first part");
        assert_eq!(go(&resolved, &path, &mut Looker::default()).expect("the rest"), Outcome::Complete);
        assert_same_run(&whole, &path, &format!("stopped after step {step}"));
    }
}
