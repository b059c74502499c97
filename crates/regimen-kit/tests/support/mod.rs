//! Runs small recipes into temporary folders.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regimen_base::Result;
use regimen_core::evaluate::SetResult;
use regimen_core::regimen::{Observer, Outcome, Regimen};
use regimen_core::run::{Cache, RunDir};
use regimen_core::stage::Progress;
use regimen_data::{Files, InMemory, Parts};
use regimen_nn::Device;
use regimen_recipe::{Choice, Recipe, Resolved};

/// The file system, for tests.
pub struct Folder;

impl Files for Folder {
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        Ok(vec![path.to_owned()])
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|e| regimen_base::Error::failed(format!("{}: {e}", path.display())))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Parts>> {
        InMemory::new().with(path, self.read(path)?).open(path)
    }
}

/// Looks on, keeps every reading, and asks for an end after a step where told to.
#[derive(Default)]
pub struct Looker {
    pub stop_after: Option<(String, u64)>,
    pub readings: Vec<(String, u64, BTreeMap<String, f64>)>,
    pub results: Vec<(String, Vec<SetResult>)>,
    stop: bool,
}

impl Looker {
    pub fn stopping_after(stage: &str, step: u64) -> Self {
        Self { stop_after: Some((stage.to_owned(), step)), ..Self::default() }
    }

    pub fn losses(&self) -> Vec<f64> {
        self.readings.iter().map(|(_, _, r)| r["loss"]).collect()
    }
}

impl Observer for Looker {
    fn stage(&mut self, _: &str, _: u64, _: u64, _: u64) {}

    fn step(&mut self, progress: &Progress, _: f64) {
        self.readings.push((progress.stage.to_owned(), progress.step, progress.readings.clone()));
        self.stop |=
            self.stop_after.as_ref().is_some_and(|(s, n)| s == progress.stage && *n == progress.step);
    }

    fn evaluated(&mut self, stage: &str, results: &[SetResult]) {
        self.results.push((stage.to_owned(), results.to_vec()));
    }

    fn note(&mut self, _: &str) {}

    fn interrupted(&self) -> bool {
        self.stop
    }
}

/// Resolves a recipe's text.
pub fn resolve(text: &str, sets: &[&str]) -> Resolved {
    let loader = |_: &str| Ok(text.to_owned());
    let recipe = Recipe::read("test.toml", &loader).unwrap_or_else(|r| panic!("{}", r.render(false)));
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    let choice = Choice { arm: None, sets: &sets };
    recipe
        .resolve(&regimen_kit::registry().catalogue(), &choice)
        .unwrap_or_else(|r| panic!("{}", r.render(false)))
}

/// Runs (or resumes) a recipe in `path`, on the device that the recipe names.
pub fn go(resolved: &Resolved, path: &Path, looker: &mut Looker) -> Result<Outcome> {
    go_with(resolved, path, None, looker)
}

/// The same with a cache of stage outputs.
pub fn go_with(
    resolved: &Resolved,
    path: &Path,
    cache: Option<&Cache>,
    looker: &mut Looker,
) -> Result<Outcome> {
    let dir = if path.exists() { RunDir::open(path)? } else { RunDir::create(path)? };
    let registry = regimen_kit::registry();
    let device = Device::by_name(resolved.root().str("device"))?;
    Regimen {
        resolved,
        registry: &registry,
        files: &Folder,
        device: &device,
        dir: &dir,
        cache,
        observer: looker,
    }
    .run()
}

/// Runs a recipe from beginning to end.
pub fn run(text: &str, sets: &[&str], path: &Path) -> Looker {
    let mut looker = Looker::default();
    let outcome = go(&resolve(text, sets), path, &mut looker).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(outcome, Outcome::Complete);
    looker
}

/// Every file below `root` whose bytes must not depend on interruptions, with its bytes.
pub fn exact_files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            let measured = ["perf.jsonl", "events.jsonl", "manifest.json", "report.html", "lock"];
            if path.is_symlink() || name.contains("/tb/") || measured.iter().any(|m| name.ends_with(m)) {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, into);
            } else {
                into.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(root, root, &mut files);
    files
}

