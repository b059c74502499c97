//! Sequences longer than the context.

use super::told::{TEXT, ready, refused, refused_run, rows};
use crate::program::{RECIPE, inside, outcome, piped, write};

#[test]
fn in_the_training_data() {
    let dir = ready();
    write(&dir, "rows.jsonl", &format!("{{\"text\":\"{}\"}}\n", "x".repeat(300)).repeat(5));
    let told = refused_run(&dir, &[], 4);
    assert!(told.contains("rows.jsonl") && told.contains("302 tokens, the context is 96"), "{told}");
    assert!(
        told.contains("max-length") && told.contains("chunk") && told.contains("max-positions"),
        "{told}"
    );
    // each way out that the message names does lead out
    for (number, transform) in
        ["\"chunk\"", "{ kind = \"max-length\", over = \"truncate\" }"].iter().enumerate()
    {
        write(&dir, "cut.toml", &TEXT.replace("[\"text\"]", &format!("[\"text\", {transform}]")));
        inside(&dir, &["run", "cut.toml", "--name", &format!("cut-{number}")]).success();
    }
    inside(&dir, &["run", "bad.toml", "--set", "model.max-positions=400", "--name", "wide"]).success();
}

/// A rare row is found before the first step.
#[test]
fn in_one_late_row() {
    let dir = ready();
    write(&dir, "rows.jsonl", &format!("{}{{\"text\":\"{}\"}}\n", rows(), "x".repeat(300)));
    let told = refused_run(&dir, &["--set", "stage.train.length=50st"], 4);
    assert!(told.contains("rows.jsonl") && told.contains("302 tokens, the context is 96"), "{told}");
}

#[test]
fn all_dropped_by_max_length() {
    let dir = ready();
    write(&dir, "rows.jsonl", &format!("{{\"text\":\"{}\"}}\n", "x".repeat(300)).repeat(5));
    write(&dir, "bad.toml", &TEXT.replace("[\"text\"]", "[\"text\", \"max-length\"]"));
    let told = refused_run(&dir, &[], 4);
    assert!(told.contains("5 of 5 rows looked at are dropped: too long (100 %)"), "{told}");
}

#[test]
fn in_a_prompt() {
    let dir = ready();
    inside(&dir, &["run", "bad.toml"]).success();
    let before = outcome(&dir.path().join("runs/bad"));
    let long = "a".repeat(200);
    for told in [
        refused(inside(&dir, &["generate", "runs/bad", "--prompt", &long]), 4),
        refused(inside(&dir, &["generate", "runs/bad", "--prompt", &long, "--n", "3", "--json"]), 4),
        refused(piped(&dir, &["chat", "runs/bad"], &format!("{long}\n")), 4),
    ] {
        assert!(told.contains("the prompt has 20") && told.contains("the model's context is 96"), "{told}");
        assert!(told.contains("shorten the prompt"), "{told}");
    }
    assert_eq!(before, outcome(&dir.path().join("runs/bad")));
}

#[test]
fn in_the_prompts_of_a_rollout() {
    let dir = ready();
    write(&dir, "rl.toml", &RECIPE.replace("max-positions = 96", "max-positions = 8"));
    let told = refused(inside(&dir, &["run", "rl.toml"]), 4);
    assert!(told.contains("context is 8") || told.contains("max-positions"), "{told}");
}
