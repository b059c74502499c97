//! Known bugs of other trainers (`historical_bugs/*/bug.toml`, each with the thread it comes from): the preflight finds
//! every one of them, and says nothing about its healthy twin.

mod program;

use std::path::{Path, PathBuf};
use std::process::Output;

use program::command;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/historical_bugs");
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let mut cases: Vec<PathBuf> = entries.map(|e| e.expect("it can be read").path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    cases
}

fn check(case: &Path, recipe: &str) -> Output {
    command(&["check", recipe]).current_dir(case).output().expect("the program starts")
}

/// What the head of a bug says: `# expect: double-bos`.
fn told(recipe: &str, what: &str) -> String {
    let start = format!("# {what}: ");
    let line = recipe.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no line `{start}`")).to_owned()
}

#[test]
fn the_preflight_finds_every_known_bug_and_no_other() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().expect("a folder has a name").to_string_lossy();
        let recipe = std::fs::read_to_string(case.join("bug.toml")).expect("a case has a bug");
        let bug = check(case, "bug.toml");
        let said = String::from_utf8_lossy(&bug.stderr);
        let (expected, exit) = (told(&recipe, "expect"), told(&recipe, "exit"));
        let found = said.contains(&format!("({expected})")) || (exit == "2" && said.contains(&expected));
        if !found || bug.status.code().map(|c| c.to_string()).as_deref() != Some(&exit) {
            wrong.push(format!(
                "{name}: expected {expected}, exit {exit}; got {:?}:\n{said}",
                bug.status.code()
            ));
        }
        let healthy = check(case, "healthy.toml");
        let said = String::from_utf8_lossy(&healthy.stderr);
        if !healthy.status.success() || !said.is_empty() {
            wrong.push(format!("{name}: the healthy twin ends with {:?}:\n{said}", healthy.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The message names the row, the cause and the remedy.
#[test]
fn a_finding_names_row_cause_and_remedy() {
    let case =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/historical_bugs/14b-template-without-an-end");
    let said = String::from_utf8_lossy(&check(&case, "bug.toml").stderr).into_owned();
    assert!(said.contains("stage `sft`, stream `rows`: rows.jsonl:1: the reply ends in"), "{said}");
    assert!(said.contains("\n  = let the chat template write the end-of-turn token"), "{said}");
    assert!(said.contains("the preflight found 1 error"), "{said}");
}
