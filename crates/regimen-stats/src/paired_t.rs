//! The paired t test: bounds, intervals and p values for the mean of differences.

use crate::{Interval, mean, student};

/// What Student's t needs of n paired differences. Assumes that they are independent draws of one normal
/// distribution; for its behaviour on others see `tests/calibration.rs`.
///
/// Where all differences are equal there is no spread: both bounds are the mean itself, and a p value is 0 or 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PairedT {
    /// Their mean.
    pub mean: f64,
    /// The standard error of the mean, sd/√n.
    pub se: f64,
    /// How many.
    pub n: usize,
}

impl PairedT {
    /// `None` for fewer than two differences, or where one is not finite or so large that its square is not.
    pub fn new(differences: &[f64]) -> Option<Self> {
        if differences.len() < 2 || differences.iter().any(|d| !d.is_finite()) {
            return None;
        }
        let e = mean(differences)?;
        let se = e.sd / (e.n as f64).sqrt();
        (e.mean.is_finite() && se.is_finite()).then_some(Self { mean: e.mean, se, n: e.n })
    }

    /// Degrees of freedom, n − 1.
    pub fn df(self) -> f64 {
        (self.n - 1) as f64
    }

    /// The one-sided lower bound: below the true mean with probability 1 − `alpha`.
    pub fn lower(self, alpha: f64) -> f64 {
        self.mean - student::quantile(1.0 - alpha, self.df()) * self.se
    }

    /// The one-sided upper bound: above the true mean with probability 1 − `alpha`.
    pub fn upper(self, alpha: f64) -> f64 {
        self.mean + student::quantile(1.0 - alpha, self.df()) * self.se
    }

    /// The two-sided interval at `level`. At 1 − 2·alpha its ends are the one-sided bounds.
    pub fn interval(self, level: f64) -> Interval {
        let alpha = 0.5 * (1.0 - level);
        Interval { lo: self.lower(alpha), hi: self.upper(alpha) }
    }

    /// p of "the mean is at most `threshold`" against "it is above". Non-inferiority by a margin m is
    /// `p_above(-m)`.
    pub fn p_above(self, threshold: f64) -> f64 {
        match self.t(threshold) {
            Some(t) => student::above(t, self.df()),
            None => f64::from(self.mean <= threshold),
        }
    }

    /// p of "the mean is at least `threshold`" against "it is below".
    pub fn p_below(self, threshold: f64) -> f64 {
        match self.t(threshold) {
            Some(t) => student::cdf(t, self.df()),
            None => f64::from(self.mean >= threshold),
        }
    }

    /// p of "the mean is `value`" against "it is not".
    pub fn p_two_sided(self, value: f64) -> f64 {
        match self.t(value) {
            Some(t) => 2.0 * student::above(t.abs(), self.df()),
            None => f64::from(self.mean == value),
        }
    }

    fn t(self, at: f64) -> Option<f64> {
        (self.se > 0.0).then(|| (self.mean - at) / self.se)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_and_its_p_value_agree() {
        let t = PairedT::new(&[0.02, -0.01, 0.05, 0.03, 0.01]).expect("five numbers");
        assert!((t.p_above(t.lower(0.05)) - 0.05).abs() < 1e-9);
        assert!((t.p_below(t.upper(0.05)) - 0.05).abs() < 1e-9);
        assert!((t.p_two_sided(t.interval(0.95).lo) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn nothing_comes_of_too_little() {
        assert_eq!(PairedT::new(&[1.0]), None);
        assert_eq!(PairedT::new(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(PairedT::new(&[1.0, f64::INFINITY]), None);
        assert_eq!(PairedT::new(&[1e300, -1e300]), None);
    }

    #[test]
    fn no_spread_leaves_the_mean() {
        let t = PairedT::new(&[0.5; 4]).expect("four numbers");
        assert_eq!((t.lower(0.05), t.upper(0.05)), (0.5, 0.5));
        assert_eq!((t.p_above(0.0), t.p_above(0.5), t.p_below(0.0)), (0.0, 1.0, 1.0));
    }
}
