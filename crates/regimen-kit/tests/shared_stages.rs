//! Runs that have stages in common share their outputs, and end in the same bytes as without.

mod support;

use std::path::Path;

use regimen_core::regimen::Outcome;
use regimen_core::run::Cache;
use support::{Looker, SMALL, exact_files, go_with, resolve, run};

fn trained(cache: &Cache, path: &Path, sets: &[&str]) -> Vec<String> {
    let mut looker = Looker::default();
    let outcome = go_with(&resolve(SMALL, sets), path, Some(cache), &mut looker).expect("a run");
    assert_eq!(outcome, Outcome::Complete);
    let mut stages: Vec<String> = looker.readings.into_iter().map(|(stage, ..)| stage).collect();
    stages.dedup();
    stages
}

#[test]
fn what_does_not_differ_is_made_once() {
    let tmp = tempfile::tempdir().expect("a folder");
    let cache = Cache::new(&tmp.path().join("cache"));
    let at = |name: &str| tmp.path().join(name).join("run");
    assert_eq!(trained(&cache, &at("first"), &[]), ["pretrain", "sft", "rl"]);
    assert_eq!(trained(&cache, &at("again"), &[]), [""; 0], "all of it is there");
    assert_eq!(trained(&cache, &at("rl"), &["stage.rl.lr=2e-3"]), ["rl"]);
    assert_eq!(trained(&cache, &at("sft"), &["stage.sft.batch=5"]), ["sft", "rl"]);
    assert_eq!(trained(&cache, &at("seed"), &["seed=6"]), ["pretrain", "sft", "rl"]);
    assert_eq!(trained(&cache, &at("model"), &["model.width=16"]), ["pretrain", "sft", "rl"]);
    let alone = tmp.path().join("alone/run");
    run(SMALL, &["stage.rl.lr=2e-3"], &alone);
    let (alone, shared) = (exact_files(&alone), exact_files(&at("rl")));
    assert_eq!(alone.keys().collect::<Vec<_>>(), shared.keys().collect::<Vec<_>>());
    for (name, bytes) in &alone {
        assert!(bytes == &shared[name], "{name} differs");
    }
}
