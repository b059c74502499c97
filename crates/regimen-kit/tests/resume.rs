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

/// A stream of tasks for a net of numbers, with all that has state around it.
const NUMBERS: &str = r#"
seed = 3

[model]
kind = "mlp"
inputs = 64
hidden = [12]
outputs = 10

[[stage]]
id = "tasks"
length = "9st"
batch = 8
lr = 0.05
optimizer = { kind = "sgd", momentum = 0.9 }
update = { kind = "si", every = 3, strength = 0.5 }
checkpoint-every = "4st"
eval-every = "3st"
eval = { n = 10, data = [{ kind = "digits", permutation = 1 }] }
[stage.stream.digits]
data = [{ kind = "digits", permutation = 1, take = 30 }, { kind = "digits", permutation = 2, take = 20 }]
sampler = { kind = "phases", draws = 36, old = 0.5, recency = "power", keep = 5, views = 2 }
transform = [{ kind = "augment", views = 2 }]
objective = ["cross-entropy", { kind = "view-consistency", coef = 0.5 }]

[[stage]]
id = "more"
length = "5st"
batch = 6
freeze = "layers.0.*"
update = { kind = "ewc", every = 2, window = 1 }
[stage.stream.digits]
data = { kind = "digits", take = 17 }
objective = "cross-entropy"
path = 0
compare-paths = 1
memory = { size = 4, chance = 0.5, recall = 2 }
"#;

#[test]
fn nets_of_numbers_are_resumed_exactly() {
    let tmp = tempfile::tempdir().expect("a folder");
    let whole = tmp.path().join("whole/run");
    run(NUMBERS, &[], &whole);
    let resolved = resolve(NUMBERS, &[]);
    for (stage, steps) in [("tasks", 1..9), ("more", 1..5)] {
        for step in steps {
            let path = tmp.path().join(format!("{stage}-{step}/run"));
            go(&resolved, &path, &mut Looker::stopping_after(stage, step)).expect("the first part");
            assert_eq!(go(&resolved, &path, &mut Looker::default()).expect("the rest"), Outcome::Complete);
            assert_same_run(&whole, &path, &format!("stopped after step {step} of {stage}"));
        }
    }
}

/// What is frozen stays, and a batch that is cut gives the same weights.
#[test]
fn nets_of_numbers_keep_the_invariants() {
    let tmp = tempfile::tempdir().expect("a folder");
    let weights = |name: &str, sets: &[&str]| {
        let path = tmp.path().join(name).join("run");
        run(NUMBERS, sets, &path);
        (support::last_weights(&path, 1, "tasks"), support::last_weights(&path, 2, "more"))
    };
    let (first, second) = weights("whole", &[]);
    let layer = |bytes: &[u8], name: &str| {
        let file = safetensors::SafeTensors::deserialize(bytes).expect("weights");
        file.tensor(name).expect("it is there").data().to_vec()
    };
    assert_eq!(layer(&first, "layers.0.weight"), layer(&second, "layers.0.weight"));
    assert!(layer(&first, "layers.1.weight") != layer(&second, "layers.1.weight"));
    let cut = weights("cut", &["stage.tasks.micro-batch-tokens=2", "stage.more.micro-batch-tokens=1"]);
    assert!(cut == (first, second), "micro-batches of two rows give other weights");
}
