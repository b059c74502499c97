//! How much of each row is trained on: nothing and everything are both mistakes, and neither shows in a loss curve.

use regimen_data::{Body, Role};

use super::{Findings, Looked, Setting};
use crate::number;

/// Masks of 0 % and of 100 %.
pub fn check(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    nothing(looked, findings);
    everything(looked, setting, findings);
}

fn nothing(looked: &Looked, findings: &mut Findings) {
    // what was dropped is told by its length
    let rows: Vec<_> = looked.rows.iter().filter(|r| !r.made.is_empty()).collect();
    let empty: Vec<_> = rows.iter().filter(|r| !r.teaches()).collect();
    let Some(first) = empty.first() else { return };
    let replies = |body: &Body| match body {
        Body::Messages(said) => said.iter().filter(|m| m.role == Role::Assistant).count(),
        _ => 0,
    };
    let cause = match &first.example.body {
        Body::Messages(_) if replies(&first.example.body) == 0 => "it has no reply of the assistant",
        Body::Messages(said)
            if said
                .iter()
                .filter(|m| m.role == Role::Assistant)
                .all(|m| m.extra.contains_key("train") || m.extra.contains_key("weight")) =>
        {
            "every reply of it says `train = false` or weight 0"
        }
        Body::Tokens(_) => "all of its labels are -100, or its mask is all 0",
        _ => "no token of it is the assistant's",
    };
    let place = &first.place;
    if empty.len() == rows.len() {
        findings.error(
            "mask-empty",
            format!("{place}: nothing to learn in this row, nor in any of {}: {cause}", rows_of(rows.len())),
            "look at the mask with `regimen data show`; give every row a reply, or take `train-on-reply` away",
        );
    } else {
        findings.warning(
            "mask-empty",
            format!(
                "{} of {} have nothing to learn from, the first at {place}: {cause}",
                empty.len(),
                rows_of(rows.len())
            ),
            "they are passed over; remove them, or give them a reply",
        );
    }
}

fn everything(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    if !looked.from_files || setting.everything {
        return;
    }
    let spoken = looked.rows.iter().filter(
        |r| matches!(&r.example.body, Body::Messages(said) if said.iter().any(|m| m.role == Role::User)),
    );
    let rows: Vec<_> = spoken.filter(|r| !r.made.is_empty()).collect();
    let Some(first) = rows.first() else { return };
    if rows.iter().all(|r| r.sequences().all(|s| s.iter().skip(1).all(|t| t.weight != 0.0))) {
        findings.error(
            "mask-full",
            format!("{}: every token is trained on, the user's too, here and in all of {}", first.place, rows_of(rows.len())),
            "add the transform `train-on-reply`; or, if it is meant, write { kind = \"chat\", loss = \"everything\" }",
        );
    }
}

/// `12 rows looked at`.
pub fn rows_of(n: usize) -> String {
    format!("{} looked at", number::plural(n, "row"))
}
