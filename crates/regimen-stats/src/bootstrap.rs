//! Bootstrap intervals for a mean.

use regimen_base::Key;

use crate::{Interval, PairedT};

/// Resamples of a set of differences, with replacement: their means and their t statistics about the mean seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Bootstrap {
    seen: PairedT,
    means: Vec<f64>,
    ts: Vec<f64>,
}

impl Bootstrap {
    /// `draws` resamples, all from `key`. `None` for fewer than two differences, for one that is not finite, or for no
    /// draws.
    pub fn new(differences: &[f64], draws: usize, key: Key) -> Option<Self> {
        let seen = PairedT::new(differences)?;
        if draws == 0 {
            return None;
        }
        let (mut means, mut ts) = (Vec::with_capacity(draws), Vec::with_capacity(draws));
        let mut rng = key.rng();
        let mut resample = vec![0.0; differences.len()];
        for _ in 0..draws {
            resample.fill_with(|| differences[rng.index(differences.len())]);
            let t = PairedT::new(&resample)?;
            means.push(t.mean);
            ts.push(studentise(t, seen.mean));
        }
        means.sort_by(f64::total_cmp);
        ts.sort_by(f64::total_cmp);
        Some(Self { seen, means, ts })
    }

    /// The percentile interval (Efron 1979). At n = 5 it is far too short: its one-sided 95 % bound is above a true
    /// mean in 10.8 % of normal cases.
    pub fn percentile(&self, level: f64) -> Interval {
        let (lo, hi) = ends(&self.means, level);
        Interval { lo, hi }
    }

    /// The studentised (bootstrap-t) interval (Hall 1988); `None` where n is so small that resamples without any
    /// spread leave it unbounded.
    pub fn studentised(&self, level: f64) -> Option<Interval> {
        let PairedT { mean, se, .. } = self.seen;
        if se == 0.0 {
            return Some(Interval { lo: mean, hi: mean });
        }
        let (lo, hi) = ends(&self.ts, level);
        let interval = Interval { lo: mean - hi * se, hi: mean - lo * se };
        (interval.lo.is_finite() && interval.hi.is_finite()).then_some(interval)
    }
}

/// A resample without spread is infinitely many of its standard errors away.
fn studentise(t: PairedT, centre: f64) -> f64 {
    let off = t.mean - centre;
    if off == 0.0 { 0.0 } else { off / t.se }
}

/// The order statistics that cut off (1 − level)/2 on each side.
fn ends(sorted: &[f64], level: f64) -> (f64, f64) {
    let last = sorted.len() - 1;
    let cut = (0.5 * (1.0 - level) * (sorted.len() + 1) as f64).floor() as usize;
    let i = cut.clamp(1, last / 2 + 1) - 1;
    (sorted[i], sorted[last - i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_interval() {
        let d = [0.3, -0.1, 0.4, 0.2, 0.0, 0.1];
        let b = |seed| Bootstrap::new(&d, 500, Key::new(seed)).expect("six numbers");
        assert_eq!(b(1), b(1));
        assert_ne!(b(1), b(2));
    }

    #[test]
    fn centred_and_ordered() {
        let d = [0.3, -0.1, 0.4, 0.2, 0.0, 0.1, 0.25, 0.05];
        let b = Bootstrap::new(&d, 2000, Key::new(1)).expect("eight numbers");
        let (p, t) = (b.percentile(0.9), b.studentised(0.9).expect("bounded"));
        assert!(p.lo < 0.15 && 0.15 < p.hi && t.lo < p.lo && t.hi > p.hi, "{p:?} {t:?}");
    }

    #[test]
    fn two_differences_bound_nothing() {
        let b = Bootstrap::new(&[1.0, 2.0], 999, Key::new(1)).expect("two numbers");
        assert_eq!(b.studentised(0.9), None);
        assert!(Bootstrap::new(&[1.0], 999, Key::new(1)).is_none());
    }
}
