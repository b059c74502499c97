//! Invariant 5 for every kind in the tables: stopped in the middle and resumed, a run ends in the same bytes. The test
//! walks the catalogue, so a new piece is covered at once; a room that it does not know yet fails it.

mod support;

use std::fs;
use std::path::Path;

use regimen_core::regimen::Outcome;
use regimen_recipe::{KindSpec, Room};
use support::{Looker, assert_same_run, go, resolve, run};

/// Both kinds of stream, and a place for every room.
const HOST: &str = r#"
name = "host"
seed = 11
tokenizer = "char"
model = { kind = "decoder", width = 16, layers = 1, heads = 2, max-positions = 512 }
[data]
kind = "text"
path = "{folder}/text.txt"
[[stage]]
id = "main"
length = "4st"
batch = 3
lr = 1e-3
checkpoint-every = 3
cast.reference = {}
probe-at = [1, 3]
[stage.stream.sft]
data = "arith"
transform = ["chat", "train-on-reply"]
objective = ["cross-entropy"]
[stage.stream.rl]
batch = 2
data = "arith"
rollout = { kind = "group", size = 2, max-new = 8 }
reward = ["verifier"]
advantage = "group-relative"
objective = ["grpo"]
"#;

/// The host of a kind. What is decoded cannot be clamped, so a controller of clamps has no rollout beside it.
fn host(kind: &KindSpec) -> String {
    match kind.name {
        "clamp" => {
            let (data, _) = HOST.split_once("[stage.stream.rl]").expect("it has a rollout");
            let clamp = r#"clamp.previous = { site = "blocks.0.attn.pattern", value = { kind = "back" } }"#;
            data.replace("probe-at", &format!("{clamp}\nprobe-at"))
        }
        _ => HOST.to_owned(),
    }
}

/// A stream of numbers, for kinds that belong to nets that read no tokens.
const NUMBERS: &str = r#"
name = "host"
seed = 11
[model]
kind = "mlp"
inputs = 64
hidden = [8]
outputs = 10
[[stage]]
id = "main"
length = "4st"
batch = 3
lr = 1e-2
checkpoint-every = 3
[stage.stream.sft]
data = [{ kind = "digits", permutation = 1, take = 20 }, { kind = "digits", permutation = 2, take = 20 }]
objective = ["cross-entropy"]
"#;

/// Where such a kind stands in [`NUMBERS`]; none for all others.
fn of_numbers(kind: &KindSpec) -> Option<Vec<String>> {
    let it = kind.example;
    let set = |path: &str, value: &str| format!("{path}={value}");
    let stream = |path: &str, value: &str| set(&format!("stage.main.stream.sft.{path}"), value);
    match (kind.room, kind.name) {
        (Room::Arch, "mlp") => Some(vec![set("model", it)]),
        (Room::Task, "digits") => Some(vec![stream("data", it)]),
        (Room::Transform, "augment") => Some(vec![stream("transform", &format!("[{it}]"))]),
        (Room::Sampler, "phases") => Some(vec![stream("sampler", it), stream("sampler.draws", "6")]),
        (Room::Objective, "squared-error") => Some(vec![stream("objective", &format!("[{it}]"))]),
        (Room::Objective, "view-consistency") => Some(vec![
            stream("objective", &format!("[\"cross-entropy\", {it}]")),
            stream("sampler", "{ kind = \"phases\", draws = 6, views = 3 }"),
            stream("transform", "[\"augment\"]"),
        ]),
        (Room::Update, "ewc" | "si") => {
            Some(vec![set("stage.main.update", it), set("stage.main.update.every", "2")])
        }
        _ => None,
    }
}

