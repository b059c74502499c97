//! What the model has seen: how often each example, how many tokens, when last.

use std::collections::BTreeSet;

use regimen_base::{Persist, Split, State, StateError};

use crate::{Catalogue, ExampleId};

/// What happened to one example.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// How often it was trained on.
    pub times: u64,
    /// How many of its tokens were trained on, all times together.
    pub tokens: u64,
    /// The optimiser step of the last time.
    pub last_step: u64,
}

/// What happened to a source, or to all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Examples trained on, repetitions counted.
    pub draws: u64,
    /// Different examples trained on.
    pub distinct: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// The last optimiser step that had any of it.
    pub last_step: u64,
}

/// Counts per source, and per example of the sources that end. An endless source never repeats an example, so its
/// totals say everything and it costs no memory.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ledger {
    sources: Vec<Account>,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Account {
    totals: Totals,
    /// `None` for an endless source.
    examples: Option<Vec<Seen>>,
}

impl Ledger {
    /// An empty ledger for these sources.
    pub fn new(catalogue: &Catalogue) -> Self {
        let account =
            |len: Option<u64>| Account { totals: Totals::default(), examples: len.map(|_| Vec::new()) };
        Self { sources: catalogue.lens(Split::Train).into_iter().map(account).collect() }
    }

    /// Enters that `tokens` of an example were trained on at `step`. Sources that the catalogue did not have are
    /// entered as ones that end.
    pub fn record(&mut self, id: ExampleId, tokens: u64, step: u64) {
        let source = id.source as usize;
        if source >= self.sources.len() {
            self.sources
                .resize_with(source + 1, || Account { examples: Some(Vec::new()), ..Account::default() });
        }
        let account = &mut self.sources[source];
        let first = match &mut account.examples {
            None => true,
            Some(examples) => {
                let index = id.index as usize;
                if index >= examples.len() {
                    examples.resize(index + 1, Seen::default());
                }
                let seen = &mut examples[index];
                seen.times += 1;
                seen.tokens += tokens;
                seen.last_step = step;
                seen.times == 1
            }
        };
        account.totals.draws += 1;
        account.totals.distinct += u64::from(first);
        account.totals.tokens += tokens;
        account.totals.last_step = step;
    }

    /// What happened to an example; `None` when nothing did, or when its source has no end.
    pub fn seen(&self, id: ExampleId) -> Option<Seen> {
        let examples = self.sources.get(id.source as usize)?.examples.as_ref()?;
        examples.get(usize::try_from(id.index).ok()?).filter(|s| s.times > 0).copied()
    }

    /// What happened to a source.
    pub fn source(&self, source: u32) -> Totals {
        self.sources.get(source as usize).map(|a| a.totals).unwrap_or_default()
    }

    /// What happened to all.
    pub fn total(&self) -> Totals {
        self.sources.iter().fold(Totals::default(), |sum, a| Totals {
            draws: sum.draws + a.totals.draws,
            distinct: sum.distinct + a.totals.distinct,
            tokens: sum.tokens + a.totals.tokens,
            last_step: sum.last_step.max(a.totals.last_step),
        })
    }
}

/// A saved array holds f32, which count exactly to 2²⁴: a column is written as its digits to that base, the higher
/// digits only where there are any.
const BASE: u64 = 1 << 24;

fn digits(state: State, name: &str, values: &[u64]) -> State {
    let low = values.iter().map(|v| (v % BASE) as f32).collect();
    let state = state.with_array(&format!("{name}.0"), low);
    if values.iter().all(|v| *v < BASE) {
        return state;
    }
    state.with_array(&format!("{name}.1"), values.iter().map(|v| (v / BASE) as f32).collect())
}

fn undigits(state: &mut State, name: &str, len: usize) -> Result<Vec<u64>, StateError> {
    let low = state.take_array(&format!("{name}.0"), len)?;
    let high = format!("{name}.1");
    let high = if state.arrays.contains_key(&high) { state.take_array(&high, len)? } else { vec![0.0; len] };
    Ok(low.iter().zip(high).map(|(l, h)| *l as u64 + BASE * h as u64).collect())
}

