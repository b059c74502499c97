//! Student's t distribution, down to the few functions that are needed (Abramowitz & Stegun 26.7).

use crate::beta;

/// P(T ≤ t) with `df` degrees of freedom.
pub fn cdf(t: f64, df: f64) -> f64 {
    if t > 0.0 { 1.0 - tail(t, df) } else { tail(t, df) }
}

/// P(T > t), exact in the far tail where `1 - cdf` has no digits left.
pub fn above(t: f64, df: f64) -> f64 {
    cdf(-t, df)
}

/// The `p`-quantile for p between 1e-6 and 1 − 1e-6; beyond, the inverse loses its digits.
pub fn quantile(p: f64, df: f64) -> f64 {
    let tail = p.min(1.0 - p);
    let x = beta::quantile(0.5 * df, 0.5, 2.0 * tail);
    let t = (df * (1.0 - x) / x).sqrt();
    if p < 0.5 { -t } else { t }
}

/// P(T > |t|).
fn tail(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    0.5 * beta::share(0.5 * df, 0.5, df / (df + t * t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_invert_the_cdf_everywhere() {
        for df in (1..60).chain([100, 316, 1000, 10_000]).map(f64::from) {
            for p in [1e-6f64, 1e-4, 0.01, 0.05, 0.3, 0.499, 0.5, 0.501, 0.8, 0.975, 1.0 - 1e-6] {
                let tail = p.min(1.0 - p);
                let back = if p < 0.5 { cdf(quantile(p, df), df) } else { above(quantile(p, df), df) };
                assert!((back / tail - 1.0).abs() < 1e-8, "p {p}, df {df}: {back}");
            }
        }
    }

    #[test]
    fn ends() {
        assert_eq!((cdf(f64::INFINITY, 3.0), cdf(f64::NEG_INFINITY, 3.0), cdf(0.0, 3.0)), (1.0, 0.0, 0.5));
        assert!(cdf(f64::NAN, 3.0).is_nan());
    }
}
