//! The arrows between crates and the words that may not occur below `kit`: what ARCHITECTURE.md promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace has a root")
}

/// Direct dependencies of every workspace crate, without those of tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |v: &Value| v.as_str().expect("a name").to_owned();
    let crates = metadata["packages"].as_array().expect("packages");
    let direct = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"])).collect()
    };
    crates.iter().map(|p| (text(&p["name"]), direct(p))).collect()
}

/// What each crate may depend on, of the workspace's own.
const ARROWS: &[(&str, &[&str])] = &[
    ("regimen-base", &[]),
    ("regimen-recipe", &["base"]),
    ("regimen-data", &["base"]),
    ("regimen-stats", &["base"]),
    ("regimen-kernels", &[]),
    ("regimen-nn", &["base", "kernels"]),
    ("regimen-core", &["base", "recipe", "data", "kernels", "nn"]),
    ("regimen-kit", &["base", "recipe", "data", "kernels", "nn", "core"]),
    ("regimen-papers", &["base", "recipe", "data", "stats", "kernels", "nn", "core", "kit"]),
    ("regimen-cli", &["base", "recipe", "data", "stats", "kernels", "nn", "core", "kit", "papers"]),
];

#[test]
fn dependencies_point_down() {
    let all = dependencies();
    for (name, allowed) in ARROWS {
        let direct = all.get(*name).unwrap_or_else(|| panic!("{name} is not in the workspace"));
        for own in direct.iter().filter_map(|d| d.strip_prefix("regimen-")) {
            assert!(allowed.contains(&own), "{name} may not depend on regimen-{own}");
        }
    }
    for name in all.keys() {
        assert!(ARROWS.iter().any(|(known, _)| known == name), "say in ARROWS what {name} may depend on");
    }
}

/// Invariant 12: no paper's code speaks of another paper.
#[test]
fn no_paper_depends_on_a_paper() {
    let papers = root().join("papers");
    let is_paper = |name: &str| {
        let digits = name.get(1..4).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()));
        name.starts_with('p') && digits && name.as_bytes().get(4) == Some(&b'_')
    };
    let names: Vec<String> = fs::read_dir(&papers)
        .expect("a readable folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| is_paper(name))
        .collect();
    assert!(!names.is_empty(), "there are papers");
    for own in &names {
        let mut files = Vec::new();
        sources(&papers.join(own), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("UTF-8");
            let other = names.iter().find(|name| *name != own && text.contains(name.as_str()));
            assert!(other.is_none(), "{} speaks of {other:?}", file.display());
        }
    }
}

#[test]
fn the_tensor_library_stays_in_its_place() {
    let all = dependencies();
    for name in ["regimen-base", "regimen-recipe", "regimen-data", "regimen-stats", "regimen-kernels"] {
        assert!(!all[name].iter().any(|d| d.starts_with("burn")), "{name} may not depend on Burn");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn only_for_tests(file: &Path) -> bool {
    let path = file.to_string_lossy().replace('\\', "/");
    ["tests.rs", "testing.rs", "sample.rs", "fault.rs", "fixtures.rs"].iter().any(|end| path.ends_with(end))
        || path.contains("/tests/")
}

fn each_line(crates: &[&str], mut see: impl FnMut(&Path, usize, &str)) {
    for name in crates {
        let mut files = Vec::new();
        sources(&root().join("crates").join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "{name} has no sources");
        for file in files.iter().filter(|f| !only_for_tests(f)) {
            let text = fs::read_to_string(file).expect("UTF-8");
            for (i, line) in text.lines().enumerate() {
                see(file, i + 1, line);
            }
        }
    }
}

/// Invariant 1: below `kit` no code names a method. Comments may say what something is for.
#[test]
fn the_engine_names_no_method() {
    const METHODS: &[&str] = &["grpo", "dapo", "gspo", "dpo", "ppo", "rloo", "reinforce", "orpo", "simpo"];
    let crates =
        ["regimen-base", "regimen-data", "regimen-stats", "regimen-kernels", "regimen-nn", "regimen-core"];
    let mut found = Vec::new();
    each_line(&crates, |file, number, line| {
        let code = line.split("//").next().unwrap_or_default().to_lowercase();
        let words = code.split(|c: char| !c.is_alphanumeric());
        if words.clone().any(|w| METHODS.contains(&w)) {
            found.push(format!("{}:{number}: {line}", file.display()));
        }
    });
    assert!(found.is_empty(), "methods belong into kit:\n{}", found.join("\n"));
}

/// Invariants 2 and 3: files, clocks, network and environment belong to the command line and the run directory.
#[test]
fn the_world_is_touched_in_one_place() {
    const WORLD: &[&str] = &[
        "std::fs",
        "Instant::now",
        "SystemTime::now",
        "std::net",
        "std::env::",
        "File::open",
        "Command::new",
    ];
    let crates = [
        "regimen-base",
        "regimen-recipe",
        "regimen-data",
        "regimen-stats",
        "regimen-kernels",
        "regimen-nn",
        "regimen-core",
        "regimen-kit",
    ];
    let mut found = Vec::new();
    each_line(&crates, |file, number, line| {
        let path = file.to_string_lossy().replace('\\', "/");
        let allowed = path.contains("regimen-core/src/run/")
            || path.ends_with("tests.rs")
            || path.contains("/tests/")
            || path.ends_with("testing.rs");
        let code = line.split("//").next().unwrap_or_default();
        if !allowed && WORLD.iter().any(|w| code.contains(w)) {
            found.push(format!("{}:{number}: {}", file.display(), line.trim()));
        }
    });
    assert!(
        found.is_empty(),
        "only the command line and core's run directory touch the world:\n{}",
        found.join("\n")
    );
}

/// Invariant 4: no random generator but the keyed one.
#[test]
fn every_draw_comes_from_a_key() {
    let random = ["rand", "rand_chacha", "fastrand", "oorandom", "getrandom"];
    for (name, direct) in dependencies() {
        assert!(
            !direct.iter().any(|d| random.contains(&d.as_str())),
            "{name} has a random generator of its own"
        );
    }
}

/// Invariant 11: nothing here can read a pickle.
#[test]
fn nothing_is_unpickled() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    let crates = lock.lines().filter_map(|line| line.strip_prefix("name = "));
    let readers: Vec<&str> = crates.filter(|name| name.contains("pickle")).collect();
    assert!(readers.is_empty(), "these read pickles: {readers:?}");
}
