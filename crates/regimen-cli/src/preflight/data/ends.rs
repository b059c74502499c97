//! How sequences begin and end: one beginning-of-text token, and a trained token that ends every reply.

use regimen_data::{Body, Role, Token};

use super::masks::rows_of;
use super::{Findings, Looked, Setting};

/// Double beginnings, untrained ends, and thoughts that nobody wrote.
pub fn check(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    begins_once(looked, setting, findings);
    ends_trained(looked, setting, findings);
    ids_end(looked, setting, findings);
    thinks_itself(looked, setting, findings);
}

fn begins_once(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let Some(bos) = setting.tokenizer.bos() else { return };
    let twice = |s: &[Token]| s.len() > 1 && s[0].id == bos && s[1].id == bos;
    let mut rows = looked.rows.iter().filter(|r| r.sequences().any(twice));
    let Some(first) = rows.next() else { return };
    let name = setting.tokenizer.token(bos).unwrap_or("bos");
    findings.error(
        "double-bos",
        format!(
            "{}: the row begins with `{name}{name}`, as {} of {} do",
            first.place,
            rows.count() + 1,
            rows_of(looked.rows.len())
        ),
        match first.example.body {
            Body::Tokens(_) => "remove one of them from `input_ids`",
            _ => "the chat template writes it twice: take `bos_token` out of the template, or out of the text before it",
        },
    );
}

/// Replies end in a token that stops the model, and it is trained on.
fn ends_trained(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let Some(stops) = &setting.stops else { return };
    let (mut good, mut bad) = (0, Vec::new());
    for row in looked.rows.iter().filter(|r| !matches!(r.example.body, Body::Tokens(_) | Body::Text(_))) {
        for sequence in row.sequences() {
            for reply in replies(sequence) {
                let cut = reply.end == sequence.len() && Some(sequence.len()) == setting.truncates;
                let last = &sequence[reply.end - 1];
                if stops.contains(&last.id) && last.weight != 0.0 {
                    good += 1;
                } else if !cut {
                    bad.push((&row.place, last.id));
                }
            }
        }
    }
    let Some((place, last)) = bad.first() else { return };
    let last = setting.tokenizer.decode(&[*last], false);
    if good == 0 {
        findings.error(
            "stop-untrained",
            format!("{place}: the reply ends in {last:?}; no trained token ends a reply, so the model will never stop"),
            "let the chat template write the end-of-turn token behind every reply (`{{ eos_token }}`), and name it in the tokenizer",
        );
    } else {
        findings.warning(
            "stop-untrained",
            format!(
                "{} of {} replies do not end in a token that stops, the first at {place} in {last:?}",
                bad.len(),
                bad.len() + good
            ),
            "look at them with `regimen data show`",
        );
    }
}

/// Runs of tokens that the assistant says and that are trained on.
fn replies(sequence: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (i, token) in sequence.iter().enumerate().filter(|(_, t)| t.role == Role::Assistant) {
        match found.last_mut().filter(|r| r.end == i) {
            Some(run) => run.end += 1,
            None => found.push(i..i + 1),
        }
        let _ = token;
    }
    found.retain(|r| sequence[r.clone()].iter().any(|t| t.weight != 0.0));
    found
}

/// Rows that came as ids: other trainers mask the end where it is also the padding.
fn ids_end(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let rows: Vec<_> = looked.rows.iter().filter(|r| matches!(r.example.body, Body::Tokens(_))).collect();
    let (Some(first), Some(eos)) = (rows.first(), setting.tokenizer.eos()) else { return };
    let name = setting.tokenizer.token(eos).unwrap_or("eos");
    let any = |test: &dyn Fn(&Token) -> bool| rows.iter().any(|r| r.sequences().any(|s| s.iter().any(test)));
    if !any(&|t| t.id == eos) {
        findings.warning(
            "stop-untrained",
            format!("{}: neither this row nor any of {} contains `{name}`", first.place, rows_of(rows.len())),
            "end every row with it, or the model will never stop",
        );
    } else if !any(&|t| t.id == eos && t.weight != 0.0) {
        findings.error(
            "stop-untrained",
            format!("{}: `{name}` is never trained on, here and in all of {}: its label is -100", first.place, rows_of(rows.len())),
            "it was taken for padding when the labels were made: label the `{name}` that ends a row with its own id"
                .replace("{name}", name),
        );
    }
}

/// A template that puts an empty thought into replies, where it is trained on although no row has it.
fn thinks_itself(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    const MARK: &str = "<think>";
    let mut rows = looked.rows.iter().filter(|row| {
        let Body::Messages(said) = &row.example.body else { return false };
        let written =
            said.iter().any(|m| m.content.contains(MARK) || m.extra.contains_key("reasoning_content"));
        !written
            && row.sequences().any(|s| {
                let trained: Vec<u32> =
                    s.iter().filter(|t| t.weight != 0.0 && t.role == Role::Assistant).map(|t| t.id).collect();
                setting.tokenizer.decode(&trained, false).contains(MARK)
            })
    });
    let Some(first) = rows.next() else { return };
    findings.warning(
        "thought-supervised",
        format!(
            "{}: the template writes an empty `<think></think>` into the reply, and it is trained on, as in {} of {}",
            first.place,
            rows.count() + 1,
            rows_of(looked.rows.len())
        ),
        "make it part of the prompt: { kind = \"chat\", variables = { enable_thinking = false } }",
    );
}
