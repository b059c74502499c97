//! Learning curves as laws.

use crate::Line;

/// The law of a learning curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// y = a + b·x^(−c), for x > 0.
    Power,
    /// y = a + b·e^(−c·x).
    Exponential,
}

/// A law fitted to points.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fit {
    /// Which.
    pub law: Law,
    /// Where the curve ends.
    pub a: f64,
    /// How far it has to go (below 0 for a rising curve).
    pub b: f64,
    /// How fast, above 0.
    pub c: f64,
    /// Root of the mean squared residual.
    pub rmse: f64,
    /// The share of the variance that the law explains.
    pub r2: f64,
}

/// Rates tried before the best is refined.
const GRID: usize = 200;

impl Fit {
    /// Least squares over all of (a, b, c): for each rate c the best a and b are a straight line, so only c is
    /// searched, on a fixed logarithmic grid and then by golden section about its best. No start value, no step size.
    ///
    /// `None` for fewer than four different x, for a number that is not finite, for x ≤ 0 with a power law, or for
    /// points without any spread in y.
    pub fn new(law: Law, points: &[(f64, f64)]) -> Option<Self> {
        let mut x: Vec<f64> = points.iter().map(|p| p.0).collect();
        x.sort_by(f64::total_cmp);
        x.dedup();
        let finite = points.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        if !finite || x.len() < 4 || (law == Law::Power && x[0] <= 0.0) {
            return None;
        }
        let (lo, hi) = match law {
            Law::Power => (1e-3f64, 20.0),
            Law::Exponential => (1e-3 / (x[x.len() - 1] - x[0]), 20.0 / (x[1] - x[0])),
        };
        let at = |i: usize| lo.ln() + (hi / lo).ln() * i as f64 / (GRID - 1) as f64;
        let loss = |ln_c: f64| with_rate(law, ln_c.exp(), points).map_or(f64::INFINITY, |f| f.rmse);
        let best = (0..GRID).min_by(|&i, &j| loss(at(i)).total_cmp(&loss(at(j))))?;
        let ln_c = golden(loss, at(best.saturating_sub(1)), at((best + 1).min(GRID - 1)));
        with_rate(law, ln_c.exp(), points)
    }

    /// The law at `x`.
    pub fn at(self, x: f64) -> f64 {
        self.a + self.b * basis(self.law, self.c, x)
    }
}

fn basis(law: Law, c: f64, x: f64) -> f64 {
    match law {
        Law::Power => x.powf(-c),
        Law::Exponential => (-c * x).exp(),
    }
}

/// The best a and b for one rate.
fn with_rate(law: Law, c: f64, points: &[(f64, f64)]) -> Option<Fit> {
    // from the first x on: otherwise a steep law has no digits left where the points are
    let first = points.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let shrunk = |x: f64| match law {
        Law::Power => (x / first).powf(-c),
        Law::Exponential => (-c * (x - first)).exp(),
    };
    let bent: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (shrunk(x), y)).collect();
    let line = Line::fit(&bent)?;
    let n = points.len() as f64;
    let my = points.iter().map(|p| p.1).sum::<f64>() / n;
    let spread: f64 = points.iter().map(|p| (p.1 - my).powi(2)).sum();
    let missed: f64 = bent.iter().map(|&(z, y)| (y - line.intercept - line.slope * z).powi(2)).sum();
    let b = line.slope / basis(law, c, first);
    let usable = spread > 0.0 && b.is_finite();
    usable.then(|| Fit { law, a: line.intercept, b, c, rmse: (missed / n).sqrt(), r2: 1.0 - missed / spread })
}

/// The least point of `f` between `lo` and `hi` by golden section.
fn golden(f: impl Fn(f64) -> f64, mut lo: f64, mut hi: f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..60 {
        let (a, b) = (hi - ratio * (hi - lo), lo + ratio * (hi - lo));
        if f(a) <= f(b) { hi = b } else { lo = a }
    }
    0.5 * (lo + hi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_base::Key;

    fn curve(f: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (1..=40).map(|i| 25.0 * f64::from(i)).map(|x| (x, f(x))).collect()
    }

    fn near(fit: Option<Fit>, want: (f64, f64, f64), tolerance: f64) {
        let f = fit.expect("a fit");
        let off = [(f.a, want.0), (f.b, want.1), (f.c, want.2)];
        assert!(off.iter().all(|(x, y)| (x / y - 1.0).abs() < tolerance), "{f:?}, not {want:?}");
    }

    #[test]
    fn finds_the_law_that_made_the_points() {
        near(Fit::new(Law::Power, &curve(|x| 1.5 + 8.0 * x.powf(-0.6))), (1.5, 8.0, 0.6), 1e-5);
        near(
            Fit::new(Law::Exponential, &curve(|x| 0.9 - 0.7 * (-x / 150.0).exp())),
            (0.9, -0.7, 1.0 / 150.0),
            1e-5,
        );
        near(Fit::new(Law::Power, &curve(|x| 2.0 + 3e9 * x.powi(-6))), (2.0, 3e9, 6.0), 1e-4);
    }

    #[test]
    fn noise_moves_it_little_and_the_other_law_fits_worse() {
        let mut rng = Key::new(4).rng();
        let noise: Vec<f64> = (0..40).map(|_| 0.002 * rng.normal()).collect();
        let mut points = curve(|x| 1.5 + 8.0 * x.powf(-0.6));
        points.iter_mut().zip(noise).for_each(|(p, e)| p.1 += e);
        let power = Fit::new(Law::Power, &points);
        near(power, (1.5, 8.0, 0.6), 0.05);
        let exponential = Fit::new(Law::Exponential, &points).expect("a fit");
        assert!(power.expect("a fit").rmse < 0.5 * exponential.rmse);
    }

    #[test]
    fn refuses_what_has_no_law() {
        assert_eq!(Fit::new(Law::Power, &curve(|_| 1.0)), None);
        assert_eq!(Fit::new(Law::Power, &[(0.0, 1.0), (1.0, 0.5), (2.0, 0.4), (3.0, 0.3)]), None);
        assert_eq!(Fit::new(Law::Exponential, &[(1.0, 1.0), (1.0, 0.5), (2.0, 0.4), (3.0, 0.3)]), None);
        assert_eq!(Fit::new(Law::Exponential, &curve(|x| if x > 900.0 { f64::NAN } else { x })), None);
    }
}