/// Holds two runs against each other, byte by byte.
pub fn assert_same_run(left: &Path, right: &Path, what: &str) {
    let [left, right] = [left, right].map(final_files);
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{what}: other files");
    for (name, bytes) in &left {
        assert!(bytes == &right[name], "{what}: {name} differs");
    }
}

/// [`exact_files`] without the checkpoints on the way: the extra one of an interruption may push another one out, so
/// what counts is what is left at the end.
fn final_files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = exact_files(run);
    files.retain(|name, _| {
        let parts: Vec<&str> = name.split('/').collect();
        let [.., stage, checkpoint, _] = parts[..] else { return true };
        let latest = fs::read_link(run.join("stages").join(stage).join("latest"));
        !checkpoint.starts_with("checkpoint-") || latest.is_ok_and(|latest| latest == Path::new(checkpoint))
    });
    files
}

/// The final weights of a stage.
pub fn last_weights(run: &Path, stage: usize, id: &str) -> Vec<u8> {
    let folder = run.join(format!("stages/{stage:02}-{id}/latest/model.safetensors"));
    fs::read(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

/// A regimen of all stage kinds, small enough for a test: seconds for the whole of it.
pub const SMALL: &str = r#"
name = "small"
seed = 5
tokenizer = "char"
[model]
kind = "decoder"
width = 32
layers = 2
heads = 2
kv-heads = 1
tied = true
max-positions = 128
[[stage]]
id = "pretrain"
length = "8st"
batch = 6
lr = 3e-3
checkpoint-every = 3
[stage.stream.text]
data = [{ kind = "arith", take = 40 }, { kind = "chain-arith", weight = 2.0 }]
sampler = "mix"
transform = ["chat"]
objective = ["cross-entropy"]
[[stage]]
id = "sft"
length = "6st"
batch = 4
lr = 1e-3
schedule = { kind = "cosine", warmup = 2 }
checkpoint-every = 4
eval = { data = [{ kind = "arith" }], n = 6, sampling = { kind = "group", size = 1, temperature = 0.0, max-new = 12 } }
[stage.stream.worked]
data = [{ kind = "arith", solution = "short", take = 10 }]
transform = ["chat", "train-on-reply"]
objective = ["cross-entropy"]
[stage.controller.cool]
kind = "anneal"
knob = "lr"
from = 1e-3
to = 1e-4
[[stage]]
id = "rl"
length = "7st"
batch = 3
lr = 1e-3
checkpoint-every = 2
cast.reference = { from = "sft" }
[stage.stream.rl]
data = [{ kind = "arith" }, { kind = "knights-knaves" }]
sampler = "mix"
rollout = { kind = "group", size = 4, max-new = 16, inner-steps = 2 }
reward = [{ kind = "verifier" }, { kind = "format", weight = 0.3 }, { kind = "overlong", longest = 16, cache = 8, weight = 0.2 }]
advantage = "group-relative"
objective = [{ kind = "grpo", reduce = "per-unit" }, { kind = "kl", to = "reference", coef = 0.02 }, { kind = "entropy", coef = 0.001 }]
"#;

/// DPO on a file of preferences, after a stage of SFT on its chosen side. `{path}` is the file.
pub const PREFERENCES: &str = r#"
name = "preferences"
seed = 3
tokenizer = "byte"
model = { kind = "decoder", width = 16, layers = 1, heads = 2, max-positions = 64 }
[[stage]]
id = "dpo"
length = "6st"
batch = 3
lr = 3e-3
checkpoint-every = 2
cast.reference = {}
[stage.stream.pairs]
data = { kind = "file", path = "{path}", eval = 0.0 }
transform = ["chat"]
objective = ["dpo"]
"#;

/// A file of eight preferences in `folder`, and the recipe that trains on it.
pub fn preferences(folder: &Path) -> String {
    let row = |i: u32| {
        let (good, bad) = ("yes, ".repeat(1 + i as usize % 3), "no. ".repeat(1 + i as usize % 2));
        format!(r#"{{"prompt": "Is {i} a number?", "chosen": "{good}it is", "rejected": "{bad}"}}"#)
    };
    let rows: Vec<String> = (0..8).map(row).collect();
    let path = folder.join("preferences.jsonl");
    fs::write(&path, rows.join("\n")).expect("written");
    PREFERENCES.replace("{path}", &path.display().to_string())
}
