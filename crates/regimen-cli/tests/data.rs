//! Rows, masks and rewards as a user sees them: what was detected, `data show`, programs as rewards, `reward explain`.
#![cfg(unix)]

mod program;

use program::{inside, stderr, stdout, write};
use tempfile::TempDir;

const MODEL: &str = r#"
name = "seen"
tokenizer = "byte"
model = { kind = "decoder", width = 8, layers = 1, heads = 1, max-positions = 128 }
"#;

fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = |f: &dyn Fn(u32) -> String| (1..=8).map(f).collect::<String>();
    write(
        &dir,
        "talk.jsonl",
        &rows(&|i| {
            format!(
                "{{\"messages\":[{{\"role\":\"user\",\"content\":\"<b>{i}?\"}},{{\"role\":\"assistant\",\"content\":\"yes {i}\"}}]}}\n"
            )
        }),
    );
    write(
        &dir,
        "asked.jsonl",
        &rows(&|i| format!("{{\"prompt\":\"What is {i}?\",\"answer\":\"{i}\",\"level\":{i}}}\n")),
    );
    dir
}

#[test]
fn rows_are_shown_as_tokens_on_the_terminal_and_as_a_page() {
    let dir = folder();
    let recipe = MODEL.to_owned()
        + "[[stage]]\nid = \"sft\"\nlength = \"1ep\"\nbatch = 2\nlr = 1e-3\n[stage.stream.talk]\ndata = { kind = \"file\", path = \"talk.jsonl\" }\ntransform = [\"chat\", \"train-on-reply\"]\nobjective = [\"cross-entropy\"]\n";
    let recipe = write(&dir, "sft.toml", &recipe);
    let said = stdout(inside(&dir, &["check", &recipe]).success());
    assert!(said.starts_with("data: talk.jsonl: messages (`messages`), 8 rows, 1 held out\n"), "{said}");
    let shown =
        stdout(inside(&dir, &["data", "show", &recipe, "--rows", "2", "--html", "rows.html"]).success());
    assert_eq!(shown.matches("trained on (").count(), 2, "{shown}");
    assert!(shown.contains("  ● assistant 1     y│e│s│ │"), "{shown}");
    assert!(shown.contains("    user      0     <│b│>│"), "{shown}");
    let page = std::fs::read_to_string(dir.path().join("rows.html")).expect("the page is there");
    assert!(page.contains("title=\"assistant, weight 1\"") && !page.contains("<b>"), "{page}");
}

/// The first completion is worth most; question 8 makes the program fail.
const REWARD: &str = r#"while read -r line; do
  case $line in *'"prompt":"What is 8?"'*) echo 'no idea' >&2; exit 3 ;; esac
  case $line in *'"level":'*) ;; *) exit 4 ;; esac
  n=$(printf '%s,' "$line" | sed 's/.*"stop":\[\([^]]*\)\].*/\1,/' | tr -cd , | wc -c)
  i=0; out=
  while [ "$i" -lt "$n" ]; do out="$out,0.$((9 - i))"; i=$((i + 1)); done
  echo "{\"rewards\":[${out#,}]}"
done
"#;

#[test]
fn a_program_rewards_and_its_failures_are_causes_not_zeros() {
    let dir = folder();
    write(&dir, "reward.sh", REWARD);
    let recipe = MODEL.to_owned()
        + "[[stage]]\nid = \"rl\"\nlength = \"4st\"\nbatch = 2\nlr = 1e-3\n[stage.stream.asked]\ndata = { kind = \"file\", path = \"asked.jsonl\", eval = 0.0 }\nrollout = { kind = \"group\", size = 2, max-new = 4 }\nreward = [{ kind = \"program\", command = \"sh reward.sh\" }]\nadvantage = \"group-relative\"\nobjective = [\"grpo\"]\n";
    let recipe = write(&dir, "rl.toml", &recipe);
    let said = stderr(inside(&dir, &["run", &recipe]).success());
    assert!(said.contains("program: stage `rl`, stream `asked` runs `sh reward.sh`"), "{said}");
    let tables: Vec<String> = (1..=4)
        .map(|step| {
            let step = step.to_string();
            stdout(inside(&dir, &["reward", "explain", "runs/seen", "--step", &step]).success())
        })
        .collect();
    let failed: Vec<_> = tables.iter().filter(|t| t.contains("What is 8?")).collect();
    assert_eq!(failed.len(), 1, "an epoch asks every question once");
    let cause = "program failed: `sh reward.sh` ended with exit status: 3: no idea";
    assert_eq!(
        failed[0].lines().filter(|l| l.contains("What is 8?") && l.contains(cause)).count(),
        2,
        "{}",
        failed[0]
    );
    assert!(failed[0].contains("mean reward 0.850 over 2 completions"), "{}", failed[0]);
    assert!(tables.iter().all(|t| t.contains(" 0.900 ") && t.contains(" 0.800 ")), "{tables:?}");
    let told = stderr(inside(&dir, &["reward", "explain", "runs/seen", "--step", "9"]).code(2));
    assert!(told.contains("kept no episodes of step 9") && told.contains("one of: 1, 2, 3, 4"), "{told}");
}
