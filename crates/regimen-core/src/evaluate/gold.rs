//! What the model makes of gold text: its loss, its bits per byte, and which side of a preference it finds likelier.

use regimen_base::Result;
use regimen_data::{Body, Example, ExampleId, Notes, Token, apply_all};

use super::{Evaluation, Set, SetResult, Subject, Tally};
use crate::objective::Readings;
use crate::picks::{Content, Picks, Side, Unit, micro_batches};
use crate::probe::pass;

/// Sums over the weighted tokens of one document.
#[derive(Clone, Copy, Default)]
struct Said {
    /// Σ log p, in nats.
    logp: f64,
    tokens: f64,
    bytes: u64,
}

/// Reads the gold text of every example and enters what comes of it.
pub(super) fn read(
    evaluation: &Evaluation,
    set: &Set,
    examples: &[Example],
    subject: &mut Subject,
    result: &mut SetResult,
) -> Result<()> {
    let units = units(evaluation, set, examples, subject)?;
    let mut readings = Readings::default();
    let Some(said) = said(&units, evaluation, subject, &mut readings)? else { return Ok(()) };
    result.probes = readings.values();
    if units.iter().any(|unit| unit.side.is_some()) {
        result.preferred = Some(preferred(&units, &said));
        return Ok(());
    }
    let all = said.iter().fold(Said::default(), |a, b| Said {
        logp: a.logp + b.logp,
        tokens: a.tokens + b.tokens,
        bytes: a.bytes + b.bytes,
    });
    result.loss = (all.tokens > 0.0).then(|| -all.logp / all.tokens);
    result.bits_per_byte = (all.bytes > 0).then(|| -all.logp / std::f64::consts::LN_2 / all.bytes as f64);
    Ok(())
}

/// The documents that fit the model; of a preference both sides or none.
fn units(evaluation: &Evaluation, set: &Set, examples: &[Example], subject: &Subject) -> Result<Vec<Unit>> {
    let context = subject.model.shape()?.max_positions;
    let unit = |example: ExampleId, tokens: Vec<Token>, side| Unit {
        example,
        content: Content::Tokens(tokens),
        weight: 1.0,
        advantage: None,
        side,
    };
    let mut units = Vec::new();
    for example in examples {
        let key = evaluation.key.child("gold");
        for done in apply_all(&set.gold, example.clone(), key, &mut Notes::default())? {
            let row = match done.body {
                Body::Tokens(tokens) => vec![unit(done.id, tokens, None)],
                Body::Pair { chosen, rejected } => vec![
                    unit(done.id, chosen, Some(Side::Chosen)),
                    unit(done.id, rejected, Some(Side::Rejected)),
                ],
                _ => Vec::new(),
            };
            if row.iter().all(|u| u.size() <= context) {
                units.extend(row);
            }
        }
    }
    Ok(units)
}

/// What the model says of each document; `None` when it was told not to go on.
fn said(
    units: &[Unit],
    evaluation: &Evaluation,
    subject: &mut Subject,
    readings: &mut Readings,
) -> Result<Option<Vec<Said>>> {
    let mut all = vec![Said::default(); units.len()];
    for range in micro_batches(units, evaluation.micro_batch_tokens) {
        if !(subject.go)() {
            return Ok(None);
        }
        let first = range.start;
        let picks = Picks::of(&units[range.clone()]);
        if picks.is_empty() {
            continue;
        }
        let model = &mut *subject.model;
        let net = model.net.as_mut();
        let logp = pass(net, &units[range], &picks, subject.clamps, &evaluation.probes, readings)?;
        let tokenizer = model.tokenizer()?;
        for ((pick, &unit), logp) in picks.picks.iter().zip(&picks.unit).zip(logp) {
            let one = &mut all[first + unit as usize];
            one.logp += f64::from(logp);
            one.tokens += 1.0;
            one.bytes += u64::from(tokenizer.byte_len(pick.target));
        }
    }
    Ok(Some(all))
}

fn preferred(units: &[Unit], said: &[Said]) -> Tally {
    let mean = |s: &Said| s.logp / s.tokens.max(1.0);
    let mut tally = Tally::default();
    for (u, _) in units.iter().enumerate().filter(|(_, unit)| unit.side == Some(Side::Chosen)) {
        let right = f64::from(u8::from(mean(&said[u]) > mean(&said[u + 1])));
        tally.add(Tally { score: right, n: 1, parsed: 1, truncated: 0 });
    }
    tally
}
