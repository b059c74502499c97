//! What needs no model: help, versions, lists, mistakes.

mod program;

use program::{regimen, said, stderr, stdout};

const VERBS: &[&str] = &[
    "run",
    "resume",
    "check",
    "plan",
    "list",
    "explain",
    "schema",
    "generate",
    "chat",
    "eval",
    "bench",
    "inspect",
    "export",
    "merge",
    "ls",
    "completions",
];

#[test]
fn every_verb_explains_itself() {
    let all = stdout(regimen(&["--help"]).success());
    for verb in VERBS {
        assert!(all.contains(&format!("  {verb} ")), "{verb} is missing in\n{all}");
        let help = stdout(regimen(&[verb, "--help"]).success());
        assert!(help.contains(&format!("Usage: regimen {verb}")), "{help}");
    }
}

#[test]
fn the_version_names_the_instruction_set() {
    let version = stdout(regimen(&["--version"]).success());
    let isa = version.trim().strip_prefix(&format!("regimen {} (", env!("CARGO_PKG_VERSION")));
    assert!(isa.is_some_and(|isa| isa.len() > 1 && isa.ends_with(')')), "{version}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in
        [&["runn"][..], &["run"], &["run", "quickstart", "--seed", "x"], &["--threads", "0", "ls"], &[]]
    {
        regimen(args).code(2);
    }
    assert!(stderr(regimen(&["runn"])).contains("run"), "it says what was meant");
}

#[test]
fn rooms_and_kinds_are_listed() {
    let rooms = stdout(regimen(&["list"]).success());
    assert!(rooms.contains("objective") && rooms.contains("task"), "{rooms}");
    let kinds = stdout(regimen(&["list", "objective"]).success());
    assert!(kinds.contains("cross-entropy"), "{kinds}");
    assert_eq!(kinds, stdout(regimen(&["list", "objectives"]).success()), "the plural will do");
    assert!(stdout(regimen(&["list", "recipes"]).success()).lines().any(|l| l == "quickstart"));
    let error = stderr(regimen(&["list", "objectve"]).code(2));
    assert!(error.contains("did you mean `objective`?"), "{error}");
}

#[test]
fn kinds_and_fields_are_explained() {
    let kind = stdout(regimen(&["explain", "objective.cross-entropy"]).success());
    assert!(kind.starts_with("objective.cross-entropy: "), "{kind}");
    assert!(stdout(regimen(&["explain", "stage.lr"]).success()).contains("learning rate"));
    let error = stderr(regimen(&["explain", "objective.cros-entropy"]).code(2));
    assert!(error.contains("did you mean `objective.cross-entropy`?"), "{error}");
}

#[test]
fn the_schema_is_json_and_knows_the_kinds() {
    let text = stdout(regimen(&["schema"]).success());
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(schema.is_object() && text.contains("cross-entropy") && text.contains("max-grad-norm"));
}

#[test]
fn completions_are_for_the_shell_that_was_named() {
    assert!(stdout(regimen(&["completions", "bash"]).success()).contains("_regimen()"));
    assert!(stdout(regimen(&["completions", "fish"]).success()).contains("complete -c regimen"));
    regimen(&["completions", "nosh"]).code(2);
}

#[test]
fn an_unknown_recipe_is_guessed() {
    let error = stderr(regimen(&["run", "quikstart"]).code(2));
    assert!(error.starts_with("error: there is no recipe `quikstart`\n"), "{error}");
    assert!(error.contains("\n  = did you mean `quickstart`?"), "{error}");
}

#[test]
fn a_slip_in_a_setting_is_pointed_at() {
    let error = stderr(regimen(&["check", "quickstart", "--set", "stage.sft.lerning-rate=1e-3"]).code(2));
    assert!(error.contains("lerning-rate") && error.contains("did you mean"), "{error}");
    let error = stderr(regimen(&["run", "quickstart", "--set", "nonsense"]).code(2));
    assert!(error.contains("--set takes path=value"), "{error}");
    let error = stderr(regimen(&["run", "quickstart", "--arm", "nope"]).code(2));
    assert!(error.contains("no arm `nope`"), "{error}");
    let error = stderr(regimen(&["run", "quickstart", "--device", "cuda"]).code(2));
    assert!(error.contains("there is no device `cuda`"), "{error}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = program::write(&dir, "bad.toml", "sede = 1\n[[stage]]\nid = 'a'\nlength = '5'\n");
    let error = stderr(regimen(&["check", &recipe]).code(2));
    assert!(error.contains("bad.toml:1:1") && error.contains("did you mean `seed`?"), "{error}");
    assert!(error.contains("bad.toml:4") && !error.contains('\x1b'), "no colour into a pipe: {error}");
}

#[test]
fn a_full_pipe_is_not_an_error() {
    let mut child = program::command(&["schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_does_not_exist_is_told_with_a_remedy() {
    for args in [
        &["generate", "runs/none", "--prompt", "x"][..],
        &["chat", "runs/none"],
        &["eval", "runs/none"],
        &["inspect", "runs/none"],
        &["resume", "runs/none"],
    ] {
        let error = stderr(regimen(args).code(2));
        assert!(error.starts_with("error: there is no runs/none\n  = "), "{args:?}: {error}");
    }
    assert!(said(regimen(&["ls"]).success()).contains("regimen run quickstart"));
}

#[test]
fn what_cannot_fit_is_refused_with_5() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = program::write(
        &dir,
        "huge.toml",
        &program::RECIPE.replace("width = 32", "width = 65536").replace("layers = 1", "layers = 20"),
    );
    for verb in ["run", "plan"] {
        let error = stderr(regimen(&[verb, &recipe]).code(5));
        assert!(
            error.contains("does not fit into memory") && error.contains("  = make the model smaller"),
            "{error}"
        );
    }
    assert!(!dir.path().join("runs").exists(), "nothing was begun");
}

#[test]
fn a_missing_data_file_is_told_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let recipe = program::write(
        &dir,
        "r.toml",
        &program::RECIPE.replace("data = [\"arith\"]", "data = { kind = \"file\", path = \"gone.jsonl\" }"),
    );
    for verb in ["check", "run", "plan"] {
        let error = stderr(program::inside(&dir, &[verb, &recipe]).code(4));
        assert!(error.contains("gone.jsonl") && error.contains("\n  = "), "{error}");
    }
    assert!(!dir.path().join("runs").exists(), "nothing was begun");
}
