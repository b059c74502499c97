//! Verdicts as text.

use std::fmt::Write;

use regimen_stats::{Outcome, Verdict};

/// The effect alone: `0.85 [0.78, 0.92]`.
pub fn effect(verdict: &Verdict) -> String {
    let words = verdict.evidence.as_ref().map(regimen_stats::Evidence::words);
    let effect = words.as_deref().and_then(|words| words.rsplit_once(", ")).map(|(effect, _)| effect);
    effect.unwrap_or("-").to_owned()
}

/// `held`, `not held (refuted)`, `inconclusive`.
pub fn outcome(verdict: &Verdict) -> String {
    let words = verdict.outcome.words();
    if verdict.outcome == Outcome::NotHeld && verdict.refuted {
        format!("{words} (refuted)")
    } else {
        words.to_owned()
    }
}

/// A claim with all that its verdict rests on.
pub fn full(label: &str, says: &str, verdict: &Verdict) -> String {
    let mut out = format!("{label}: {}\n  {says}\n", outcome(verdict));
    lines(verdict, 2, &mut out);
    out
}

fn lines(verdict: &Verdict, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let _ = writeln!(out, "{pad}{}", verdict.rule);
    if let Some(evidence) = &verdict.evidence {
        let _ = writeln!(out, "{pad}{} → {}", evidence.words(), verdict.why);
    } else {
        let _ = writeln!(out, "{pad}{}", verdict.why);
    }
    for note in &verdict.notes {
        let _ = writeln!(out, "{pad}note: {note}");
    }
    for part in &verdict.parts {
        let _ = writeln!(out, "{pad}- {}", outcome(part));
        lines(part, indent + 2, out);
    }
}
