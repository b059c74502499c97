//! `export` and `merge`: what is written for other programs, and a real model from a GGUF file.

mod program;

use std::path::Path;

use program::{RECIPE, inside, regimen, stderr, stdout};
use tempfile::TempDir;

/// A run of one stage with adapters.
fn trained() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = RECIPE.split("[[stage]]\nid = \"rl\"").next().expect("two stages");
    let recipe = recipe.replace("kind = \"char\"", "kind = \"byte\"").replace("width = 32", "width = 64");
    let recipe = recipe.replace(
        "batch = 4\n",
        "batch = 4\nlr = 1e-2\nlora = { r = 4, targets = [\"q_proj\", \"down_proj\"] }\n",
    );
    std::fs::write(dir.path().join("tiny.toml"), recipe).expect("written");
    inside(&dir, &["run", "tiny.toml", "--out", "runs"]).success();
    dir
}

/// How far the logits were apart.
fn difference(told: &str) -> f64 {
    let number = told.split("differ by ").nth(1).and_then(|rest| rest.split(' ').next());
    number.expect("it says how far").parse().expect("a number")
}

#[test]
fn every_format_reads_back_what_it_wrote() {
    let dir = trained();
    let export = |to: &str, out: &str, more: &[&str]| {
        let args = [&["export", "runs/tiny", "--to", to, "--out", out][..], more].concat();
        difference(&stderr(inside(&dir, &args).success()))
    };
    assert!(export("hf", "hf", &[]) < 1e-4);
    assert!(export("gguf", "f16.gguf", &[]) < 0.02);
    assert!(export("gguf", "q8.gguf", &["--type", "q8_0"]) < 0.2);
    assert!(difference(&stderr(inside(&dir, &["merge", "runs/tiny", "--out", "merged"]).success())) < 1e-4);
    // the adapters belong to a model that was made here, not to one with a place of its own
    let told = stderr(inside(&dir, &["export", "runs/tiny", "--to", "peft", "--out", "peft"]).success());
    assert!(told.contains("was not read back"), "{told}");
    for (path, family) in
        [("hf", "LlamaForCausalLM"), ("f16.gguf", "LlamaForCausalLM"), ("runs/tiny", "lora_A")]
    {
        let told = stdout(inside(&dir, &["inspect", path]).success());
        assert!(told.contains(family), "{path}: {told}");
    }
    let again = inside(&dir, &["export", "runs/tiny", "--to", "hf", "--out", "hf"]).code(2);
    assert!(stderr(again).contains("exists already"));
    let none = inside(&dir, &["merge", "hf", "--out", "twice"]).code(2);
    assert!(stderr(none).contains("no adapters to merge"));
}

/// Needs SmolLM2-135M-Instruct: `scripts/fetch-smollm2 FOLDER`, then REGIMEN_SMOLLM2=FOLDER.
#[test]
fn a_real_model_answers() {
    let Some(folder) = std::env::var_os("REGIMEN_SMOLLM2") else {
        eprintln!("skipped: REGIMEN_SMOLLM2 does not name the folder that scripts/fetch-smollm2 filled");
        return;
    };
    let path = Path::new(&folder).join("SmolLM2-135M-Instruct.Q4_1.gguf");
    let path = path.to_str().expect("UTF-8");
    let prompt = "What is the capital of France?";
    let args = ["generate", path, "--prompt", prompt, "--max-new", "16", "--temperature", "0"];
    assert_eq!(stdout(regimen(&args).success()).trim(), "The capital of France is Paris.");
}
