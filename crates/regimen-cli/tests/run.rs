//! Runs from beginning to end, stopped, resumed, and looked at.

mod program;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use program::{RECIPE, in_folder, inside, outcome, piped, said, stderr, stdout, trained, write};

#[test]
fn a_recipe_runs_and_leaves_what_was_promised() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "tiny.toml", RECIPE);
    let done = inside(&dir, &["run", &recipe]).success();
    let (told, shown) = (stderr(done), stdout(inside(&dir, &["resume", "runs/tiny"]).success()));
    assert!(told.contains("runs/tiny: 2 stages"), "{told}");
    assert!(told.contains("pretrain: step 5/5 · loss ") && told.contains("rl: step 2/2 · reward "), "{told}");
    assert!(!told.contains('\x1b'), "no colour into a pipe: {told}");
    assert!(
        shown.contains("after pretrain") && shown.contains("after rl") && shown.contains("arith"),
        "{shown}"
    );
    assert!(shown.contains("regimen chat runs/tiny"), "{shown}");
    for file in [
        "recipe.resolved.toml",
        "manifest.json",
        "report.html",
        "stages/02-rl/checkpoint-2/model.safetensors",
    ] {
        assert!(dir.path().join("runs/tiny").join(file).is_file(), "{file} is missing");
    }
}

#[test]
fn a_net_of_numbers_is_not_asked_to_speak() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(
        &dir,
        "numbers.toml",
        r#"
name = "numbers"
model = { kind = "mlp", inputs = 64, hidden = [8], outputs = 10 }
[[stage]]
id = "digits"
length = "2st"
batch = 4
[stage.stream.digits]
data = { kind = "digits", take = 8 }
sampler = { kind = "phases", draws = 8 }
objective = "cross-entropy"
"#,
    );
    let shown = stdout(inside(&dir, &["run", &recipe]).success());
    assert!(shown.contains("regimen inspect runs/numbers") && !shown.contains("generate"), "{shown}");
    let told = stderr(inside(&dir, &["generate", "runs/numbers", "--prompt", "a"]).code(2));
    assert!(told.contains("reads numbers, not text"), "{told}");
}

#[test]
fn a_second_run_goes_beside_the_first_and_a_given_name_does_not() {
    let dir = trained();
    let recipe = dir.path().join("tiny.toml");
    let recipe = recipe.to_str().expect("plain");
    let told = stderr(inside(&dir, &["run", recipe]).success());
    assert!(told.contains("runs/tiny holds a complete run; this one goes to runs/tiny-2"), "{told}");
    let told = stderr(inside(&dir, &["run", recipe, "--name", "tiny"]).code(2));
    assert!(told.starts_with("error: runs/tiny holds a complete run\n  = "), "{told}");
    assert_eq!(outcome(&dir.path().join("runs/tiny")), outcome(&dir.path().join("runs/tiny-2")));
    inside(&dir, &["run", recipe, "--seed", "1", "--name", "other", "--out", "elsewhere", "--threads", "2"])
        .success();
    assert_ne!(outcome(&dir.path().join("runs/tiny")), outcome(&dir.path().join("elsewhere/other")));
}

