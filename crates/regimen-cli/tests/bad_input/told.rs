//! What is asked of every refusal, and of what lies on the disk afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use tempfile::TempDir;

use crate::program::{inside, stderr, write};

/// One stage on rows of `rows.jsonl`, in a model whose context is 96 tokens.
pub const TEXT: &str = r#"
name = "bad"
about = "a test"

[model]
kind = "decoder"
width = 32
layers = 1
heads = 2
tied = true
max-positions = 96

[tokenizer]
kind = "byte"

[data.mine]
kind = "file"
path = "rows.jsonl"

[[stage]]
id = "train"
length = "5st"
batch = 4
[stage.stream.text]
data = ["mine"]
transform = ["text"]
objective = ["cross-entropy"]
"#;

/// A folder with [`TEXT`] as `bad.toml`, and good rows for it.
pub fn ready() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    write(&dir, "bad.toml", TEXT);
    write(&dir, "rows.jsonl", &rows());
    dir
}

/// Rows that can be learnt from.
pub fn rows() -> String {
    (0..50).fold(String::new(), |all, i| all + &format!("{{\"text\":\"row {i} is here\"}}\n"))
}

/// The message of a command that must fail: a single one, with a remedy, about the user's matter and not ours.
pub fn refused(assert: Assert, code: i32) -> String {
    let told = stderr(assert.code(code));
    assert_eq!(told.lines().filter(|l| l.starts_with("error:")).count(), 1, "one message: {told}");
    assert!(told.lines().any(|l| l.trim_start().starts_with("= ")), "a remedy: {told}");
    assert!(!told.contains("panicked") && !told.contains("bug in regimen"), "{told}");
    assert!(!told.contains("os error"), "said in words: {told}");
    told
}

/// Runs `bad.toml` with more arguments, which must fail, and gives the message.
pub fn refused_run(dir: &TempDir, more: &[&str], code: i32) -> String {
    refused(inside(dir, &[&["run", "bad.toml"][..], more].concat()), code)
}

/// Nothing in the run is cut off: no temporary file, every line of every log whole, every checkpoint as it was saved.
pub fn sound(dir: &TempDir, run: &Path) -> Vec<PathBuf> {
    let mut checkpoints = Vec::new();
    look(run, &mut checkpoints);
    for checkpoint in &checkpoints {
        inside(dir, &["inspect", checkpoint.to_str().expect("a plain name")]).success();
    }
    checkpoints
}

fn look(folder: &Path, checkpoints: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("it is there").map(|e| e.expect("it can be read").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        assert!(ending != "tmp" && ending != "old", "left behind: {}", path.display());
        if path.is_symlink() {
            assert!(path.exists(), "{} points nowhere", path.display());
        } else if path.is_dir() {
            if name.starts_with("checkpoint-") {
                checkpoints.push(path.clone());
            }
            look(&path, checkpoints);
        } else if ending == "jsonl" || ending == "json" {
            whole(&path, ending == "jsonl");
        }
    }
}

fn whole(path: &Path, lines: bool) {
    let text = fs::read_to_string(path).expect("text");
    let parts: Vec<&str> = if lines { text.lines().collect() } else { vec![&text] };
    for part in parts {
        let read: Result<serde_json::Value, _> = serde_json::from_str(part);
        assert!(read.is_ok(), "{}: {part}", path.display());
    }
}
