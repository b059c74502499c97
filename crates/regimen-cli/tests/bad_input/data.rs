//! Recipes and data files.

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::told::{TEXT, ready, refused, refused_run, rows};
use crate::program::{inside, write};

/// Runs on another file, which must be refused before anything is made.
fn refused_file(dir: &TempDir, file: &str, more: &[&str]) -> String {
    let path = format!("data.mine.path={file}");
    let told = refused_run(dir, &[&["--set", path.as_str()][..], more].concat(), 4);
    assert!(!dir.path().join("runs").exists(), "a run was made of nothing");
    told
}

#[test]
fn a_typo_in_a_key() {
    let dir = ready();
    write(&dir, "bad.toml", &TEXT.replace("batch =", "bacth ="));
    let told = refused_run(&dir, &[], 2);
    assert!(told.contains("has no field `bacth`") && told.contains("did you mean `batch`?"), "{told}");
    assert!(told.contains("bad.toml:23:1"), "file, line and column: {told}");
    write(&dir, "bad.toml", TEXT);
    let told = refused_run(&dir, &["--set", "stage.train.lenght=3st"], 2);
    assert!(told.contains("--set") && told.contains("did you mean `length`?"), "{told}");
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_missing_file() {
    let dir = ready();
    let told = refused_file(&dir, "gone.jsonl", &[]);
    assert!(told.contains("there is no file or folder gone.jsonl"), "{told}");
    let told = refused(inside(&dir, &["run", "gone.toml"]), 2);
    assert!(told.contains("gone.toml"), "{told}");
}

#[test]
fn an_empty_dataset() {
    let dir = ready();
    write(&dir, "empty.jsonl", "");
    write(&dir, "blank.jsonl", "\n\n\n");
    fs::create_dir(dir.path().join("folder")).expect("the folder is ours");
    for file in ["empty.jsonl", "blank.jsonl"] {
        let told = refused_file(&dir, file, &[]);
        assert!(told.contains(&format!("{file}: there are no rows")), "{told}");
    }
    let told = refused_file(&dir, "folder", &[]);
    assert!(told.contains("the folder folder holds no files"), "{told}");
    write(&dir, "blank.txt", "\n \n");
    write(&dir, "bad.toml", &TEXT.replace("\"file\"", "\"text\""));
    let told = refused_file(&dir, "blank.txt", &[]);
    assert!(told.contains("blank.txt: there are no rows"), "{told}");
}

#[test]
fn a_row_without_the_needed_column() {
    let dir = ready();
    write(&dir, "late.jsonl", &format!("{}{{\"txt\":\"x\"}}\n", rows()));
    let told = refused_file(&dir, "late.jsonl", &[]);
    assert!(told.contains("late.jsonl:51: the row has no column `text` (its columns are `txt`)"), "{told}");
    assert!(told.contains("did you mean `txt`?"), "{told}");
    write(&dir, "other.jsonl", "{\"foo\":\"x\"}\n{\"foo\":\"y\"}\n{\"foo\":\"z\"}\n");
    let told = refused_file(&dir, "other.jsonl", &[]);
    assert!(told.contains("other.jsonl:1: ") && told.contains("`foo`"), "{told}");
    // the way out that the message names does lead out
    inside(&dir, &["run", "bad.toml", "--set", "data.mine.path=other.jsonl", "--set", "data.mine.text=foo"])
        .success();
}

#[test]
fn bytes_that_are_not_utf8() {
    let dir = ready();
    fs::write(dir.path().join("latin.jsonl"), b"{\"text\":\"ok\"}\n{\"text\":\"b\xffd\"}\n").expect("ours");
    let told = refused_file(&dir, "latin.jsonl", &[]);
    assert!(told.contains("latin.jsonl:2:11: not UTF-8 (byte 0xff)"), "{told}");
    fs::write(dir.path().join("latin.txt"), b"good\nb\xffd\n").expect("ours");
    write(&dir, "bad.toml", &TEXT.replace("\"file\"", "\"text\""));
    let told = refused_file(&dir, "latin.txt", &[]);
    assert!(told.contains("latin.txt:2:2: not UTF-8 (byte 0xff"), "{told}");
    fs::write(dir.path().join("bad.toml"), b"name = \"b\xffd\"\n").expect("ours");
    let told = refused_run(&dir, &[], 2);
    assert!(told.contains("bad.toml") && told.contains("UTF-8"), "{told}");
}

#[test]
fn a_line_over_the_limit() {
    let dir = ready();
    write(&dir, "long.jsonl", &format!("{}{{\"text\":\"{}\"}}\n", rows(), "x".repeat(5000)));
    let told = refused_file(&dir, "long.jsonl", &["--set", "data.mine.max-line-bytes=1000"]);
    assert!(told.contains("long.jsonl:51: the line is longer than the limit of 1000 bytes"), "{told}");
    assert!(told.contains("raise `max-line-bytes`"), "{told}");
}

/// Trained on when cut up, told when not; neither takes long.
#[test]
fn a_file_with_one_line_of_50_mb() {
    const BYTES: usize = 50_000_000;
    let dir = ready();
    let words = "abcdefghi ".repeat(BYTES / 10);
    let begun = Instant::now();
    write(&dir, "long.jsonl", &format!("{}{{\"text\":\"{words}\"}}\n", rows()));
    let told = refused_file(&dir, "long.jsonl", &["--set", "data.mine.max-line-bytes=10000000"]);
    assert!(told.contains("long.jsonl:51: the line is longer than the limit of 10000000 bytes"), "{told}");
    write(&dir, "long.txt", &words);
    let text = TEXT.replace("\"file\"", "\"text\"").replace("[\"text\"]", "[\"text\", \"chunk\"]");
    write(&dir, "bad.toml", &text);
    inside(&dir, &["run", "bad.toml", "--set", "data.mine.path=long.txt"]).success();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
