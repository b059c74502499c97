//! Starting the program, and a recipe that takes a second.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::path::Path;
use std::process::Command;

use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// Two stages of a tiny model on sums.
pub const RECIPE: &str = r#"
name = "tiny"
about = "a test"

[model]
kind = "decoder"
width = 32
layers = 1
heads = 2
tied = true
max-positions = 96

[tokenizer]
kind = "char"

[[stage]]
id = "pretrain"
length = "5st"
batch = 4
[stage.stream.text]
data = ["arith"]
sampler = "mix"
transform = ["chat"]
objective = ["cross-entropy"]
[stage.eval]
data = ["arith"]
n = 8

[[stage]]
id = "rl"
length = "2st"
batch = 2
lr = 1e-4
[stage.stream.rl]
data = ["arith"]
sampler = "mix"
rollout = { kind = "group", size = 2, max-new = 8 }
reward = [{ kind = "verifier" }]
advantage = "group-relative"
objective = ["grpo"]
[stage.eval]
data = ["arith"]
n = 8
"#;

/// The program, with the environment that a test may rely on.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regimen"));
    command.args(args).env("RAYON_NUM_THREADS", "1").env_remove("NO_COLOR").env_remove("RUST_BACKTRACE");
    command
}

/// Runs the program to its end.
pub fn regimen(args: &[&str]) -> Assert {
    let dir = tempfile::tempdir().expect("a folder");
    inside(&dir, args)
}

/// Runs the program in `dir`.
pub fn inside(dir: &TempDir, args: &[&str]) -> Assert {
    assert_cmd::Command::from_std(in_folder(dir, args)).assert()
}

/// The program, about to start in `dir`.
pub fn in_folder(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = command(args);
    command.current_dir(dir.path());
    command
}

/// Runs the program in `dir` with this standard input.
pub fn piped(dir: &TempDir, args: &[&str], input: &str) -> Assert {
    assert_cmd::Command::from_std(in_folder(dir, args)).write_stdin(input).assert()
}

/// What it wrote to standard output.
pub fn stdout(assert: Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("text")
}

/// What it wrote to standard error.
pub fn stderr(assert: Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("text")
}

/// Both.
pub fn said(assert: Assert) -> String {
    stderr_and_stdout(&assert)
}

fn stderr_and_stdout(assert: &Assert) -> String {
    let output = assert.get_output();
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

/// Writes a file, and gives its path.
pub fn write(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("the folder is ours");
    path.to_str().expect("a temporary folder has a plain name").to_owned()
}

/// A folder in which [`RECIPE`] has been run.
pub fn trained() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "tiny.toml", RECIPE);
    inside(&dir, &["run", &recipe]).success();
    dir
}

/// All bytes below `folder` that recipe, data and seed decide, by path.
pub fn outcome(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn collect(root: &Path, folder: &Path, files: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let name = path.strip_prefix(root).expect("it is below").to_string_lossy().into_owned();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else if name.contains("checkpoint-")
            || name.ends_with("metrics.jsonl")
            || name.contains("episodes/")
        {
            files.insert(name, std::fs::read(&path).expect("it can be read"));
        }
    }
}
