//! Rows that are too long, cut or left out.

use super::masks::rows_of;
use super::{Findings, Looked, Setting};

/// What did not fit.
pub fn check(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let long: Vec<_> = looked
        .rows
        .iter()
        .filter_map(|r| r.sequences().map(<[_]>::len).filter(|n| *n > setting.context).max().map(|n| (r, n)))
        .collect();
    if let Some((row, tokens)) = long.first() {
        findings.error(
            "too-long",
            format!(
                "{}: the row has {tokens} tokens, the context is {}; so have {} of {} too many",
                row.place,
                setting.context,
                long.len(),
                rows_of(looked.rows.len())
            ),
            "add { kind = \"max-length\" } (leaves them out) or { kind = \"chunk\" } (plain text) to the transforms, or raise `context`",
        );
    }
    let rows = looked.rows.len() as u64;
    for (what, count) in looked.notes.counts() {
        if !(what.starts_with("dropped") || *what == "truncated") {
            continue;
        }
        let first = looked.notes.first(what).first();
        let first = first.and_then(|id| looked.rows.iter().find(|r| r.example.id == *id));
        let place = first.map_or_else(String::new, |r| format!(", the first at {}", r.place));
        let share = 100 * count / rows.max(1);
        let told = format!("{count} of {} are {what} ({share} %){place}", rows_of(looked.rows.len()));
        let remedy = format!(
            "raise `context` (now {}) or the model's `max-positions`, or shorten the rows",
            setting.context
        );
        if *count == rows && what.starts_with("dropped") {
            findings.error("all-dropped", told, remedy);
        } else {
            findings.warning(if *what == "truncated" { "truncated" } else { "dropped" }, told, remedy);
        }
    }
}
