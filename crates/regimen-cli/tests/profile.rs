//! `--profile`: it tells where the time went, and changes nothing.

mod program;

use program::{RECIPE, inside, outcome, stderr, write};
use serde_json::Value;

#[test]
fn a_profiled_run_is_the_same_run_with_a_table_and_a_trace() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "tiny.toml", RECIPE);
    inside(&dir, &["run", &recipe, "--name", "alone"]).success();
    let told =
        stderr(inside(&dir, &["run", &recipe, "--name", "watched", "--profile", "--threads", "2"]).success());
    assert_eq!(outcome(&dir.path().join("runs/alone")), outcome(&dir.path().join("runs/watched")));
    for word in
        ["phase", "pretrain", "forward", "backward", "update", "products", "attention", "sample", "evaluate"]
    {
        assert!(told.contains(word), "no `{word}` in\n{told}");
    }
    let text = std::fs::read_to_string(dir.path().join("runs/watched/profile.json")).expect("it is written");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    let count = |name: &str| events.iter().filter(|e| e["name"] == name && e["ph"] == "X").count();
    assert_eq!((count("backward"), count("update"), count("checkpoint"), count("reward")), (7, 7, 2, 2));
    assert!(!dir.path().join("runs/alone/profile.json").exists());
}