/// Waits until the run has metrics of so many steps.
fn wait_for_steps(dir: &tempfile::TempDir, steps: usize) {
    let metrics = dir.path().join("runs/long/stages/01-pretrain/metrics.jsonl");
    let begun = Instant::now();
    while std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < steps {
        assert!(begun.elapsed() < Duration::from_mins(1), "no step after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn signal(name: &str, pid: u32) {
    let sent =
        std::process::Command::new("kill").args([name, &pid.to_string()]).status().expect("kill is there");
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_or_killed_ends_as_if_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = RECIPE
        .replace("\"tiny\"", "\"long\"")
        .replace("5st", "400st")
        .replace("batch = 4", "batch = 2\ncheckpoint-every = 20");
    let recipe = write(&dir, "long.toml", &long);
    inside(&dir, &["run", &recipe, "--name", "alone"]).success();
    for (name, code) in [("-INT", Some(130)), ("-TERM", Some(143)), ("-KILL", None)] {
        let mut child = in_folder(&dir, &["run", &recipe])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_for_steps(&dir, 30);
        signal(name, child.id());
        let told: Vec<String> =
            BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("it ends").code(), code, "{name}: {told:?}");
        if code.is_some() {
            assert!(told.iter().any(|l| l.contains("stopping after this step")), "{told:?}");
            assert!(told.iter().any(|l| l.contains("`regimen resume runs/long` goes on")), "{told:?}");
        }
        let listed = stdout(inside(&dir, &["ls"]).success());
        let status = if code.is_some() { "stopped" } else { "killed" };
        assert!(listed.lines().any(|l| l.starts_with("runs/long ") && l.contains(status)), "{listed}");
        let told = stderr(inside(&dir, &["resume", "runs/long"]).success());
        assert!(told.contains("going on from step "), "{told}");
        let (alone, resumed) =
            (outcome(&dir.path().join("runs/alone")), outcome(&dir.path().join("runs/long")));
        assert!(alone.keys().eq(resumed.keys()), "{:?} and {:?}", alone.keys(), resumed.keys());
        for (file, bytes) in &alone {
            assert!(resumed[file] == *bytes, "{name}: {file} differs");
        }
        std::fs::remove_dir_all(dir.path().join("runs/long")).expect("it is ours");
    }
}

/// An evaluation may be longer than the training before it: Ctrl-C is heard inside it, and `resume` begins it again.
#[cfg(unix)]
#[test]
fn an_evaluation_is_stopped_and_made_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = RECIPE.replace("\"tiny\"", "\"long\"").replacen("n = 8", "n = 4000", 1);
    let recipe = write(&dir, "long.toml", &long);
    inside(&dir, &["run", &recipe, "--name", "alone"]).success();
    let mut child = in_folder(&dir, &["run", &recipe])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let trained = dir.path().join("runs/long/stages/01-pretrain/checkpoint-5/COMMITTED");
    let begun = Instant::now();
    while !trained.exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no checkpoint after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal("-INT", child.id());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let results = dir.path().join("runs/long/stages/01-pretrain/eval.json");
    assert!(!results.exists(), "a part of an evaluation is none");
    inside(&dir, &["resume", "runs/long"]).success();
    let read = |path: &std::path::Path| std::fs::read(path).expect("results");
    assert_eq!(read(&results), read(&dir.path().join("runs/alone/stages/01-pretrain/eval.json")));
}

/// `seeds` makes a run of each, and the second time goes on with what is not complete.
#[test]
fn several_seeds_are_run_one_after_the_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "tiny.toml", &format!("seeds = [3, 4]\n{RECIPE}"));
    inside(&dir, &["run", &recipe]).success();
    let run = |seed: u32| dir.path().join(format!("runs/tiny-seed{seed}"));
    assert_ne!(outcome(&run(3)), outcome(&run(4)));
    let alone = write(&dir, "alone.toml", RECIPE);
    inside(&dir, &["run", &alone, "--seed", "4", "--name", "alone"]).success();
    assert_eq!(outcome(&run(4)), outcome(&dir.path().join("runs/alone")));
    std::fs::remove_dir_all(run(4)).expect("it is ours");
    let told = stderr(inside(&dir, &["run", &recipe]).success());
    assert!(
        told.contains("runs/tiny-seed3 is complete") && told.contains("runs/tiny-seed4: 2 stages"),
        "{told}"
    );
    let told = stderr(inside(&dir, &["run", &recipe, "--set", "seeds=[1, 1]"]).code(2));
    assert!(told.contains("`seeds` has 1 twice"), "{told}");
    inside(&dir, &["run", &recipe, "--seed", "9", "--name", "nine"]).success();
    assert!(dir.path().join("runs/nine/stages").is_dir(), "a seed that is chosen is the only one");
}

#[cfg(unix)]
#[test]
fn two_processes_do_not_share_a_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "long.toml", &RECIPE.replace("\"tiny\"", "\"long\"").replace("5st", "4000st"));
    let mut child = in_folder(&dir, &["run", &recipe])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_for_steps(&dir, 1);
    let told = stderr(inside(&dir, &["resume", "runs/long"]).code(1));
    let listed = stdout(inside(&dir, &["ls"]).success());
    signal("-KILL", child.id());
    child.wait().expect("it ends");
    assert!(told.contains(&format!("in use by process {}", child.id())), "{told}");
    assert!(listed.contains("running"), "{listed}");
}

#[test]
fn a_rate_that_diverges_is_told_with_its_step() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe =
        write(&dir, "tiny.toml", &RECIPE.replace("length = \"5st\"", "length = \"200st\"\nlr = 1e30"));
    let told = stderr(inside(&dir, &["run", &recipe]).code(1));
    assert!(
        told.contains("stage `pretrain`") && told.contains("at step ") && told.contains("\n  = lower `lr`"),
        "{told}"
    );
}

