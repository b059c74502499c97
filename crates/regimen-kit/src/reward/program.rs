//! `program`: any program as a reward. It reads one line of JSON a group and answers with one line.
//!
//! It is asked `{"prompt": "…", "messages": […], "completions": ["…", …], "completion_ids": [[…], …],
//! "stop": ["eos", …], "answer": "…", "columns": {…}}` and answers `{"rewards": [1.0, null, {"error": "why"}]}` or the
//! bare list: a number is the reward, null abstains, an error leaves that completion out and is counted. A time-out, a
//! crash or an answer of another form is an error for the whole group. `python/regimen_reward.py` asks a Python
//! function of TRL's form.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regimen_core::episode::Group;
use regimen_core::registry::Piece;
use regimen_core::reward::{Judge, Outcome, Reward};
use regimen_core::run::Program;
use regimen_data::{Body, Message, Role, prompt_of};
use regimen_recipe::{Field, KindSpec, Room, Ty};
use serde_json::{Value, json};

/// A reward that another program computes.
pub struct Outside(Mutex<Program>);

impl Outside {
    /// Asks this program.
    pub fn new(program: Program) -> Self {
        Self(Mutex::new(program))
    }
}

impl Reward for Outside {
    fn score(&self, group: &Group, _: Judge) -> Vec<Outcome> {
        let n = group.episodes.len();
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).ask(&question(group).to_string());
        answer.and_then(|line| outcomes(&line, n)).unwrap_or_else(|cause| vec![Outcome::Error(cause); n])
    }
}

fn question(group: &Group) -> Value {
    let said: &[Message] = match &group.example.body {
        Body::Messages(said) => prompt_of(said),
        _ => &[],
    };
    let asked: Vec<&str> = said.iter().filter(|m| m.role == Role::User).map(|m| m.content.as_str()).collect();
    let each = |f: &dyn Fn(&regimen_core::Episode) -> Value| group.episodes.iter().map(f).collect::<Value>();
    json!({
        "prompt": asked.last().copied().unwrap_or_default(),
        "messages": said,
        "completions": each(&|e| e.text.as_str().into()),
        "completion_ids": each(&|e| e.completion().iter().map(|t| t.id).collect()),
        "stop": each(&|e| e.stop.name().into()),
        "answer": group.example.answer,
        "columns": group.example.columns,
    })
}

/// The outcomes of `n` completions.
fn outcomes(line: &str, n: usize) -> Result<Vec<Outcome>, String> {
    let shown = || line.trim().chars().take(120).collect::<String>();
    let answer: Value =
        serde_json::from_str(line).map_err(|e| format!("the answer is no JSON ({e}): {}", shown()))?;
    if let Some(cause) = answer.get("error") {
        return Err(told(cause));
    }
    let list = answer.as_array().or_else(|| answer.get("rewards")?.as_array());
    let list = list.ok_or_else(|| format!("the answer has no list `rewards`: {}", shown()))?;
    if list.len() != n {
        return Err(format!("{} rewards for {n} completions", list.len()));
    }
    let outcome = |value: &Value| match value {
        Value::Null => Outcome::Abstain,
        Value::Number(_) | Value::Bool(_) => {
            Outcome::Score(value.as_f64().unwrap_or_else(|| f64::from(u8::from(value == &Value::Bool(true)))))
        }
        other => match other.get("error") {
            Some(cause) => Outcome::Error(told(cause)),
            None => Outcome::Error(format!("a reward is {other}, not a number or null")),
        },
    };
    Ok(list.iter().map(outcome).collect())
}

fn told(cause: &Value) -> String {
    cause.as_str().map_or_else(|| cause.to_string(), str::to_owned)
}

pub(super) const PIECE: Piece<dyn Reward> = Piece {
    spec: KindSpec::new(
        Room::Reward,
        "program",
        "asks any program: one line of JSON a group in, one line with `rewards` out; errors are never 0",
        &[
            Field::new("command", Ty::OneOrMany(&Ty::Str), "the program and its arguments; a lone text is cut at spaces")
                .required(),
            Field::new("timeout", Ty::Float, "seconds that an answer may take").or("60.0").min(0.01),
        ],
    )
    .example(r#"{ kind = "program", command = ["python3", "python/regimen_reward.py", "my_rewards.py:accuracy"] }"#),
    build: |node, _| {
        let given = node.strs("command");
        let command: Vec<String> = match given[..] {
            [one] => one.split_whitespace().map(str::to_owned).collect(),
            _ => given.into_iter().map(str::to_owned).collect(),
        };
        if command.is_empty() {
            return Err(node.error("the command is empty").remedy("command = [\"python3\", \"reward.py\"]"));
        }
        Ok(Box::new(Outside::new(Program::new(command, Duration::from_secs_f64(node.f64("timeout"))))))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_scores_abstentions_and_errors() {
        let found =
            outcomes(r#"{"rewards": [1, 0.5, null, true, {"error": "no sandbox"}, "1"]}"#, 6).unwrap();
        let error = |cause: &str| Outcome::Error(cause.to_owned());
        let score = Outcome::Score;
        assert_eq!(
            found,
            [
                score(1.0),
                score(0.5),
                Outcome::Abstain,
                score(1.0),
                error("no sandbox"),
                error("a reward is \"1\", not a number or null")
            ]
        );
        assert_eq!(outcomes("[0]", 1).unwrap(), [score(0.0)]);
    }

    #[test]
    fn anything_else_is_an_error_for_the_group() {
        for (line, cause) in [
            ("Traceback (most recent call last):", "no JSON"),
            ("{\"rewards\": [1]}", "1 rewards for 2 completions"),
            ("{\"rewards\": [NaN, 1]}", "no JSON"),
            ("{\"scores\": []}", "no list `rewards`"),
            ("{\"error\": \"ValueError: x\"}", "ValueError: x"),
            ("", "no JSON"),
        ] {
            let told = outcomes(line, 2).unwrap_err();
            assert!(told.contains(cause), "{line}: {told}");
        }
    }
}
