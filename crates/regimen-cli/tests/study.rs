//! Verifying a claim, from the command line: a folder of the user's own, and the papers that the program carries.

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use program::{in_folder, inside, outcome, regimen, stderr, stdout};
use tempfile::TempDir;

const RECIPE: &str = r#"
[model]
kind = "decoder"
width = 16
layers = 1
heads = 1
tied = true
max-positions = 64

[tokenizer]
kind = "char"

[[stage]]
id = "warm"
length = "2st"
batch = 2
stream.text = { data = "arith", transform = ["chat"], objective = "cross-entropy" }

[[stage]]
id = "main"
length = "4st"
batch = 4
lr = 1e-2
eval-every = 2
stream.text = { data = "arith", transform = ["chat"], objective = "cross-entropy" }
eval = { data = [{ kind = "arith", name = "test" }], n = 8 }

[[arm]]
id = "long"
about = "twenty steps more"
set."stage.main.length" = "24st"

[[arm]]
id = "short"
"#;

const CLAIM: &str = r#"
title = "Longer is longer"
kind = "study"
seeds = [0, 1, 2]
scaled-down = ["everything"]

[primary]
says = "Longer training leaves less loss."
kind = "positive"
a = "short:main/test/loss"
b = "long:main/test/loss"

[[secondary]]
says = "It takes more tokens."
kind = "ratio"
a = "long:ledger/tokens"
b = "short:ledger/tokens"
above = 2.0
"#;

/// A folder with the study in it.
fn study(recipe: &str, claim: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("mine")).expect("made");
    put(&dir, "recipe.toml", recipe);
    put(&dir, "claim.toml", claim);
    put(&dir, "README.md", "# Longer\n\nMy own words.\n");
    dir
}

fn put(dir: &TempDir, name: &str, text: &str) {
    fs::write(dir.path().join("mine").join(name), text).expect("written");
}