#[test]
fn a_model_writes() {
    let dir = trained();
    let one = |seed: &str| {
        stdout(
            inside(&dir, &["generate", "runs/tiny", "--prompt", "1+1=", "--max-new", "6", "--seed", seed])
                .success(),
        )
    };
    assert_eq!(one("0"), one("0"), "the same seed writes the same text");
    assert_ne!(one("0"), one("1"));
    let all = stdout(
        inside(
            &dir,
            &[
                "generate",
                "runs/tiny",
                "--prompt",
                "1+1=",
                "--prompt",
                "2+2=",
                "--n",
                "3",
                "--max-new",
                "6",
                "--json",
            ],
        )
        .success(),
    );
    let rows: Vec<serde_json::Value> = all.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(rows.len(), 6);
    assert_eq!((&rows[0]["prompt"], &rows[5]["prompt"]), (&"1+1=".into(), &"2+2=".into()));
    for row in &rows {
        let (tokens, logprobs) =
            (row["tokens"].as_array().expect("a list"), row["logprobs"].as_array().expect("a list"));
        assert!(!tokens.is_empty() && tokens.len() <= 6 && tokens.len() == logprobs.len(), "{row}");
    }
    assert_ne!(rows[0]["completion"], rows[1]["completion"], "completions of one prompt differ");
    // alone or among others, streamed or not, a request gets the same tokens
    assert_eq!(rows[0]["completion"].as_str().expect("text"), one("0").strip_suffix('\n').expect("a line"));
    let raw = stdout(
        inside(&dir, &["generate", "runs/tiny", "--prompt", "1+1=", "--max-new", "6", "--raw"]).success(),
    );
    assert_ne!(raw, one("0"), "without the template it is another question");
    let piped_in = stdout(
        piped(&dir, &["generate", "runs/tiny", "--prompt", "-", "--max-new", "6"], "1+1=\n").success(),
    );
    assert_eq!(piped_in, one("0"));
    let told =
        stderr(inside(&dir, &["generate", "runs/tiny", "--prompt", "1", "--temperature", "-1"]).code(2));
    assert!(told.contains("`--temperature -1` is out of range"), "{told}");
    let told = stderr(inside(&dir, &["generate", "runs/tiny", "--prompt", "ü"]).code(4));
    assert!(told.contains("'ü'"), "{told}");
}

#[test]
fn a_checkpoint_is_chosen_by_stage_and_step() {
    let dir = trained();
    let write = |more: &[&str]| {
        let args = [&["generate", "runs/tiny", "--prompt", "1+1=", "--max-new", "8"][..], more].concat();
        stdout(inside(&dir, &args).success())
    };
    let folder = "runs/tiny/stages/01-pretrain/checkpoint-5";
    let direct = stdout(inside(&dir, &["generate", folder, "--prompt", "1+1=", "--max-new", "8"]).success());
    assert_eq!(direct, write(&["--stage", "pretrain"]));
    assert_eq!(direct, write(&["--stage", "pretrain", "--step", "5"]));
    assert_eq!(write(&[]), write(&["--stage", "rl"]));
    let told = stderr(inside(&dir, &["chat", "runs/tiny", "--stage", "pretran"]).code(2));
    assert!(told.contains("did you mean `pretrain`?"), "{told}");
    let told = stderr(inside(&dir, &["chat", "runs/tiny", "--step", "3"]).code(2));
    assert!(told.contains("no checkpoint of step 3") && told.contains("steps 2"), "{told}");
    let told = stderr(inside(&dir, &["chat", "tiny"]).code(2));
    assert!(told.contains("did you mean `runs/tiny`?"), "{told}");
}

#[test]
fn a_conversation_through_a_pipe() {
    let dir = trained();
    let talk = |input: &str| stdout(piped(&dir, &["chat", "runs/tiny", "--max-new", "6"], input).success());
    let first = talk("1+1=\n");
    assert_eq!(first.lines().count(), 1, "one reply: {first:?}");
    let both = talk("1+1=\n/reset\n1+1=\n/quit\n3+3=\n");
    assert_eq!(both, format!("{first}{first}"), "a reset forgets, and nothing follows /quit");
    let told = stderr(piped(&dir, &["chat", "runs/tiny"], "ü\n").code(4));
    assert!(told.contains("'ü'"), "{told}");
}

#[test]
fn a_model_is_measured() {
    let dir = trained();
    let text = stdout(inside(&dir, &["eval", "runs/tiny", "--by-difficulty"]).success());
    assert!(text.contains("arith") && text.contains("95 % interval") && text.contains("level"), "{text}");
    let json = stdout(
        inside(
            &dir,
            &[
                "eval",
                "runs/tiny",
                "--data",
                "arith",
                "--data",
                "{ kind = 'arith', worked = 0.0 }",
                "--n",
                "5",
                "--json",
            ],
        )
        .success(),
    );
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let sets = json["sets"].as_array().expect("a list");
    assert_eq!(
        sets.iter().map(|s| s["name"].as_str().expect("a name")).collect::<Vec<_>>(),
        ["arith", "arith-2"]
    );
    assert!(
        sets.iter().all(|s| s["replies"]["n"] == 5 && s["interval"].as_array().is_some_and(|i| i.len() == 2)),
        "{json}"
    );
    let rows = write(&dir, "test.jsonl", "{\"text\": \"1+1=2\"}\n{\"text\": \"2+2=4\"}\n");
    let json = stdout(inside(&dir, &["eval", "runs/tiny", "--data", &rows, "--json"]).success());
    assert!(json.contains("bits_per_byte") && !json.contains("\"bits_per_byte\": null"), "{json}");
    let told = stderr(inside(&dir, &["eval", "runs/tiny", "--data", "arth"]).code(2));
    assert!(told.contains("did you mean `arith`?"), "{told}");
    let told = stderr(inside(&dir, &["eval", "runs/tiny", "--data", "gone.jsonl"]).code(4));
    assert!(told.contains("gone.jsonl"), "{told}");
}

