//! One source after the other, with old ones coming back: a stream of tasks with rehearsal.

use regimen_base::{Error, Key, Persist, Result, Split, State, StateError};

use super::{Draw, Permutation, Sampler, finite};
use crate::{Catalogue, ExampleId, Ledger};

/// How the chance that an old source comes back depends on how many phases ago it last was new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recency {
    /// It does not.
    Uniform,
    /// It falls as lag^(−rate).
    Power,
    /// It falls as e^(−rate·lag).
    Exponential,
}

/// Phase `p` brings source `order[p]`, and with it, at a fixed share of the draws, examples of sources of earlier phases.
/// New examples come in a shuffled order, epoch after epoch; an old one is any of those that are kept of its source. Every
/// example comes `views` times in a row, each time as another view.
#[derive(Clone, Debug)]
pub struct Phases {
    /// The source of each phase; empty is every source once, in order. Behind the last phase its source stays.
    pub order: Vec<usize>,
    /// Draws of a phase, views counted.
    pub draws: u64,
    /// The share of a phase's draws that are old; the first phase has none.
    pub old: f64,
    /// Which old source comes back.
    pub recency: Recency,
    /// Of the law.
    pub rate: f64,
    /// How many examples are kept of all old sources together; 0 keeps all.
    pub keep: u64,
    /// How often an example comes in a row.
    pub views: u64,
    position: u64,
}

impl Phases {
    /// A sampler at its beginning: every source once for `draws` draws, and nothing comes back.
    pub fn new(draws: u64) -> Self {
        let (order, recency) = (Vec::new(), Recency::Uniform);
        Self { order, draws, old: 0.0, recency, rate: 1.0, keep: 0, views: 1, position: 0 }
    }

    /// The source of a phase, of `sources`.
    fn source(&self, phase: u64, sources: usize) -> usize {
        let phases = if self.order.is_empty() { sources } else { self.order.len() };
        let phase = (phase as usize).min(phases - 1);
        if self.order.is_empty() { phase } else { self.order[phase] }
    }

    /// The sources that were new before `phase` and are not now, with their weights.
    fn earlier(&self, phase: u64, sources: usize) -> Vec<(usize, f64)> {
        let now = self.source(phase, sources);
        let mut earlier: Vec<(usize, f64)> = Vec::new();
        for before in (0..phase).rev() {
            let source = self.source(before, sources);
            if source != now && earlier.iter().all(|(known, _)| *known != source) {
                earlier.push((source, self.weight((phase - before) as f64)));
            }
        }
        earlier
    }

    fn weight(&self, lag: f64) -> f64 {
        match self.recency {
            Recency::Uniform => 1.0,
            Recency::Power => lag.powf(-self.rate),
            Recency::Exponential => (-self.rate * lag).exp(),
        }
    }

    /// The draw at a position.
    fn at(&self, position: u64, lens: &[u64], key: Key) -> Draw {
        let (phase, within) = (position / self.draws, position % self.draws);
        // views of one example count as one until the end
        let (turn, view) = (within / self.views, within % self.views);
        let turns = self.draws.div_ceil(self.views);
        let olds = |turn: u64| (turn as f64 * self.old).floor() as u64;
        let here = key.child("phases").at(phase);
        let earlier = if self.old > 0.0 { self.earlier(phase, lens.len()) } else { Vec::new() };
        let is_old = !earlier.is_empty() && olds(turn + 1) > olds(turn);
        let (source, index, pass) = if is_old {
            let own = here.child("old").at(turn);
            let mut rng = own.rng();
            let source = pick(&earlier, rng.f64());
            let kept = match self.keep {
                0 => lens[source],
                keep => (keep / earlier.len() as u64).clamp(1, lens[source]),
            };
            // which ones are kept does not change when fewer are: a shorter beginning of one order
            let order = Permutation::new(lens[source], key.child("kept").at(source as u64));
            (source, order.get(rng.below(kept)), phase * turns + turn)
        } else {
            let source = self.source(phase, lens.len());
            let new = if earlier.is_empty() { turn } else { turn - olds(turn) };
            let epoch = new / lens[source];
            let order = Permutation::new(lens[source], here.child("new").at(epoch));
            (source, order.get(new % lens[source]), phase * turns + epoch)
        };
        let id = ExampleId { source: source as u32, index };
        Draw { id, view: pass * self.views + view, weight: 1.0 }
    }

    fn check(&self, catalogue: &Catalogue) -> Result<Vec<u64>> {
        finite(catalogue, "phases")?;
        let lens: Vec<u64> = catalogue.lens(Split::Train).into_iter().flatten().collect();
        if let Some(beyond) = self.order.iter().find(|&&source| source >= lens.len()) {
            return Err(Error::usage(format!("`order` names source {beyond} of {}", lens.len()))
                .remedy("count the stream's data from 0"));
        }
        if let Some(empty) = lens.iter().position(|&len| len == 0) {
            return Err(Error::data(format!("source {empty} has no rows for its phase")));
        }
        Ok(lens)
    }
}

