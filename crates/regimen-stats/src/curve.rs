//! Learning curves.

use regimen_base::{Error, Result};

/// A reading over training: (step, value), steps rising. A value may be NaN (a run that diverged): it then counts as
/// met by nothing and spoils what reads it.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve(Vec<(f64, f64)>);

/// Which way a curve has to cross.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// At or above the threshold (an accuracy).
    Rising,
    /// At or below it (a loss).
    Falling,
}

/// What counts as crossing: `hold` points in a row beyond `threshold`; the onset is the step of the first of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Crossing {
    /// The level.
    pub threshold: f64,
    /// From which side.
    pub side: Side,
    /// How many points in a row, at least 1; more than one keeps a lucky point from counting.
    pub hold: usize,
}

impl Curve {
    /// Errors where there is no point, or where a step is not finite or not above the one before.
    pub fn new(points: Vec<(f64, f64)>) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::data("a curve without points"));
        }
        if let Some((x, _)) = points.iter().find(|p| !p.0.is_finite()) {
            return Err(Error::data(format!("a curve has the step {x}")));
        }
        if let Some(pair) = points.windows(2).find(|w| w[1].0 <= w[0].0) {
            return Err(Error::data(format!("a curve goes from step {} to step {}", pair[0].0, pair[1].0)));
        }
        Ok(Self(points))
    }

    /// All points, by step.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.0
    }

    /// The points with from ≤ step ≤ to.
    pub fn between(&self, from: f64, to: f64) -> &[(f64, f64)] {
        let start = self.0.partition_point(|p| p.0 < from);
        let end = self.0.partition_point(|p| p.0 <= to);
        &self.0[start..end.max(start)]
    }

    /// The step at which the curve crosses, or `None` if it never does.
    pub fn onset(&self, crossing: Crossing) -> Option<f64> {
        let beyond = |y: f64| match crossing.side {
            Side::Rising => y >= crossing.threshold,
            Side::Falling => y <= crossing.threshold,
        };
        let run = crossing.hold.max(1);
        self.0.windows(run).find(|w| w.iter().all(|p| beyond(p.1))).map(|w| w[0].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        Curve::new(values.iter().enumerate().map(|(i, y)| (10.0 * i as f64, *y)).collect()).expect("points")
    }

    fn rising(threshold: f64, hold: usize) -> Crossing {
        Crossing { threshold, side: Side::Rising, hold }
    }

    #[test]
    fn a_lucky_point_is_no_onset() {
        let c = curve(&[0.1, 0.9, 0.2, 0.9, 0.95, 0.92]);
        assert_eq!(c.onset(rising(0.9, 1)), Some(10.0));
        assert_eq!(c.onset(rising(0.9, 2)), Some(30.0));
        assert_eq!(c.onset(rising(0.9, 4)), None);
        assert_eq!(c.onset(rising(0.9, 99)), None);
        assert_eq!(c.onset(Crossing { threshold: 0.2, side: Side::Falling, hold: 1 }), Some(0.0));
    }

    #[test]
    fn nan_crosses_nothing() {
        assert_eq!(curve(&[f64::NAN, f64::NAN]).onset(rising(0.0, 1)), None);
    }

    #[test]
    fn windows_include_both_ends() {
        let c = curve(&[0.0, 1.0, 2.0, 3.0]);
        assert_eq!(c.between(10.0, 20.0), &[(10.0, 1.0), (20.0, 2.0)]);
        assert!(c.between(11.0, 12.0).is_empty() && c.between(5.0, 1.0).is_empty());
    }

    #[test]
    fn steps_must_rise() {
        let bad = Curve::new(vec![(1.0, 0.0), (1.0, 1.0)]).expect_err("steps repeat");
        assert_eq!(bad.what, "a curve goes from step 1 to step 1");
        assert!(Curve::new(vec![]).is_err() && Curve::new(vec![(f64::NAN, 0.0)]).is_err());
    }
}
