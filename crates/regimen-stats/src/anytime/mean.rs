//! The anytime-valid t test.
//!
//! **Null and assumption.** The differences are independent draws of one normal distribution of unknown variance whose
//! mean is at most (or at least) a threshold.
//!
//! **Construction.** Let r = Σx / √(n·Σx²), the only thing that the scale of x leaves of it. Its likelihood ratio for a
//! standardised mean δ = µ/σ against δ = 0 is a martingale under µ = 0 (right Haar prior on σ; Lai 1976; Wang & Ramdas,
//! arXiv 2310.03722, §4); mixed over a half-normal δ > 0 with variance 1 (the unit-information prior: worth one seed)
//! it becomes, with a = r·√(n/(n+1)),
//!
//! ```text
//! E = 2 · (n+1)^(-1/2) · (1 − a²)^(-n/2) · F_n(√n · a / √(1 − a²)),   F_n: Student's cdf with n degrees of freedom
//! ```
//!
//! E grows with r, and r, as a function of a shift of all x, grows too (Cauchy–Schwarz). So under any µ ≤ 0 the path of
//! E lies under its path for µ = 0 with the same noise: the whole one-sided null is covered, at every n at once. And
//! the thresholds that E does not reject make a half-line, mean − c·se with c a function of n and alpha alone: a
//! confidence sequence. No spread at all never gives E above 2·(n+1)^((n−1)/2), so at alpha = 0.05 nothing is decided
//! before the fourth seed.

use super::running;
use crate::{Interval, PairedT, student};

/// An e-process and confidence sequence for the mean of paired differences, over the seeds in their order.
#[derive(Clone, PartialEq, Debug)]
pub struct MeanSequence<'a>(&'a [f64]);

impl<'a> MeanSequence<'a> {
    /// `None` where a difference is not finite, or so large that a sum of squares may not be.
    pub fn new(differences: &'a [f64]) -> Option<Self> {
        differences.iter().all(|d| d.abs() < 1e150).then_some(Self(differences))
    }

    /// The e-value after the last difference against "the mean is at most `threshold`"; 1 without any.
    pub fn e_above(&self, threshold: f64) -> f64 {
        if self.0.is_empty() {
            return 1.0;
        }
        let x: Vec<f64> = self.0.iter().map(|d| d - threshold).collect();
        let (sum, square) = x.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        let n = x.len() as f64;
        let r = if square > 0.0 { sum / (n * square).sqrt() } else { 0.0 };
        e_value(r.clamp(-1.0, 1.0), n)
    }

    /// The e-value against "the mean is at least `threshold`".
    pub fn e_below(&self, threshold: f64) -> f64 {
        let mirrored: Vec<f64> = self.0.iter().map(|d| -d).collect();
        MeanSequence(&mirrored).e_above(-threshold)
    }

    /// The confidence sequence after the last difference: each end holds at every n at once with probability
    /// 1 − `alpha`, so it is the best end of all n so far. `None` while n is too small for any end.
    pub fn interval(&self, alpha: f64) -> Option<Interval> {
        self.path(alpha).pop()?
    }

    /// The confidence sequence after every difference.
    pub fn path(&self, alpha: f64) -> Vec<Option<Interval>> {
        let at = |n: usize| {
            let (t, c) = (PairedT::new(&self.0[..n])?, critical(n, alpha)?);
            Some(Interval { lo: t.mean - c * t.se, hi: t.mean + c * t.se })
        };
        running((1..=self.0.len()).map(at))
    }
}

/// E of the module's head.
fn e_value(r: f64, n: f64) -> f64 {
    let a = r * (n / (n + 1.0)).sqrt();
    let rest = 1.0 - a * a;
    2.0 * (n + 1.0).powf(-0.5) * rest.powf(-0.5 * n) * student::cdf((n / rest).sqrt() * a, n)
}

/// The t statistic at which E reaches 1/alpha; `None` where it cannot.
fn critical(n: usize, alpha: f64) -> Option<f64> {
    let (count, wanted) = (n as f64, 1.0 / alpha);
    if e_value(1.0, count) <= wanted {
        return None;
    }
    let e = |t: f64| e_value(t / (count - 1.0 + t * t).sqrt(), count);
    let (mut lo, mut hi) = (0.0, 1.0);
    while e(hi) < wanted {
        (lo, hi) = (hi, 2.0 * hi);
    }
    for _ in 0..60 {
        let middle = 0.5 * (lo + hi);
        if e(middle) < wanted { lo = middle } else { hi = middle }
    }
    Some(hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form against the mixture of likelihood ratios, both integrals by the trapezoidal rule.
    #[test]
    fn closed_form_is_the_mixture() {
        for (x, n) in [(0.8, 5u32), (-0.3, 5), (0.97, 8), (0.1, 2)] {
            let nf = f64::from(n);
            let (mut above, mut below) = (0.0, 0.0);
            for i in 1..1500 {
                let y = 0.01 * f64::from(i);
                let weight = y.powi(n as i32 - 1) * (-0.5 * y * y).exp();
                below += weight;
                for j in 0..1000 {
                    let d = 0.01 * f64::from(j);
                    let prior = (2.0 / std::f64::consts::PI).sqrt() * (-0.5 * d * d).exp() * 0.01;
                    let half = if j == 0 { 0.5 } else { 1.0 };
                    above += half * prior * weight * (-0.5 * nf * d * d + y * d * nf.sqrt() * x).exp();
                }
            }
            let e = e_value(x, nf);
            assert!((above / below / e - 1.0).abs() < 1e-3, "r {x}, n {n}: {} and {e}", above / below);
        }
    }

    #[test]
    fn the_sequence_ends_where_the_e_value_crosses() {
        let d = [0.3, 0.5, 0.2, 0.4, 0.6];
        let last = MeanSequence::new(&d).expect("finite");
        let t = PairedT::new(&d).expect("five");
        let lo = t.mean - critical(5, 0.05).expect("five decide") * t.se;
        assert!((last.e_above(lo) - 20.0).abs() < 1e-6);
        let mirrored = 2.0 * t.mean - lo;
        assert!((last.e_below(mirrored) - 20.0).abs() < 1e-6);
        assert!(last.interval(0.05).expect("five decide").lo >= lo);
    }

    #[test]
    fn three_seeds_decide_nothing_and_four_equal_ones_do() {
        let same = [1.0; 4];
        assert_eq!(MeanSequence::new(&same[..3]).expect("finite").interval(0.05), None);
        let e = MeanSequence::new(&same).expect("finite");
        assert!(e.e_above(0.0) > 20.0 && e.e_above(1.0) < 1.0);
        assert_eq!(e.interval(0.05), Some(Interval { lo: 1.0, hi: 1.0 }));
    }

    #[test]
    fn the_scale_does_not_matter() {
        let d = [0.3, -0.1, 0.2, 0.4];
        let big = d.map(|x| 1e6 * x);
        let (a, b) = (MeanSequence::new(&d).expect("finite"), MeanSequence::new(&big).expect("finite"));
        assert!((a.e_above(0.0) / b.e_above(0.0) - 1.0).abs() < 1e-9);
        assert_eq!(MeanSequence::new(&[]).expect("nothing").e_above(0.0), 1.0);
    }
}
