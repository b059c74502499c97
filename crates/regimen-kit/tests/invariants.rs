//! What must hold of every run, whatever its recipe.

mod support;

use regimen_kernels::Team;
use support::{SMALL, exact_files, last_weights, run};

/// Invariant 7: on the CPU the sampler's log-probs are the trainer's, bit for bit.
#[test]
fn sampler_and_trainer_agree_exactly() {
    let tmp = tempfile::tempdir().expect("a folder");
    let looker = run(SMALL, &[], &tmp.path().join("run"));
    let gaps: Vec<f64> = looker
        .readings
        .iter()
        .filter_map(|(_, _, r)| r.get("sampling/sampling_logp_difference/max").copied())
        .collect();
    assert_eq!(gaps.len(), 4, "seven steps, two on each rollout");
    assert!(gaps.iter().all(|&g| g == 0.0), "{gaps:?}");
    let ratios = looker.readings.iter().filter(|(s, step, _)| s == "rl" && step % 2 == 1);
    for (_, step, r) in ratios {
        assert_eq!(r["sampling/importance_sampling_ratio/max"], 1.0, "step {step}");
        assert_eq!(r["sampling/importance_sampling_ratio/min"], 1.0, "step {step}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let tmp = tempfile::tempdir().expect("a folder");
    let run_with = |threads: usize| {
        let path = tmp.path().join(format!("{threads}/run"));
        let team = Team::new(threads).expect("threads");
        team.install(|| run(SMALL, &[], &path));
        exact_files(&path)
    };
    let one = run_with(1);
    for threads in [2, 3] {
        let other = run_with(threads);
        for (name, bytes) in &one {
            assert!(bytes == &other[name], "{name} differs between 1 and {threads} threads");
        }
    }
}

/// Accumulation 1×8 = 8×1, bit for bit: the cut into micro-batches changes nothing.
#[test]
fn the_cut_into_micro_batches_changes_nothing() {
    let tmp = tempfile::tempdir().expect("a folder");
    let sets = |cap: u32| ["pretrain", "sft", "rl"].map(|s| format!("stage.{s}.micro-batch-tokens={cap}"));
    let weights = |cap: u32| {
        let path = tmp.path().join(format!("{cap}/run"));
        let sets = sets(cap);
        let looker = run(SMALL, &sets.each_ref().map(String::as_str), &path);
        (last_weights(&path, 3, "rl"), looker.losses())
    };
    let (whole, losses) = weights(100_000);
    for cap in [1, 60, 300] {
        let (cut, cut_losses) = weights(cap);
        assert!(cut == whole, "micro-batches of {cap} tokens give other weights");
        for (a, b) in losses.iter().zip(cut_losses) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "losses {a} and {b}");
        }
    }
}

/// Invariant 6: what is logged or evaluated on the way changes nothing.
#[test]
fn looking_changes_nothing() {
    let tmp = tempfile::tempdir().expect("a folder");
    let weights = |name: &str, sets: &[&str]| {
        let path = tmp.path().join(name).join("run");
        run(SMALL, sets, &path);
        (last_weights(&path, 2, "sft"), last_weights(&path, 3, "rl"))
    };
    let plain = weights("plain", &[]);
    let watched = weights(
        "watched",
        &["stage.sft.eval-every=1", "stage.rl.log-every=3", "stage.pretrain.checkpoint-every=1"],
    );
    assert!(plain == watched);
}

#[test]
fn another_seed_is_another_run() {
    let tmp = tempfile::tempdir().expect("a folder");
    let weights = |seed: &str| {
        let path = tmp.path().join(seed).join("run");
        run(SMALL, &[&format!("seed={seed}")], &path);
        last_weights(&path, 1, "pretrain")
    };
    assert!(weights("5") != weights("6"));
}

