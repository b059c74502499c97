//! The families' own chat templates against what transformers renders and TRL trains on (`fixtures/templates`).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::tests::with_specials;
use super::*;

#[derive(Deserialize)]
struct Case {
    template: String,
    talk: String,
    prompt: bool,
    tools: Value,
    messages: Vec<Message>,
    text: Option<String>,
    error: Option<String>,
    trained: Option<Vec<String>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/templates")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("renders.json")).unwrap()).unwrap()
}

fn template(case: &Case) -> ChatTemplate {
    let source = std::fs::read_to_string(folder().join(format!("{}.jinja", case.template))).unwrap();
    let names = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];
    let template = ChatTemplate::new(&source, &with_specials(&names)).unwrap();
    template.with("date_string", json!("26 Jul 2024")).with("tools", case.tools.clone())
}

#[test]
fn every_rendering_is_that_of_transformers() {
    let cases = cases();
    assert!(cases.len() > 100);
    for case in &cases {
        let (rendered, at) =
            (template(case).render(&case.messages, case.prompt), (&case.template, &case.talk));
        match (&case.text, &case.error) {
            (Some(text), None) => assert_eq!(&rendered.unwrap(), text, "{at:?}"),
            (None, Some(error)) => {
                let told = rendered.unwrap_err().to_string();
                assert!(told.contains(error), "{at:?}: {told}, not {error}");
            }
            _ => panic!("{at:?} is neither a text nor an error"),
        }
    }
}

/// What TRL's marked templates train on, but for the line break behind a turn, which no model generates.
#[test]
fn replies_are_what_trl_trains_on() {
    let mut compared = 0;
    for case in cases() {
        let (Some(want), Ok(tokens)) = (&case.trained, template(&case).tokenize(&case.messages)) else {
            continue;
        };
        let mut found: Vec<String> = Vec::new();
        let mut inside = false;
        let template = template(&case);
        let mut ids = Vec::new();
        for token in tokens.iter().chain([&Token { id: 0, role: Role::Template, weight: 0.0, logprob: None }])
        {
            let reply = token.role == Role::Assistant;
            if inside && !reply {
                found.push(template.tokenizer().decode(&ids, false));
                ids.clear();
            }
            inside = reply;
            if reply {
                ids.push(token.id);
            }
        }
        let trim = |all: &[String]| all.iter().map(|t| t.trim_matches('\n').to_owned()).collect::<Vec<_>>();
        assert_eq!(trim(&found), trim(want), "{} {}", case.template, case.talk);
        compared += 1;
    }
    assert!(compared >= 18, "only {compared} compared");
}

/// Each family's template keeps earlier turns, except where it drops their thoughts; then the last reply can be trained.
#[test]
fn every_conversation_can_be_trained_on() {
    for case in cases().iter().filter(|c| !c.prompt && c.error.is_none()) {
        if case.messages.last().is_none_or(|m| m.role != Role::Assistant) {
            continue;
        }
        let template = template(case);
        let all = template.tokenize(&case.messages);
        let forgets = case.template == "qwen3" && case.messages.len() > 3;
        assert_eq!(all.is_err(), forgets, "{} {}", case.template, case.talk);
        let last = template.tokenize_last(&case.messages).unwrap();
        let end = last.iter().rposition(|t| t.weight != 0.0 && t.role == Role::Assistant).unwrap();
        assert!(
            template.stops().unwrap().contains(&last[end].id),
            "{} {} does not end in a stop",
            case.template,
            case.talk
        );
    }
}
