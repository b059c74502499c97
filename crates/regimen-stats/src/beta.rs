//! The incomplete beta function, under Student's t and the binomial.

use special::Beta;

/// ln B(a, b) for a, b > 0.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    a.ln_beta(b)
}

/// I_x(a, b), the share of the beta distribution below `x` in [0, 1]; NaN for NaN.
pub fn share(a: f64, b: f64, x: f64) -> f64 {
    if x.is_nan() { x } else { x.inc_beta(a, b, a.ln_beta(b)) }
}

/// The x with I_x(a, b) = `share`.
pub fn quantile(a: f64, b: f64, share: f64) -> f64 {
    share.inv_inc_beta(a, b, a.ln_beta(b))
}