/// Data that changed under a run would make its end depend on when it was stopped.
#[test]
fn changed_data_is_told_on_resume() {
    let tmp = tempfile::tempdir().expect("a folder");
    let data = tmp.path().join("data.txt");
    std::fs::write(&data, "one line\n\nanother line\n\na third\n").expect("written");
    let recipe = format!(
        r#"
tokenizer = "byte"
model = {{ kind = "decoder", width = 16, layers = 1, heads = 2, max-positions = 64 }}
[[stage]]
id = "text"
length = "4st"
batch = 2
stream.text.data = {{ kind = "text", path = {:?}, split = "blank-lines", eval = 0.0 }}
stream.text.transform = ["text"]
stream.text.objective = ["cross-entropy"]
"#,
        data.display().to_string()
    );
    let resolved = support::resolve(&recipe, &[]);
    let path = tmp.path().join("run");
    support::go(&resolved, &path, &mut support::Looker::stopping_after("text", 2)).expect("the first part");
    std::fs::write(&data, "something else\n").expect("written");
    let error = support::go(&resolved, &path, &mut support::Looker::default()).expect_err("other data");
    assert!(error.to_string().contains("is not what it was when the run began"), "{error}");
}

#[test]
fn episodes_name_their_rewards() {
    let tmp = tempfile::tempdir().expect("a folder");
    let path = tmp.path().join("run");
    run(SMALL, &[], &path);
    let text =
        std::fs::read_to_string(path.join("stages/03-rl/episodes/step_000001.jsonl")).expect("episodes");
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let names: Vec<&String> = first["rewards"].as_object().expect("rewards").keys().collect();
    assert_eq!(names, ["format", "overlong", "verifier"]);
}

/// A preference is never cut apart, so DPO has its accumulation exact too; and it does what it is for.
#[test]
fn preferences_are_learnt_whatever_the_cut() {
    let tmp = tempfile::tempdir().expect("a folder");
    let recipe = support::preferences(tmp.path());
    let weights = |cap: u32| {
        let path = tmp.path().join(format!("{cap}/run"));
        let looker =
            run(&recipe, &[&format!("stage.dpo.micro-batch-tokens={cap}"), "stage.dpo.length=20st"], &path);
        let margins: Vec<f64> = looker.readings.iter().map(|(_, _, r)| r["rewards/margins"]).collect();
        assert_eq!(margins[0], 0.0, "before the first step the policy is the reference");
        assert!(margins[19] > 0.1, "{margins:?}");
        last_weights(&path, 1, "dpo")
    };
    let whole = weights(100_000);
    let eval = r#"stage.dpo.eval={ data = { kind = "file", path = "PATH", eval = 0.5 } }"#;
    let eval = eval.replace("PATH", &tmp.path().join("preferences.jsonl").display().to_string());
    let looker = run(&recipe, &["stage.dpo.length=40st", &eval], &tmp.path().join("eval/run"));
    let preferred = looker.results[0].1[0].preferred.expect("preferences");
    assert!(preferred.n == 6 && preferred.mean() >= 0.75, "{preferred:?}");
    assert!(weights(1) == whole && weights(130) == whole);
}

/// Invariant 8: a net that knows nothing writes bytes that are no text, so a reply that was decoded and encoded again
/// would have other tokens, and other log-probs in the trainer.
#[test]
fn drawn_tokens_are_trained_as_they_were_drawn() {
    let tmp = tempfile::tempdir().expect("a folder");
    let path = tmp.path().join("run");
    let looker =
        run(SMALL, &["tokenizer=\"byte\"", "stage.pretrain.length=1st", "stage.sft.length=1st"], &path);
    let text =
        std::fs::read_to_string(path.join("stages/03-rl/episodes/step_000001.jsonl")).expect("episodes");
    assert!(text.contains('\u{fffd}'), "every reply is text:\n{text}");
    let gaps = looker.readings.iter().filter_map(|(_, _, r)| r.get("sampling/sampling_logp_difference/max"));
    assert!(gaps.clone().count() > 0 && gaps.clone().all(|&gap| gap == 0.0));
}