/// The source at `x` in 0..1 of the sources' shares.
fn pick(sources: &[(usize, f64)], x: f64) -> usize {
    let total: f64 = sources.iter().map(|(_, weight)| weight).sum();
    let mut left = x * total;
    for (source, weight) in sources {
        left -= weight;
        if left < 0.0 {
            return *source;
        }
    }
    // past the last one only by rounding
    sources[sources.len() - 1].0
}

impl Sampler for Phases {
    fn draw(&mut self, n: usize, catalogue: &Catalogue, _: &Ledger, key: Key) -> Result<Vec<Draw>> {
        let lens = self.check(catalogue)?;
        let from = self.position;
        self.position += n as u64;
        Ok((from..self.position).map(|position| self.at(position, &lens, key)).collect())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn seek(&mut self, position: u64, _: &Catalogue, _: Key) -> Result<()> {
        self.position = position;
        Ok(())
    }
}

impl Persist for Phases {
    fn save(&self) -> State {
        State::new().with("position", self.position)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        self.position = state.take_u64("position")?;
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENS: [u64; 4] = [100, 80, 100, 90];

    fn draws(phases: &Phases, phase: u64) -> Vec<Draw> {
        let from = phase * phases.draws;
        (from..from + phases.draws).map(|at| phases.at(at, &LENS, Key::new(7))).collect()
    }

    fn shares(draws: &[Draw]) -> [f64; 4] {
        let mut counts = [0.0; 4];
        for d in draws {
            counts[d.id.source as usize] += 1.0;
        }
        counts.map(|count| count / draws.len() as f64)
    }

    #[test]
    fn a_phase_brings_its_source_and_each_example_once_an_epoch() {
        let phases = Phases::new(160);
        let second = draws(&phases, 1);
        assert_eq!(shares(&second), [0.0, 1.0, 0.0, 0.0]);
        for epoch in second.chunks(80) {
            let mut seen: Vec<u64> = epoch.iter().map(|d| d.id.index).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..80));
        }
        assert!(second[0].view != second[80].view);
    }

    #[test]
    fn old_sources_come_back_by_the_law() {
        let with = |recency, rate| Phases { old: 0.5, recency, rate, ..Phases::new(8000) };
        let close = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 0.015);
        assert_eq!(shares(&draws(&with(Recency::Power, 1.0), 0)), [1.0, 0.0, 0.0, 0.0]);
        let uniform = shares(&draws(&with(Recency::Uniform, 1.0), 3));
        assert!(close(uniform, [1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 0.5]), "{uniform:?}");
        // lags 3, 2, 1
        let sum = 1.0 / 3.0 + 1.0 / 2.0 + 1.0;
        let power = shares(&draws(&with(Recency::Power, 1.0), 3));
        assert!(close(power, [0.5 / 3.0 / sum, 0.5 / 2.0 / sum, 0.5 / sum, 0.5]), "{power:?}");
        let sum = (-3f64).exp() + (-2f64).exp() + (-1f64).exp();
        let e = |lag: f64| 0.5 * (-lag).exp() / sum;
        let exponential = shares(&draws(&with(Recency::Exponential, 1.0), 3));
        assert!(close(exponential, [e(3.0), e(2.0), e(1.0), 0.5]), "{exponential:?}");
    }

    #[test]
    fn what_recurs_is_new_again_and_not_old() {
        let phases = Phases { order: vec![0, 1, 0, 2], old: 0.5, ..Phases::new(1000) };
        let third = shares(&draws(&phases, 2));
        assert!((third[0] - 0.5).abs() < 1e-9 && (third[1] - 0.5).abs() < 1e-9, "{third:?}");
        let fourth = phases.earlier(3, 4);
        assert_eq!(fourth.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [0, 1]);
        // source 0 was new one phase ago, source 1 two
        let power = Phases { recency: Recency::Power, ..phases };
        assert_eq!(power.earlier(3, 4), [(0, 1.0), (1, 0.5)]);
    }

    #[test]
    fn a_buffer_keeps_few_and_shrinks_to_a_part_of_them() {
        let phases = Phases { old: 0.5, keep: 12, ..Phases::new(2000) };
        let kept = |phase: u64, source: u32| {
            let mut seen: Vec<u64> =
                draws(&phases, phase).iter().filter(|d| d.id.source == source).map(|d| d.id.index).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        let (two, three) = (kept(2, 0), kept(3, 0));
        assert_eq!((two.len(), three.len()), (6, 4));
        assert!(three.iter().all(|index| two.contains(index)));
    }

    #[test]
    fn views_follow_each_other_and_rest_in_between() {
        let phases = Phases { old: 0.5, views: 4, ..Phases::new(320) };
        for group in draws(&phases, 1).chunks(4) {
            assert!(group.iter().all(|d| d.id == group[0].id));
            let views: Vec<u64> = group.iter().map(|d| d.view % 4).collect();
            assert_eq!(views, [0, 1, 2, 3]);
        }
        // 40 of the 80 turns are new, so half of the 80 examples have come
        let new: Vec<Draw> = draws(&phases, 1).into_iter().filter(|d| d.id.source == 1).collect();
        assert_eq!(new.len(), 160);
    }
}