#[test]
fn a_checkpoint_is_looked_into_and_damage_is_found() {
    let dir = trained();
    let text = stdout(inside(&dir, &["inspect", "runs/tiny"]).success());
    assert!(
        text.contains("model.embed_tokens.weight") && text.contains("rl, step 2, the stage's last"),
        "{text}"
    );
    assert!(text.contains("not finite  none") && text.contains("blake3:"), "{text}");
    let json = stdout(inside(&dir, &["inspect", "runs/tiny", "--json"]).success());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["config"]["hidden_size"], 32);

    let checkpoint = dir.path().join("runs/tiny/stages/02-rl/checkpoint-2");
    let weights = std::fs::read(checkpoint.join("model.safetensors")).expect("it is there");
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).expect("the folder is ours");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(checkpoint.join(file), copy.join(file)).expect("it is there");
    }
    let mut broken = weights.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(copy.join("model.safetensors"), &broken).expect("the folder is ours");
    let told = said(inside(&dir, &["inspect", "copy"]).code(4));
    assert!(told.contains("are not finite") && told.contains("--step"), "{told}");
    let told = stderr(inside(&dir, &["generate", "copy", "--prompt", "1"]).code(4));
    assert!(told.contains("model.safetensors"), "{told}");
    std::fs::write(copy.join("model.safetensors"), &weights[..end / 2]).expect("the folder is ours");
    let told = stderr(inside(&dir, &["inspect", "copy"]).code(4));
    assert!(told.contains("is truncated"), "{told}");
    std::fs::write(checkpoint.join("model.safetensors"), &broken).expect("the folder is ours");
    for args in [&["inspect", "runs/tiny"][..], &["chat", "runs/tiny"], &["eval", "runs/tiny"]] {
        let told = stderr(inside(&dir, args).failure());
        assert!(told.contains("model.safetensors") && told.contains("\n  = "), "{args:?}: {told}");
    }
}

/// The plan's figure is what refuses a run, so it has to be near the truth.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_that_was_planned_is_the_memory_that_is_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let wide = RECIPE.replace("width = 32", "width = 128").replace("layers = 1", "layers = 4");
    let wide =
        wide.replace("batch = 4", "batch = 400").replace("5st", "2st").replace("batch = 2", "batch = 64");
    let recipe = write(&dir, "tiny.toml", &wide);
    let plan = stdout(inside(&dir, &["plan", &recipe]).success());
    let planned = plan.split("memory: needs ").nth(1).and_then(|rest| rest.split(" MiB").next());
    let planned: f64 = planned.and_then(|mib| mib.parse().ok()).expect("a number of MiB");
    inside(&dir, &["run", &recipe]).success();
    let manifest = std::fs::read(dir.path().join("runs/tiny/manifest.json")).expect("it is there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let stages = manifest["stages"].as_array().expect("a list");
    let used =
        stages.iter().filter_map(|s| s["peak_bytes"].as_f64()).fold(0.0, f64::max) / f64::from(1 << 20);
    assert!((0.6..1.6).contains(&(used / planned)), "planned {planned} MiB, used {used} MiB");
}

#[test]
fn a_plan_says_what_a_run_takes() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = write(&dir, "tiny.toml", RECIPE);
    let text = stdout(inside(&dir, &["plan", &recipe, "--set", "stage.rl.lr=5e-4"]).success());
    assert!(
        text.contains("# --set") && text.contains("tiny.toml:") && text.contains("# default"),
        "origins: {text}"
    );
    assert!(
        text.contains("2. rl trains from `pretrain`") && text.contains("parameters") && text.contains("FLOP"),
        "{text}"
    );
    assert!(!dir.path().join("runs").exists());
    let toml = stdout(inside(&dir, &["plan", &recipe, "--toml"]).success());
    let again = write(&dir, "again.toml", &toml);
    inside(&dir, &["check", &recipe]).success().stdout(format!("{recipe} is sound: 2 stages\n"));
    inside(&dir, &["run", &again, "--name", "again"]).success();
}
