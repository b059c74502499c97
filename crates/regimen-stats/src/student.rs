//! Student's t distribution, down to the few functions that are needed (Abramowitz & Stegun 26.7).

use statrs::function::beta::{beta_reg, inv_beta_reg};

/// P(T ≤ t) with `df` degrees of freedom.
pub fn cdf(t: f64, df: f64) -> f64 {
    if t > 0.0 { 1.0 - tail(t, df) } else { tail(t, df) }
}

/// P(T > t), exact in the far tail where `1 - cdf` has no digits left.
pub fn above(t: f64, df: f64) -> f64 {
    cdf(-t, df)
}

/// The `p`-quantile for 0 < p < 1.
pub fn quantile(p: f64, df: f64) -> f64 {
    let tail = p.min(1.0 - p);
    let x = inv_beta_reg(0.5 * df, 0.5, 2.0 * tail);
    let t = (df * (1.0 - x) / x).sqrt();
    if p < 0.5 { -t } else { t }
}

/// P(T > |t|).
fn tail(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    0.5 * beta_reg(0.5 * df, 0.5, df / (df + t * t))
}
