//! Straight lines.

use crate::{Interval, student};

/// An ordinary least-squares line y = intercept + slope·x.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// Change of y per unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// Standard error of the slope; 0 for two points.
    pub se: f64,
    /// How many points.
    pub n: usize,
}

impl Line {
    /// `None` for fewer than two different x, or where a number is not finite.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return None;
        }
        let n = points.len() as f64;
        let mx = points.iter().map(|p| p.0).sum::<f64>() / n;
        let my = points.iter().map(|p| p.1).sum::<f64>() / n;
        let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
        if sxx.is_nan() || sxx <= 0.0 {
            return None;
        }
        let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / sxx;
        let intercept = my - slope * mx;
        let residual: f64 = points.iter().map(|p| (p.1 - intercept - slope * p.0).powi(2)).sum();
        let se = if points.len() > 2 { (residual / (n - 2.0) / sxx).sqrt() } else { 0.0 };
        Some(Self { slope, intercept, se, n: points.len() })
    }

    /// The t interval of the slope at `level` for independent normal residuals; `None` below three points. The points
    /// of *one* learning curve are not independent: over seeds, take one slope a seed and the paired t of those.
    pub fn interval(self, level: f64) -> Option<Interval> {
        let df = self.n.checked_sub(2).filter(|df| *df > 0)? as f64;
        let half = student::quantile(0.5 * (1.0 + level), df) * self.se;
        Some(Interval { lo: self.slope - half, hi: self.slope + half })
    }
}

/// Spearman's rank correlation, ties at their mean rank; `None` for fewer than two points, for one that is not finite,
/// or where one side is constant.
pub fn spearman(points: &[(f64, f64)]) -> Option<f64> {
    let ranked: Vec<(f64, f64)> = {
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        if x.iter().chain(&y).any(|v| !v.is_finite()) {
            return None;
        }
        ranks(&x).into_iter().zip(ranks(&y)).collect()
    };
    let swapped: Vec<(f64, f64)> = ranked.iter().map(|&(x, y)| (y, x)).collect();
    let (forth, back) = (Line::fit(&ranked)?.slope, Line::fit(&swapped)?.slope);
    Some((forth * back).max(0.0).sqrt().copysign(forth))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |v: f64| {
        let below = values.iter().filter(|w| **w < v).count();
        let equal = values.iter().filter(|w| **w == v).count();
        below as f64 + 0.5 * (equal as f64 + 1.0)
    };
    values.iter().map(|v| rank(*v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_points_make_a_line_without_interval() {
        let line = Line::fit(&[(1.0, 2.0), (3.0, 8.0)]).expect("two points");
        assert_eq!((line.slope, line.intercept), (3.0, -1.0));
        assert_eq!(line.interval(0.95), None);
        assert_eq!(Line::fit(&[(1.0, 2.0), (1.0, 8.0)]), None);
        assert_eq!(Line::fit(&[]), None);
    }

    #[test]
    fn spearman_sees_order_only() {
        let up: Vec<(f64, f64)> = [2.0, 3.0, 4.0, 6.0].iter().map(|d: &f64| (*d, d.exp())).collect();
        assert!((spearman(&up).expect("four points") - 1.0).abs() < 1e-12);
        let down: Vec<(f64, f64)> = up.iter().map(|(x, y)| (*x, -y)).collect();
        assert!((spearman(&down).expect("four points") + 1.0).abs() < 1e-12);
        assert_eq!(spearman(&[(1.0, 2.0), (2.0, 2.0)]), None);
    }
}
