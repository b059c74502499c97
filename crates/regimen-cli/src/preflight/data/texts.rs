//! Control tokens in what people say, and columns that nothing reads.

use std::collections::BTreeSet;

use regimen_data::Body;

use super::masks::rows_of;
use super::{Findings, Looked, Setting};

/// Control tokens of well-known templates: a text that has them was rendered before, or wants to be taken for one.
const FOREIGN: [&str; 9] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|endoftext|>",
    "<|begin_of_text|>",
    "[/INST]",
    "<start_of_turn>",
    "<|end_of_text|>",
];

/// Special tokens inside texts. They are encoded as the characters that they are.
pub fn specials(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let name = |text: &str| {
        let own = setting.tokenizer.special_in(text).map(str::to_owned);
        own.or_else(|| FOREIGN.iter().find(|f| text.contains(**f)).map(|f| (*f).to_owned()))
    };
    let found: Vec<_> = looked
        .rows
        .iter()
        .filter_map(|r| Some((r, texts(&r.example.body).into_iter().find_map(name)?)))
        .collect();
    let Some((row, name)) = found.first() else { return };
    let rendered = matches!(row.example.body, Body::Text(_));
    findings.warning(
        "special-in-text",
        format!("{}: the text contains `{name}`; {} of {} have such tokens", row.place, found.len(), rows_of(looked.rows.len())),
        if rendered {
            "they are read as plain characters; if the rows are conversations that were rendered before, give `messages` and the transform `chat`"
        } else {
            "they are read as plain characters, so nobody can forge a turn; clean the rows if they are leftovers"
        },
    );
}

fn texts(body: &Body) -> Vec<&str> {
    match body {
        Body::Text(text) => vec![text],
        Body::Messages(said) => said.iter().map(|m| m.content.as_str()).collect(),
        Body::Preference { prompt, chosen, rejected } => {
            [prompt, chosen, rejected].into_iter().flatten().map(|m| m.content.as_str()).collect()
        }
        Body::Tokens(_) | Body::Pair { .. } | Body::Features(_) => Vec::new(),
    }
}

/// What verifiers and evaluations read, and what is told beside a row.
const READ: [&str; 12] = [
    "answer",
    "solution",
    "ground_truth",
    "target",
    "label",
    "reward_model",
    "difficulty",
    "tools",
    "labels",
    "completions",
    "side",
    "prompt",
];

/// Columns that nothing reads.
pub fn columns(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    if !looked.from_files || !setting.programs.is_empty() {
        return;
    }
    let names: BTreeSet<&str> = looked
        .rows
        .iter()
        .flat_map(|r| r.example.columns.iter())
        .filter(|(name, value)| !value.is_null() && !READ.contains(&name.as_str()))
        .map(|(name, _)| name.as_str())
        .collect();
    let Some(row) = looked.rows.iter().find(|r| r.example.columns.keys().any(|k| names.contains(k.as_str())))
    else {
        return;
    };
    let listed: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
    let (is, it) =
        if names.len() == 1 { ("column", "is read by nothing") } else { ("columns", "are read by nothing") };
    findings.warning(
        "unread-columns",
        format!("{}: the {is} {} {it}", row.place, listed.join(", ")),
        "remove what is not needed; if it was meant to be read, name it in the data's table (`regimen explain data.file`)",
    );
}
