//! Runs that go wrong under way.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::told::{ready, refused, refused_run, sound};
use crate::program::{in_folder, inside, outcome};

#[test]
fn a_rate_that_makes_the_loss_not_finite() {
    let dir = ready();
    for rate in ["1e20", "1e30"] {
        let rate = format!("stage.train.lr={rate}");
        let more = ["--set", &rate, "--set", "stage.train.length=200st", "--name", "wild"];
        let told =
            refused_run(&dir, &[&more[..], &["--set", "stage.train.checkpoint-every=1st"]].concat(), 1);
        assert!(told.contains("stage `train`") && told.contains(" at step "), "{told}");
        assert!(told.contains("NaN") || told.contains("inf"), "{told}");
        assert!(told.contains("\n  = lower `lr`"), "{told}");
        let run = dir.path().join("runs/wild");
        let checkpoints = sound(&dir, &run);
        let steps = |path: &std::path::PathBuf| -> u64 {
            let name = path.to_string_lossy();
            name.rsplit('-').next().and_then(|step| step.parse().ok()).expect("it ends in its step")
        };
        let last = checkpoints.iter().map(steps).max().expect("a step was good");
        assert!(
            told.contains(&format!(
                "the last good checkpoint is runs/wild/stages/01-train/checkpoint-{last}"
            )),
            "{told}"
        );
        let metrics = fs::read_to_string(run.join("stages/01-train/metrics.jsonl")).expect("it is there");
        assert_eq!(metrics.lines().count() as u64, last, "only good steps are recorded");
        fs::remove_dir_all(&run).expect("it is ours");
        let told = refused_run(&dir, &more, 1);
        assert!(told.contains("the stage has no checkpoint yet"), "{told}");
        fs::remove_dir_all(&run).expect("it is ours");
    }
}

#[test]
fn two_processes_on_one_run_directory() {
    let dir = ready();
    let long = ["run", "bad.toml", "--set", "stage.train.length=1500st"];
    inside(&dir, &[&long[..], &["--name", "alone"]].concat()).success();
    let mut first = in_folder(&dir, &[&long[..], &["--name", "bad"]].concat())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let (metrics, begun) = (dir.path().join("runs/bad/stages/01-train/metrics.jsonl"), Instant::now());
    while fs::metadata(&metrics).map_or(0, |m| m.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "no step after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    let resumed = inside(&dir, &["resume", "runs/bad"]);
    let again = inside(&dir, &["run", "bad.toml", "--name", "bad"]);
    let still = first.try_wait().expect("it is ours").is_none();
    assert!(first.wait().expect("it ends").success());
    assert!(still, "the first process was to be at work meanwhile");
    let told = refused(resumed, 1);
    assert!(told.contains(&format!("runs/bad is in use by process {}", first.id())), "{told}");
    let told = refused(again, 2);
    assert!(told.contains("runs/bad holds a run already"), "{told}");
    // neither left a mark on the first
    assert!(outcome(&dir.path().join("runs/alone")) == outcome(&dir.path().join("runs/bad")));
    sound(&dir, &dir.path().join("runs/bad"));
}
