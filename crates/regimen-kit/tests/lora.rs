//! Stages that train adapters beside frozen weights.

mod support;

use std::path::Path;

use regimen_core::model::Model;
use regimen_core::regimen::Outcome;
use regimen_core::run::{Checkpoint, RunDir};
use regimen_nn::hf::Hold;
use regimen_nn::{Arch, Device, Shape};
use support::{Looker, SMALL, exact_files, go, resolve, run};

const SETS: [&str; 5] = [
    "stage.sft.lora.r=4",
    "stage.sft.lora.targets=all-linear",
    "stage.rl.lora.r=3",
    "stage.rl.lora.rslora=true",
    "stage.rl.lora.targets=[\"q_proj\", \"v_proj\"]",
];

fn newest(run: &Path, stage: &str) -> Checkpoint {
    let stages = RunDir::view(run).expect("a run").stages().expect("stages");
    let stage = stages.into_iter().find(|s| s.id() == stage).expect("the stage");
    stage.newest().expect("readable").expect("a checkpoint")
}

fn model(checkpoint: &Checkpoint) -> Model {
    Model::read(checkpoint, &Device::cpu(), Hold::Full).expect("a model")
}

/// The weights without adapters.
fn base(model: &Model) -> &[f32] {
    let len = Arch::Decoder(Shape { lora: None, ..model.shape().expect("a decoder").clone() }).layout().len();
    &model.net.params().flat()[..len]
}

#[test]
fn frozen_weights_stay_and_the_sampler_agrees() {
    let tmp = tempfile::tempdir().expect("a folder");
    let path = tmp.path().join("run");
    let looker = run(SMALL, &SETS, &path);
    let gaps: Vec<f64> = looker
        .readings
        .iter()
        .filter_map(|(_, _, r)| r.get("sampling/sampling_logp_difference/max").copied())
        .collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|&g| g == 0.0), "{gaps:?}");
    let (before, sft) = (model(&newest(&path, "pretrain")), model(&newest(&path, "sft")));
    assert!(base(&before) == base(&sft), "what is frozen keeps every bit");
    let adapters = &sft.net.params().flat()[base(&sft).len()..];
    assert!(adapters.iter().any(|w| *w != 0.0));
    // the next stage's adapters are others: these were merged first
    let merged = sft.merged().expect("sound");
    let rl = model(&newest(&path, "rl"));
    assert!(base(&merged) == base(&rl));
    assert_eq!(rl.shape().expect("a decoder").lora.map(|l| (l.rank, l.targets.iter().count())), Some((3, 2)));
}

#[test]
fn only_adapters_have_moments() {
    let tmp = tempfile::tempdir().expect("a folder");
    let path = tmp.path().join("run");
    run(SMALL, &SETS, &path);
    let checkpoint = newest(&path, "sft");
    let state = checkpoint.state().expect("a state");
    let moments: Vec<&String> = state.arrays.keys().filter(|name| name.contains("first/")).collect();
    assert!(!moments.is_empty() && moments.iter().all(|name| name.contains(".lora_")), "{moments:?}");
}

#[test]
fn a_stopped_run_ends_in_the_same_bytes() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (tmp.path().join("a/run"), tmp.path().join("b/run"));
    run(SMALL, &SETS, &whole);
    let resolved = resolve(SMALL, &SETS);
    for (stage, step) in [("sft", 1), ("sft", 3), ("rl", 2), ("rl", 5)] {
        go(&resolved, &parts, &mut Looker::stopping_after(stage, step)).expect("a part");
    }
    assert_eq!(go(&resolved, &parts, &mut Looker::default()).expect("the rest"), Outcome::Complete);
    for stage in ["sft", "rl"] {
        let (a, b) = (newest(&whole, stage), newest(&parts, stage));
        let (a, b) = (exact_files(a.folder()), exact_files(b.folder()));
        assert!(a.keys().eq(b.keys()), "{stage}: other files");
        for (name, bytes) in &a {
            assert!(bytes == &b[name], "{stage}: {name} differs");
        }
    }
}

#[test]
fn a_target_that_is_not_there_is_told() {
    let tmp = tempfile::tempdir().expect("a folder");
    let resolved = resolve(SMALL, &["stage.sft.lora.targets=c_attn"]);
    let error =
        go(&resolved, &tmp.path().join("run"), &mut Looker::default()).expect_err("no such projection");
    assert!(error.what.contains("no projection `c_attn`"), "{}", error.what);
    assert!(error.remedy.is_some_and(|r| r.contains("q_proj") && r.contains("all-linear")));
}
