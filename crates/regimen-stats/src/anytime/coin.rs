//! The anytime-valid sign test.
//!
//! **Null and assumption.** Seeds are independent, each is a win with probability at most `p`. The likelihood ratio of
//! q > p against p has an expected factor of at most 1 at every seed under any such null; mixed over q uniform on
//! (p, 1) it is a supermartingale with a closed form in the incomplete beta function (after Robbins 1970).

use crate::Interval;
use crate::beta::{ln_beta, share};

/// An e-process and confidence sequence for the chance of a win.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoinSequence {
    wins: u64,
    n: u64,
}

impl CoinSequence {
    /// `None` for more wins than seeds.
    pub fn new(wins: u64, n: u64) -> Option<Self> {
        (wins <= n).then_some(Self { wins, n })
    }

    /// The e-value after these seeds against "a win has at most probability `p`", 0 < p < 1.
    pub fn e_above(self, p: f64) -> f64 {
        let (k, l) = (self.wins as f64, (self.n - self.wins) as f64);
        let mixed = ln_beta(k + 1.0, l + 1.0) + share(l + 1.0, k + 1.0, 1.0 - p).ln();
        (mixed - (1.0 - p).ln() - k * p.ln() - l * (1.0 - p).ln()).exp()
    }

    /// The chances of a win that neither side rejects now: each end holds at every n at once with probability
    /// 1 − `alpha`.
    pub fn interval(self, alpha: f64) -> Interval {
        let mirrored = Self { wins: self.n - self.wins, n: self.n };
        Interval { lo: self.lower(alpha), hi: 1.0 - mirrored.lower(alpha) }
    }

    /// Bisection: E falls in p wherever it is above 1.
    fn lower(self, alpha: f64) -> f64 {
        if self.wins == 0 {
            return 0.0;
        }
        let (mut lo, mut hi) = (0.0, self.wins as f64 / self.n as f64);
        for _ in 0..60 {
            let middle = 0.5 * (lo + hi);
            if middle > 0.0 && self.e_above(middle) < 1.0 / alpha { hi = middle } else { lo = middle }
        }
        lo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wins_alone_have_a_closed_form() {
        let e = CoinSequence::new(7, 7).expect("7 of 7").e_above(0.5);
        assert!((e - (2f64.powi(8) - 1.0) / 8.0).abs() < 1e-9, "{e}");
        assert!(CoinSequence::new(2, 1).is_none());
    }

    #[test]
    fn decides_at_the_seventh_win() {
        let lower = |n| CoinSequence::new(n, n).expect("all").interval(0.05).lo;
        assert!(lower(6) < 0.5 && lower(7) > 0.5, "{} {}", lower(6), lower(7));
        let split = CoinSequence::new(3, 6).expect("half").interval(0.05);
        assert!(split.lo < 0.5 && split.hi > 0.5 && (split.lo + split.hi - 1.0).abs() < 1e-9);
        let none = CoinSequence::new(0, 0).expect("nothing").interval(0.05);
        assert_eq!((none.lo, none.hi), (0.0, 1.0));
    }

    /// The expected factor of one more seed, from every state that can be reached, exactly.
    #[test]
    fn no_seed_is_expected_to_gain() {
        for n in 0..12u64 {
            for k in 0..=n {
                for (p, truth) in [(0.5, 0.5), (0.5, 0.3), (0.7, 0.65)] {
                    let e = |k, n| CoinSequence::new(k, n).expect("k <= n").e_above(p);
                    let next = truth * e(k + 1, n + 1) + (1.0 - truth) * e(k, n + 1);
                    assert!(next <= e(k, n) * (1.0 + 1e-9), "{k}/{n} at {p}");
                }
            }
        }
    }
}