fn git(dir: &TempDir, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
    let done =
        Command::new("git").args(identity).args(arguments).current_dir(dir.path()).output().expect("git");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_claim_is_verified_once_and_judged_anew() {
    let dir = study(RECIPE, CLAIM);
    let first = inside(&dir, &["verify", "mine", "--jobs", "2"]).success();
    let (said, told) = (stdout(first), stderr(inside(&dir, &["verify", "mine"]).success()));
    assert!(said.contains("primary: held") && said.contains("secondary: held"), "{said}");
    assert!(told.contains("6 of them complete") && !told.contains("done in"), "nothing is run again: {told}");
    let report = fs::read_to_string(dir.path().join("runs/mine/report.html")).expect("a report");
    for part in ["Longer is longer", "twenty steps more", "main/eval/test", "everything", "id=\"ledger\""] {
        assert!(report.contains(part), "{part}");
    }
    // the stage that the arms share was made once a seed
    let kept = stdout(inside(&dir, &["cache", "ls"]).success());
    assert_eq!(kept.lines().filter(|line| line.contains(" warm ")).count(), 3, "{kept}");
    let gone = stdout(inside(&dir, &["cache", "gc", "--all"]).success());
    assert!(gone.starts_with("removed 9 outputs"), "{gone}");
    // two sets of the same runs, paired by seed
    let runs = |arm: &str| (0..3).map(|s| format!("runs/mine/{arm}-seed{s}")).collect::<Vec<_>>();
    let mut words = vec!["compare".to_owned()];
    words.extend(runs("short"));
    words.push("vs".to_owned());
    words.extend(runs("long"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let compared = stdout(inside(&dir, &words).success());
    assert!(
        compared.contains("paired by seeds 0, 1, 2") && compared.contains("main/test/loss"),
        "{compared}"
    );
    // another claim on the same runs: nothing is run, and it does not hold
    put(
        &dir,
        "claim.toml",
        &CLAIM.replace("a = \"short:main", "a = \"long:main").replace("b = \"long:main", "b = \"short:main"),
    );
    let refused = inside(&dir, &["verify", "mine"]).code(3);
    assert!(stdout(refused).contains("primary: not held (refuted)"));
}

#[test]
fn seeds_for_tuning_decide_nothing_and_cannot_be_recorded() {
    let dir = study(RECIPE, CLAIM);
    let said = stdout(inside(&dir, &["verify", "mine", "--seeds", "100..102"]).success());
    assert!(said.contains("these are not the claim's seeds"), "{said}");
    let error = stderr(inside(&dir, &["verify", "mine", "--seeds", "0..3", "--record"]).code(2));
    assert!(error.contains("cannot be used with"), "{error}");
    assert!(
        stderr(inside(&dir, &["verify", "mine", "--seeds", "3..3"]).code(2)).contains("not between 1 and")
    );
}

#[test]
fn only_what_is_committed_is_recorded() {
    let dir = study(RECIPE, CLAIM);
    let record = || inside(&dir, &["verify", "mine", "--record"]);
    let error = stderr(record().code(2));
    assert!(error.contains("git does not know") && error.contains("\n  = "), "{error}");
    git(&dir, &["init", "-q"]);
    let error = stderr(record().code(2));
    assert!(error.contains("mine/claim.toml") && error.contains("is not committed"), "{error}");
    assert!(!dir.path().join("runs").exists(), "it is told before anything is run");
    git(&dir, &["add", "mine"]);
    git(&dir, &["commit", "-qm", "the claim"]);
    put(&dir, "claim.toml", &CLAIM.replace("2.0", "1.5"));
    assert!(stderr(record().code(2)).contains("mine/claim.toml"));
    git(&dir, &["commit", "-qam", "another claim"]);
    record().success();
    let text = fs::read_to_string(dir.path().join("mine/result.json")).expect("recorded");
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&result["primary"]["verdict"]["outcome"], &result["numerics"]), (&"held".into(), &1.into()));
    assert!(result["commit"].as_str().is_some_and(|c| c.len() >= 40), "{text}");
    assert!(result["values"]["long"]["main/test/loss"]["2"].is_f64(), "{text}");
    let page = stdout(inside(&dir, &["paper", "mine"]).success());
    assert!(page.contains("My own words.") && page.contains("verdict: held"), "{page}");
    put(&dir, "recipe.toml", &RECIPE.replace("24st", "25st"));
    let page = stdout(inside(&dir, &["paper", "mine"]).success());
    assert!(page.contains("verdict: stale (recipe)"), "{page}");
}

#[test]
fn a_verification_that_was_stopped_goes_on_and_ends_in_the_same_bytes() {
    let recipe =
        RECIPE.replace("length = \"4st\"", "length = \"150st\"").replace("eval-every = 2", "eval-every = 50");
    let (stopped, alone) = (study(&recipe, CLAIM), study(&recipe, CLAIM));
    let child = in_folder(&stopped, &["verify", "mine", "--jobs", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let metrics = stopped.path().join("runs/mine/short-seed0/stages/02-main/metrics.jsonl");
    for _ in 0..600 {
        if fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 5) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("goes on"), "{told}");
    // here `short` is the longer one, so the claim does not hold
    inside(&stopped, &["verify", "mine"]).code(3);
    inside(&alone, &["verify", "mine"]).code(3);
    for run in ["long-seed0", "short-seed0", "short-seed2"] {
        let bytes = |dir: &TempDir| outcome(&dir.path().join("runs/mine").join(run));
        // the stop left one checkpoint more
        let (whole, parts) = (bytes(&alone), bytes(&stopped));
        for (name, bytes) in &whole {
            assert!(parts.get(name) == Some(bytes), "{run}: {name} differs");
        }
    }
}

#[test]
fn an_anytime_claim_stops_when_it_is_decided() {
    let claim = CLAIM
        .replace("seeds = [0, 1, 2]", "design = \"anytime\"\nseeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]");
    let dir = study(RECIPE, claim.split("[[secondary]]").next().expect("the first part"));
    let done = inside(&dir, &["verify", "mine", "--jobs", "1"]).success();
    assert!(stderr(done).contains("no further seeds are begun"));
    assert!(!dir.path().join("runs/mine/long-seed11").exists());
}

#[test]
fn a_trial_tells_what_runs_do_not_measure() {
    let dir = study(RECIPE, CLAIM);
    let said = stdout(inside(&dir, &["verify", "mine", "--try"]).success());
    assert!(said.contains("all that its claims read is there"), "{said}");
    put(&dir, "claim.toml", &CLAIM.replace("long:ledger/tokens", "long:main/lsos"));
    let error = stderr(inside(&dir, &["verify", "mine", "--try"]).code(2));
    assert!(error.contains("measure no `main/lsos`"), "{error}");
}

#[test]
fn slips_in_a_claim_are_pointed_at_before_anything_runs() {
    let dir = study(RECIPE, &CLAIM.replace("long:main/test", "lnog:main/test"));
    let error = stderr(inside(&dir, &["verify", "mine"]).code(2));
    assert!(error.contains("claim.toml:11:5") && error.contains("did you mean `long`?"), "{error}");
    assert!(!dir.path().join("runs").exists());
    let error = stderr(inside(&dir, &["verify", "yours"]).code(2));
    assert!(error.contains("there is no paper `yours`") && error.contains("regimen papers"), "{error}");
    fs::remove_file(dir.path().join("mine/claim.toml")).expect("removed");
    assert!(stderr(inside(&dir, &["verify", "mine"]).code(2)).contains("mine has no claim.toml"));
}

#[test]
fn the_papers_are_listed_found_and_known_to_other_verbs() {
    let table = stdout(regimen(&["papers"]).success());
    assert!(table.contains("p021") && table.contains("study"), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(regimen(&["papers", "--json"]).success())).expect("JSON");
    assert!(json.as_array().is_some_and(|all| all.iter().any(|p| p["folder"] == "p021_cot_mechanism")));
    assert!(stdout(regimen(&["papers", "--search", "two-hop", "bridge"]).success()).contains("p021"));
    assert!(
        stderr(regimen(&["papers", "--search", "zebra"]).success()).contains("no paper has all these words")
    );
    regimen(&["check", "p021"]).success();
    assert!(stdout(regimen(&["plan", "p021", "--arm", "cot", "--toml"]).success()).contains("bridge = true"));
    assert!(stdout(regimen(&["list", "papers"]).success()).contains("p021_cot_mechanism"));
    assert!(stdout(regimen(&["explain", "claim"]).success()).contains("onset-before"));
    assert!(stdout(regimen(&["paper", "021"]).success()).contains("regimen verify"));
}

/// The table between the markers in README.md is what `papers --markdown` prints.
#[test]
fn the_readme_has_the_table_of_papers() {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).expect("README.md");
    let table =
        readme.split("<!-- papers -->\n").nth(1).and_then(|rest| rest.split("<!-- end of papers -->").next());
    let now = stdout(regimen(&["papers", "--markdown"]).success());
    let message = "put the output of `regimen papers --markdown` between the markers of README.md";
    assert_eq!(table.expect("two markers").trim(), now.trim(), "{message}");
}