impl Persist for Ledger {
    fn save(&self) -> State {
        let mut state = State::new().with("sources", self.sources.len() as u64);
        for (i, account) in self.sources.iter().enumerate() {
            let t = &account.totals;
            let mut inner = State::new()
                .with("draws", t.draws)
                .with("distinct", t.distinct)
                .with("tokens", t.tokens)
                .with("last-step", t.last_step);
            if let Some(examples) = &account.examples {
                let column = |f: fn(&Seen) -> u64| examples.iter().map(f).collect::<Vec<_>>();
                inner = inner.with("examples", examples.len() as u64);
                inner = digits(inner, "times", &column(|s| s.times));
                inner = digits(inner, "tokens", &column(|s| s.tokens));
                inner = digits(inner, "last-step", &column(|s| s.last_step));
            }
            state.nest(&i.to_string(), inner);
        }
        state
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let count = state.take_u64("sources")?;
        let known: BTreeSet<&str> = state.facts.keys().filter_map(|k| k.split('/').next()).collect();
        if known.len() as u64 != count {
            return Err(StateError(format!("the saved ledger has {} sources, not {count}", known.len())));
        }
        let mut sources = Vec::new();
        for i in 0..count {
            let mut inner = state.take_nested(&i.to_string());
            let totals = Totals {
                draws: inner.take_u64("draws")?,
                distinct: inner.take_u64("distinct")?,
                tokens: inner.take_u64("tokens")?,
                last_step: inner.take_u64("last-step")?,
            };
            let ends = inner.facts.contains_key("examples");
            let examples = ends.then(|| load_examples(&mut inner)).transpose()?;
            inner.finish()?;
            sources.push(Account { totals, examples });
        }
        state.finish()?;
        self.sources = sources;
        Ok(())
    }
}

fn load_examples(state: &mut State) -> Result<Vec<Seen>, StateError> {
    let len = state.take_u64("examples")? as usize;
    let times = undigits(state, "times", len)?;
    let tokens = undigits(state, "tokens", len)?;
    let last = undigits(state, "last-step", len)?;
    let rows = times.into_iter().zip(tokens).zip(last);
    Ok(rows.map(|((times, tokens), last_step)| Seen { times, tokens, last_step }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: u32, index: u64) -> ExampleId {
        ExampleId { source, index }
    }

    fn ledger() -> Ledger {
        let mut l = Ledger {
            sources: vec![
                Account { examples: Some(Vec::new()), ..Account::default() },
                Account { examples: None, ..Account::default() },
            ],
        };
        l.record(id(0, 4), 10, 1);
        l.record(id(0, 4), BASE * 3 + 7, 2);
        l.record(id(0, 0), 5, 3);
        l.record(id(1, 9_000_000_000), 8, 3);
        l
    }

    #[test]
    fn counts_per_example_and_per_source() {
        let l = ledger();
        assert_eq!(l.seen(id(0, 4)), Some(Seen { times: 2, tokens: BASE * 3 + 17, last_step: 2 }));
        assert_eq!((l.seen(id(0, 1)), l.seen(id(0, 99)), l.seen(id(1, 9_000_000_000))), (None, None, None));
        assert_eq!(l.source(0), Totals { draws: 3, distinct: 2, tokens: BASE * 3 + 22, last_step: 3 });
        assert_eq!(l.source(1), Totals { draws: 1, distinct: 1, tokens: 8, last_step: 3 });
        assert_eq!(l.total().draws, 4);
    }

    #[test]
    fn every_count_survives_saving() {
        let l = ledger();
        let mut back = Ledger::default();
        back.load(l.save()).unwrap();
        assert_eq!(back, l);
        let mut broken = l.save();
        broken.arrays.remove("0/times.0");
        assert!(back.load(broken).is_err());
    }
}