/// What puts the kind into its place in [`HOST`].
fn sets(kind: &KindSpec, folder: &str) -> Vec<String> {
    let named = format!("{{ kind = {:?} }}", kind.name);
    let it = if kind.example.is_empty() { named.as_str() } else { kind.example };
    let set = |path: &str, value: &str| format!("{path}={value}");
    let stage = |path: &str, value: &str| set(&format!("stage.main.{path}"), value);
    let text = || stage("stream.sft.data", "\"data\"");
    match (kind.room, kind.name) {
        (Room::Arch, _) => vec![set("model", it)],
        (Room::Tokenizer, "file") => {
            vec![set("tokenizer", &format!("{{ kind = \"file\", path = \"{folder}/tokenizer.json\" }}"))]
        }
        (Room::Tokenizer, "bpe") => vec![
            set("tokenizer", "{ kind = \"bpe\", vocab-size = 300 }"),
            text(),
            stage("stream.sft.transform", "[\"text\"]"),
        ],
        (Room::Tokenizer, _) => vec![set("tokenizer", it)],
        (Room::Task, _) => vec![stage("stream.sft.data", it)],
        (Room::Data, "text") => vec![text(), stage("stream.sft.transform", "[\"text\"]")],
        (Room::Data, _) => vec![stage(
            "stream.sft.data",
            &format!("{{ kind = {:?}, path = \"{folder}/rows.jsonl\", eval = 0.0 }}", kind.name),
        )],
        (Room::Transform, "chat") => vec![stage("stream.sft.transform", &format!("[{it}]"))],
        (Room::Transform, "text") => vec![text(), stage("stream.sft.transform", &format!("[{it}]"))],
        (Room::Transform, "chunk") => {
            vec![text(), stage("stream.sft.transform", &format!("[\"text\", {it}]"))]
        }
        (Room::Transform, _) => vec![stage("stream.sft.transform", &format!("[\"chat\", {it}]"))],
        (Room::Sampler, _) => vec![stage("stream.sft.sampler", it)],
        (Room::Objective, "cross-entropy") => vec![stage("stream.sft.objective", &format!("[{it}]"))],
        (Room::Objective, "dpo") => vec![
            stage(
                "stream.sft.data",
                &format!("{{ kind = \"file\", path = \"{folder}/pairs.jsonl\", eval = 0.0 }}"),
            ),
            stage("stream.sft.transform", "[\"chat\"]"),
            stage("stream.sft.objective", &format!("[{it}]")),
        ],
        (Room::Objective, "grpo") => vec![stage("stream.rl.objective", &format!("[{it}]"))],
        (Room::Objective, _) => vec![stage("stream.rl.objective", &format!("[\"grpo\", {it}]"))],
        (Room::Reward, "program") => {
            let answer = r#"while read -r line; do echo '{\"rewards\": [1, 0]}'; done"#;
            vec![stage(
                "stream.rl.reward",
                &format!("[{{ kind = \"program\", command = [\"sh\", \"-c\", \"{answer}\"] }}]"),
            )]
        }
        (Room::Reward, _) => vec![stage("stream.rl.reward", &format!("[\"verifier\", {it}]"))],
        (Room::Rollout, _) => vec![stage("stream.rl.rollout", it), stage("stream.rl.rollout.max-new", "12")],
        (Room::Advantage, _) => vec![stage("stream.rl.advantage", it)],
        (Room::Update, _) => vec![stage("update", it)],
        (Room::Optimizer, _) => vec![stage("optimizer", it)],
        (Room::Schedule, _) => vec![stage("schedule", it)],
        (Room::Probe, _) => vec![stage("probe.it", it)],
        (Room::Controller, _) => vec![stage("controller.it", it)],
        (room, name) => panic!("say where `{name}` of the room {room:?} stands in a recipe"),
    }
}

fn material(folder: &Path) {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("written");
    let lines = |line: &dyn Fn(u32) -> String| (0..12).map(line).collect::<Vec<_>>().join("\n");
    write("text.txt", lines(&|i| format!("line {i} of a text\n\nwith {} paragraphs", i * 3)));
    write("rows.jsonl", lines(&|i| format!(r#"{{"prompt": "{i}+1=", "completion": "{}"}}"#, i + 1)));
    write(
        "pairs.jsonl",
        lines(&|i| format!(r#"{{"prompt": "{i}?", "chosen": "yes", "rejected": "no {i}"}}"#)),
    );
    for (name, bytes) in regimen_data::Tokenizer::byte().expect("it needs nothing").files() {
        fs::write(folder.join(name), bytes).expect("written");
    }
}

#[test]
fn stopped_and_resumed_every_kind_ends_in_the_same_bytes() {
    let tmp = tempfile::tempdir().expect("a folder");
    material(tmp.path());
    let folder = tmp.path().display().to_string();
    let catalogue = regimen_kit::registry().catalogue();
    for kind in catalogue.all().iter().filter(|kind| kind.room != Room::Claim) {
        let host = host(kind).replace("{folder}", &folder);
        let (host, sets) = match of_numbers(kind) {
            Some(sets) => (NUMBERS, sets),
            None => (host.as_str(), sets(kind, &folder)),
        };
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let at = tmp.path().join(kind.topic());
        let (whole, parts) = (at.join("whole/run"), at.join("parts/run"));
        run(host, &sets, &whole);
        let resolved = resolve(host, &sets);
        let first = go(&resolved, &parts, &mut Looker::stopping_after("main", 2)).expect("the first part");
        assert_eq!(first, Outcome::Interrupted, "{}", kind.topic());
        assert_eq!(go(&resolved, &parts, &mut Looker::default()).expect("the rest"), Outcome::Complete);
        assert_same_run(&whole, &parts, &kind.topic());
        fs::remove_dir_all(&at).expect("removed");
    }
}
