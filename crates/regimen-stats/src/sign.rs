//! Tests that look at signs: the exact sign-flip test, and the sign test.

use regimen_base::Key;

use crate::beta;

/// Up to this many differences all 2ⁿ flips are counted.
const EXACT: usize = 20;
/// Beyond, this many are drawn.
const DRAWS: u64 = 99_999;

/// p of the sign-flip test that the differences lie above `threshold` (Fisher 1935, §21). The null: each is
/// symmetric about a value ≤ `threshold`. The share of the sign patterns whose mean is at least the one seen: exact
/// for n ≤ 20, where the smallest possible p is 2⁻ⁿ; beyond, 99 999 patterns drawn from `key` (and the one seen).
///
/// `None` for no differences, or where one is not finite.
pub fn sign_flip(differences: &[f64], threshold: f64, key: Key) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let d: Vec<f64> = differences.iter().map(|d| d - threshold).collect();
    let size: f64 = d.iter().map(|d| d.abs()).sum();
    // a pattern with the same mean but for rounding counts as reaching it
    let seen = d.iter().sum::<f64>() - 1e-12 * size;
    if d.len() <= EXACT {
        return Some(reaching(&d, 0.0, seen) as f64 / (1u64 << d.len()) as f64);
    }
    let mut rng = key.rng();
    let drawn = (0..DRAWS).filter(|_| {
        let flipped: f64 = d.iter().map(|d| if rng.chance(0.5) { *d } else { -d }).sum();
        flipped >= seen
    });
    Some((drawn.count() + 1) as f64 / (DRAWS + 1) as f64)
}

/// How many sign patterns of `rest`, added to `sum`, reach `seen`.
fn reaching(rest: &[f64], sum: f64, seen: f64) -> u64 {
    match rest.split_first() {
        None => u64::from(sum >= seen),
        Some((d, rest)) => reaching(rest, sum + d, seen) + reaching(rest, sum - d, seen),
    }
}

/// p of the exact sign test: at least `wins` of `n` fair coins.
pub fn sign_test(wins: u64, n: u64) -> f64 {
    if wins == 0 {
        return 1.0;
    }
    beta::share(wins as f64, (n - wins) as f64 + 1.0, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(d: &[f64], threshold: f64) -> f64 {
        sign_flip(d, threshold, Key::new(0)).expect("finite numbers")
    }

    #[test]
    fn counts_the_patterns() {
        assert_eq!(p(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0), 1.0 / 32.0);
        assert_eq!(p(&[-1.0, 2.0, 3.0, 4.0, 5.0], 0.0), 2.0 / 32.0);
        assert_eq!(p(&[0.0; 5], 0.0), 1.0);
        assert_eq!(p(&[3.0, 4.0, 5.0], 4.0), 6.0 / 8.0);
    }

    /// 0.1 + 0.2 − 0.3 is not 0 in binary, yet the patterns ± are ties.
    #[test]
    fn rounding_makes_no_order() {
        assert_eq!(p(&[0.1, 0.2, -0.3], 0.0), p(&[1.0, 2.0, -3.0], 0.0));
    }

    #[test]
    fn drawn_patterns_come_near_the_exact_count() {
        let d: Vec<f64> = (0..20).map(|i| f64::from(i) - 6.0).collect();
        let exact = p(&d, 0.0);
        let padded: Vec<f64> = d.iter().copied().chain([0.0]).collect(); // a zero changes no mean
        assert!((p(&padded, 0.0) - exact).abs() < 0.002, "{exact} {}", p(&padded, 0.0));
    }

    #[test]
    fn sign_test_is_binomial() {
        assert!((sign_test(5, 5) - 1.0 / 32.0).abs() < 1e-12);
        assert!((sign_test(7, 8) - 9.0 / 256.0).abs() < 1e-12);
        assert_eq!(sign_test(0, 8), 1.0);
    }
}
