//! README is tested: the recipe that it shows passes `check`, and the verbs that it names exist.

mod program;

use program::{inside, write};

fn readme() -> &'static str {
    include_str!("../../../README.md")
}

#[test]
fn its_recipe_is_sound() {
    let block =
        readme().split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a recipe");
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "sums.toml", block);
    inside(&dir, &["check", &recipe]).success();
    inside(&dir, &["run", &recipe, "--max-steps", "1"]).success();
}

#[test]
fn its_verbs_exist() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = readme().split("## The verbs").nth(1).expect("a table of verbs");
    let verbs = rows.lines().filter(|l| l.starts_with("| `")).flat_map(|l| {
        let cell = l.split('|').nth(1).expect("a first cell");
        cell.split('`').skip(1).step_by(2).map(|v| v.split(' ').next().expect("a verb").to_owned())
    });
    let mut seen = 0;
    for verb in verbs {
        inside(&dir, &[&verb, "--help"]).success();
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} verbs");
}