/// Invariant 6: probes on or off, on any schedule, the weights are the same bits.
#[test]
fn probes_change_nothing() {
    let tmp = tempfile::tempdir().expect("a folder");
    let bare = tmp.path().join("bare/run");
    let without = run(SMALL, &[], &bare);
    let sets = ["pretrain", "sft", "rl"].map(|s| {
        [format!("stage.{s}.probe.a={{ kind = \"top1\" }}"), format!("stage.{s}.probe-at=[1, 2, 5]")]
    });
    let sets: Vec<&str> = sets.iter().flatten().map(String::as_str).collect();
    let probed = tmp.path().join("probed/run");
    let with = run(SMALL, &[sets.as_slice(), &["stage.sft.eval.probe=[\"top1\"]"]].concat(), &probed);
    assert_eq!(without.losses(), with.losses());
    assert!(last_weights(&bare, 3, "rl") == last_weights(&probed, 3, "rl"));
    let read: Vec<u64> = with
        .readings
        .iter()
        .filter(|(stage, _, r)| stage == "pretrain" && r.contains_key("probe/a/top1"))
        .map(|(_, step, _)| *step)
        .collect();
    assert_eq!(read, [1, 2, 5]);
    let (_, results) = with.results.last().expect("an evaluation");
    assert!((0.0..=1.0).contains(&results[0].probes["top1"]));
}

/// A clamp that a controller lets go is back where it was after a resume, and while it holds it changes the training.
#[test]
fn clamps_hold_and_go_and_resume() {
    const CLAMPED: &str = r#"
name = "clamped"
seed = 4
tokenizer = "char"
model = { kind = "decoder", width = 16, layers = 2, heads = 2, ffn = 0, max-positions = 16 }
[[stage]]
id = "train"
length = "6st"
batch = 4
checkpoint-every = 1
freeze = ["model.embed_tokens.*"]
clamp.previous = { site = "blocks.0.attn.pattern", heads = [0], value = { kind = "back" } }
clamp.label = { site = "blocks.1.attn.pattern", value = { kind = "induction" }, on = false }
controller.first = { kind = "clamp", clamp = "previous", to = 3 }
stream.sequences.data = { kind = "fewshot-relabel" }
stream.sequences.transform = ["chat", "train-on-reply"]
stream.sequences.objective = ["cross-entropy"]
"#;
    let tmp = tempfile::tempdir().expect("a folder");
    let whole = tmp.path().join("whole/run");
    let looker = run(CLAMPED, &[], &whole);
    let freed = run(CLAMPED, &["stage.train.controller.first.to=0"], &tmp.path().join("freed/run"));
    let held = run(CLAMPED, &["stage.train.clamp.label.on=true"], &tmp.path().join("held/run"));
    assert_ne!(looker.losses(), freed.losses());
    assert_ne!(looker.losses(), held.losses());
    for step in [2, 4] {
        let path = tmp.path().join(format!("{step}/run"));
        let resolved = support::resolve(CLAMPED, &[]);
        support::go(&resolved, &path, &mut support::Looker::stopping_after("train", step))
            .expect("the first part");
        support::go(&resolved, &path, &mut support::Looker::default()).expect("the rest");
        assert!(last_weights(&whole, 1, "train") == last_weights(&path, 1, "train"), "stopped after {step}");
    }
}

/// What is frozen keeps every bit.
#[test]
fn what_is_frozen_stays() {
    let tmp = tempfile::tempdir().expect("a folder");
    let read = |path: &std::path::Path, name: &str| {
        let bytes = last_weights(path, 1, "pretrain");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("weights");
        tensors.tensor(name).expect("it is there").data().to_vec()
    };
    let one = "stage.pretrain.length=1st";
    let (short, long) = (tmp.path().join("short/run"), tmp.path().join("long/run"));
    let freeze = "stage.pretrain.freeze=[\"*embed_tokens*\"]";
    run(SMALL, &[freeze, one], &short);
    run(SMALL, &[freeze], &long);
    assert_eq!(read(&short, "model.embed_tokens.weight"), read(&long, "model.embed_tokens.weight"));
    let other = "model.layers.0.self_attn.q_proj.weight";
    assert_ne!(read(&short, other), read(&long, other));
    let wrong = support::resolve(SMALL, &["stage.pretrain.freeze=[\"nothing*\"]"]);
    let told = support::go(&wrong, &tmp.path().join("wrong/run"), &mut support::Looker::default());
    assert!(told.expect_err("it fits nothing").to_string().contains("has no parameter"));
}
