//! Rows that repeat, and held-out rows that are trained on. Whole contents are compared for every row of a file,
//! prompts for as many as can be read in a moment.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use regimen_base::Split;
use regimen_data::{Body, Role, Source, prompt_of};

use super::Findings;
use crate::number;

/// Rows of one side whose prompts are compared.
const PROMPTS: u64 = 10_000;

/// Where a row of a side of some sources stands.
type Row<'a> = (&'a Arc<dyn Source>, u64);

/// Rows of one source that say the same.
pub fn duplicates(source: &Arc<dyn Source>, findings: &mut Findings) {
    let mut first = BTreeMap::new();
    let (mut again, mut example) = (0usize, None);
    let len = source.len(Split::Train).unwrap_or(0);
    for index in 0..len {
        let Some(hash) = source.fingerprint(index, Split::Train) else { return };
        match first.get(&hash) {
            None => drop(first.insert(hash, index)),
            Some(before) => {
                again += 1;
                example.get_or_insert((index, *before));
            }
        }
    }
    if let Some((index, before)) = example {
        let place = |i| source.place(i, Split::Train);
        findings.warning(
            "duplicates",
            format!(
                "{}: {} {} an earlier one, the first at {} that of {}",
                source.name(),
                number::plural(again, "row"),
                if again == 1 { "repeats" } else { "repeat" },
                place(index),
                place(before)
            ),
            "remove them, unless they are meant to weigh more",
        );
    }
}

/// Held-out rows that are also trained on.
pub fn leaks(trained: &[Arc<dyn Source>], held_out: &[Arc<dyn Source>], findings: &mut Findings) {
    let seen =
        table(trained, Split::Train, |(source, index)| source.fingerprint(index, Split::Train), u64::MAX);
    let whole = count(&seen, held_out, |(source, index)| source.fingerprint(index, Split::Eval), u64::MAX);
    if let Some((n, of, (source, index), (other, at))) = whole {
        findings.error(
            "leak",
            format!(
                "{}: {n} of {of} held-out rows are trained on as well, the first is also at {}",
                source.place(index, Split::Eval),
                other.place(at, Split::Train)
            ),
            "remove them from one of the files, or hold rows out with `eval = 0.05`, which keeps both sides apart",
        );
        return;
    }
    let seen = table(trained, Split::Train, |row| prompt(row, Split::Train), PROMPTS);
    let asked = count(&seen, held_out, |row| prompt(row, Split::Eval), PROMPTS);
    if let Some((n, of, (source, index), (other, at))) = asked {
        findings.warning(
            "prompt-leak",
            format!(
                "{}: {n} of {of} held-out prompts are trained on with another reply, the first at {}",
                source.place(index, Split::Eval),
                other.place(at, Split::Train)
            ),
            "put all replies to one prompt on one side",
        );
    }
}

fn table(
    sources: &[Arc<dyn Source>],
    split: Split,
    hash: impl Fn(Row) -> Option<u64>,
    most: u64,
) -> BTreeMap<u64, Row<'_>> {
    let rows = sources.iter().flat_map(|source| spread(source, split, most).map(move |i| (source, i)));
    rows.filter_map(|row| Some((hash(row)?, row))).collect()
}

type Found<'a> = (usize, usize, Row<'a>, Row<'a>);

fn count<'a>(
    seen: &BTreeMap<u64, Row<'a>>,
    sources: &'a [Arc<dyn Source>],
    hash: impl Fn(Row) -> Option<u64>,
    most: u64,
) -> Option<Found<'a>> {
    let (mut n, mut of, mut first) = (0, 0, None);
    for source in sources {
        for index in spread(source, Split::Eval, most) {
            let Some(hash) = hash((source, index)) else { continue };
            of += 1;
            if let Some(row) = seen.get(&hash) {
                n += 1;
                first.get_or_insert(((source, index), *row));
            }
        }
    }
    first.map(|(row, other)| (n, of, row, other))
}

/// Up to `most` indices, evenly over the source. Tasks keep their splits apart themselves.
fn spread(source: &Arc<dyn Source>, split: Split, most: u64) -> impl Iterator<Item = u64> + use<> {
    let len = source.len(split).filter(|_| source.is_in_files()).unwrap_or(0);
    let take = len.min(most);
    (0..take).map(move |i| (u128::from(i) * u128::from(len) / u128::from(take.max(1))) as u64)
}

/// A hash of what is asked, where a reply follows.
fn prompt((source, index): Row, split: Split) -> Option<u64> {
    let Body::Messages(said) = source.get(index, split).ok()?.body else { return None };
    let asked = prompt_of(&said);
    let asked: Vec<&str> =
        asked.iter().filter(|m| m.role == Role::User).map(|m| m.content.as_str()).collect();
    let mut hasher = DefaultHasher::new();
    asked.hash(&mut hasher);
    (!asked.is_empty()).then(|| hasher.finish())
}
