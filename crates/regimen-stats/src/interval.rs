//! Intervals for proportions.

use serde::{Deserialize, Serialize};

use crate::beta;

/// A closed interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

/// The 97.5 % point of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// The Wilson score interval at 95 % for `successes` (which may be fractional scores) out of `n` (Wilson 1927).
/// Without any trial it is all of [0, 1].
pub fn wilson(successes: f64, n: u64) -> Interval {
    if n == 0 {
        return Interval { lo: 0.0, hi: 1.0 };
    }
    let n = n as f64;
    let p = successes / n;
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Interval { lo: (centre - half).max(0.0), hi: (centre + half).min(1.0) }
}

/// The exact interval of Clopper & Pearson (1934) with `alpha` on each side. Its lower end is above 1/2 exactly where
/// the sign test rejects at `alpha`. Without any trial it is all of [0, 1].
pub fn clopper_pearson(wins: u64, n: u64, alpha: f64) -> Interval {
    let (k, l) = (wins as f64, (n - wins) as f64);
    let lo = if wins == 0 { 0.0 } else { beta::quantile(k, l + 1.0, alpha) };
    let hi = if wins == n { 1.0 } else { beta::quantile(k + 1.0, l, 1.0 - alpha) };
    Interval { lo, hi }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table I of Newcombe (1998), method 3.
    #[test]
    fn agrees_with_newcombe() {
        for (x, n, lo, hi) in [
            (81.0, 263, 0.2553, 0.3662),
            (15.0, 148, 0.0624, 0.1605),
            (0.0, 20, 0.0, 0.1611),
            (1.0, 29, 0.0061, 0.1718),
        ] {
            let i = wilson(x, n);
            assert!((i.lo - lo).abs() < 5e-5 && (i.hi - hi).abs() < 5e-5, "{x}/{n}: {i:?}");
        }
    }

    #[test]
    fn the_exact_bound_is_where_the_binomial_tail_is_alpha() {
        for (wins, n) in [(1, 1), (3, 7), (40, 50), (700, 1000), (99_000, 100_000)] {
            let lo = clopper_pearson(wins, n, 0.05).lo;
            let tail = crate::beta::share(wins as f64, (n - wins) as f64 + 1.0, lo);
            assert!((tail - 0.05).abs() < 1e-9, "{wins}/{n}: {tail} at {lo}");
        }
    }

    #[test]
    fn nothing_seen_says_nothing() {
        assert_eq!(wilson(0.0, 0), Interval { lo: 0.0, hi: 1.0 });
    }
}
