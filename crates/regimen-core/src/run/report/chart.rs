//! One line chart as SVG: thin the values as they are, thick their trend.

use std::fmt::Write;

use super::axis::{Axis, label};
use super::html::escape;

pub(super) const HEIGHT: f64 = 176.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;
/// More points than this do not show at this width.
const MOST_POINTS: usize = 300;

/// Narrow charts stand four in a row, wide ones three.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// How a chart is to look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Look<'a> {
    /// What a screen reader says.
    pub(super) name: &'a str,
    pub(super) width: Width,
    /// Whether zero belongs into the picture: a steady speed should look steady.
    pub(super) zero: bool,
}

/// Draws finite points in the order of their steps; nothing without any.
pub(super) fn draw(look: Look<'_>, points: &[(f64, f64)]) -> String {
    let points: Vec<(f64, f64)> =
        points.iter().copied().filter(|(s, v)| s.is_finite() && v.is_finite()).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let smooth = smoothed(&points);
    let range = visible_range(&points, &smooth, look.zero);
    let (width, ticks) = if look.width == Width::Wide { (340.0, 5) } else { (254.0, 4) };
    let plot = Plot { width, x: Axis::for_steps(first.0, last.0, ticks), y: Axis::for_values(range, 4) };
    let words =
        format!("{} over {} points, from {} to {}", look.name, points.len(), label(first.1), label(last.1));
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n{}",
        escape(&words),
        plot.grid()
    );
    if smooth != points {
        svg.push_str(&plot.line("raw", &thinned(&points)));
    }
    svg.push_str(&plot.line("trend", &thinned(&smooth)));
    if let Some(&(step, value)) = smooth.last() {
        let (x, y) = (plot.at_x(step), plot.at_y(value));
        let _ = writeln!(svg, "<circle class=\"end\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// The frame of a chart.
pub(super) struct Plot {
    pub(super) width: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Plot {
    pub(super) fn at_x(&self, step: f64) -> f64 {
        LEFT + self.x.place(step) * (self.width - LEFT - RIGHT)
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        let place = self.y.place(value).clamp(-0.02, 1.02);
        HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
    }

    pub(super) fn grid(&self) -> String {
        let ticks: String = self.y.ticks.iter().map(|&t| self.y_tick(t)).collect();
        let steps: String = self.x.ticks.iter().map(|&t| self.x_tick(t)).collect();
        format!("<g class=\"grid\">\n{ticks}{steps}</g>\n")
    }

    fn y_tick(&self, tick: f64) -> String {
        let (y, left, right) = (self.at_y(tick), LEFT - 6.0, self.width - RIGHT);
        format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{left}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            y + 3.5,
            label(tick)
        )
    }

    fn x_tick(&self, tick: f64) -> String {
        let (x, base) = (self.at_x(tick), HEIGHT - BOTTOM);
        // the last label must not leave the picture
        let (anchor, at) =
            if x > self.width - RIGHT - 12.0 { ("end", self.width - 1.0) } else { ("middle", x) };
        format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{base}\" y2=\"{}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>\n",
            base + 3.0,
            HEIGHT - 6.0,
            label(tick)
        )
    }

    pub(super) fn line(&self, class: &str, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for &(step, value) in points {
            let pen = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{:.1} {:.1}", self.at_x(step), self.at_y(value));
        }
        format!("<path class=\"{class}\" d=\"{path}\"/>\n")
    }
}

/// How many neighbours the trend averages over, for a curve of `points` points.
pub(super) fn window(points: usize) -> usize {
    if points < 30 { 1 } else { (points / 10).max(5) | 1 }
}

/// A straight line fitted to the neighbours of every point, and read there: a moving average that does not bend away at
/// the ends (Cleveland 1979, "Robust locally weighted regression", with equal weights).
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let half = window(points.len()) / 2;
    if half == 0 {
        return points.to_vec();
    }
    let fitted =
        |i: usize| fit_at(points[i].0, &points[i.saturating_sub(half)..(i + half + 1).min(points.len())]);
    (0..points.len()).map(|i| (points[i].0, fitted(i))).collect()
}

/// The least-squares line through `near`, at `x`.
fn fit_at(x: f64, near: &[(f64, f64)]) -> f64 {
    let n = near.len() as f64;
    let mean = near.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let spread: f64 = near.iter().map(|p| (p.0 - mean.0).powi(2)).sum();
    let joint: f64 = near.iter().map(|p| (p.0 - mean.0) * (p.1 - mean.1)).sum();
    if spread > 0.0 { mean.1 + joint / spread * (x - mean.0) } else { mean.1 }
}

/// The range that is shown: all of the trend, and of the raw values all but the most extreme hundredth on each side, so
/// that one spike does not flatten the curve.
fn visible_range(points: &[(f64, f64)], smooth: &[(f64, f64)], zero: bool) -> (f64, f64) {
    let mut values: Vec<f64> = points.iter().map(|p| p.1).collect();
    values.sort_by(f64::total_cmp);
    let cut = if values.len() < 100 { 0 } else { values.len() / 100 };
    let start = (values[cut], values[values.len() - 1 - cut]);
    let start = if zero { (start.0.min(0.0), start.1.max(0.0)) } else { start };
    smooth.iter().fold(start, |(low, high), p| (low.min(p.1), high.max(p.1)))
}

/// At most [`MOST_POINTS`] points: of every stretch the lowest and the highest, in their order, so that no spike is lost.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let ends = |part: &[(f64, f64)]| {
        let (Some(&low), Some(&high)) = (part.iter().min_by(by_value), part.iter().max_by(by_value)) else {
            return Vec::new();
        };
        if low.0 <= high.0 { vec![low, high] } else { vec![high, low] }
    };
    points.chunks(stretch).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_keeps_lines_and_ends() {
        let line: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), 3.0 * f64::from(i))).collect();
        let smooth = smoothed(&line);
        assert!(line.iter().zip(&smooth).all(|(a, b)| (a.1 - b.1).abs() < 1e-9));
        assert_eq!((window(10), window(100), window(2000)), (1, 11, 201));
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i), (f64::from(i) / 500.0).sin())).collect();
        points[7777].1 = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS && thin.contains(&(7777.0, 9.0)));
        assert!(thin.windows(2).all(|w| w[0].0 <= w[1].0));
    }

    #[test]
    fn odd_inputs_are_drawn_or_left_out() {
        let draw = |name, points: &[(f64, f64)]| draw(Look { name, width: Width::Wide, zero: false }, points);
        assert_eq!(draw("loss", &[]), "");
        assert_eq!(draw("loss", &[(0.0, f64::NAN)]), "");
        for points in
            [vec![(5.0, 1.0)], vec![(0.0, 0.0), (1.0, 0.0)], vec![(0.0, 1e-9), (1.0, f64::NAN), (2.0, 1e9)]]
        {
            let svg = draw("loss", &points);
            assert!(
                svg.contains("<path class=\"trend\"") && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
        }
    }
}
