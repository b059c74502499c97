//! `regimen bench`: what it measures and what it refuses; how fast it is is no test.

mod program;

use program::{regimen, stderr, stdout};
use serde_json::Value;

#[test]
fn every_measurement_is_there_and_losses_are_those_of_pytorch() {
    let text = stdout(regimen(&["bench", "--size", "xs", "--steps", "11", "--json"]).success());
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let rows = report["rows"].as_array().expect("a list");
    let works: Vec<&str> = rows.iter().filter_map(|row| row["bench"].as_str()).collect();
    assert_eq!(works, ["train", "pair", "decode", "sft", "dpo", "grpo", "limit"]);
    let train = &report["summary"][0];
    assert!(train["tok_s"].as_f64() > Some(0.0) && train["of_products"].as_f64() > Some(0.0), "{train}");
    for (step, loss) in [("0", 4.172_252), ("10", 4.176_954)] {
        let got = train["loss"][step].as_f64().expect("a number");
        assert!((got - loss).abs() < 2e-5, "step {step}: {got} is not {loss}");
    }
}

#[test]
fn what_is_missing_is_told_before_anything_is_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = stderr(program::inside(&dir, &["bench", "--models", "none"]).code(2));
    assert!(error.contains("none/xs/model.safetensors") && error.contains("\n  = "), "{error}");
    let models = dir.path().join("models/xs");
    std::fs::create_dir_all(&models).expect("the folder is ours");
    std::fs::write(models.join("model.safetensors"), b"").expect("the folder is ours");
    let peer = ["bench", "--size", "xs", "--models", "models", "--peer", "python3"];
    let error = stderr(program::inside(&dir, &peer).code(2));
    assert!(error.contains("there is no bench/peer_train.py") && error.contains("--peer-scripts"), "{error}");
    regimen(&["bench", "--peer", "python3"]).code(2);
    regimen(&["bench", "--size", "huge"]).code(2);
}
