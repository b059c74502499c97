//! What must hold of every run, whatever its recipe.

mod support;

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
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| run(SMALL, &[], &path));
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
