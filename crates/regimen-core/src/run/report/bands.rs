//! Curves of all arms in one picture: the mean over seeds, and a band from the lowest seed to the highest.

use std::fmt::Write;

use super::axis::{Axis, label};
use super::chart::{HEIGHT, Plot, thinned};
use super::html::{each, escape, section as part};
use super::study::{ArmReport, CurveFamily};

const WIDTH: f64 = 340.0;
/// Curves longer than this are averaged over stretches: single steps jump too much to be told apart.
const SHORT: usize = 60;

type Points = Vec<(f64, f64)>;

pub(super) fn section(arms: &[ArmReport], curves: &[CurveFamily]) -> String {
    let figures = each(curves, |family| figure(arms, family));
    if figures.is_empty() {
        return String::new();
    }
    let legend = each(arms.iter().enumerate(), |(i, arm)| {
        format!("<li><i class=\"a{}\"></i>{}</li>\n", i % 6, escape(&arm.id))
    });
    let lead = "Over the optimiser steps. Line: the mean over seeds. Band: from the lowest seed to the highest. Long \
                curves are averaged over short stretches of steps.";
    let content = format!("<ul class=\"legend\">\n{legend}</ul>\n<div class=\"charts\">\n{figures}</div>\n");
    part("curves", "Learning curves", lead, &content)
}

/// The mean and both ends of the band.
struct Band {
    arm: usize,
    mean: Points,
    low: Points,
    high: Points,
}

fn figure(arms: &[ArmReport], family: &CurveFamily) -> String {
    let bands: Vec<Band> = family.arms.iter().enumerate().filter_map(|(i, seeds)| band(i, seeds)).collect();
    let all = || bands.iter().flat_map(|b| b.low.iter().chain(&b.high).copied());
    let fold = |start: (f64, f64), v: f64| (start.0.min(v), start.1.max(v));
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let steps = all().map(|p| p.0).fold(none, fold);
    let values = all().map(|p| p.1).fold(none, fold);
    if steps.0 > steps.1 {
        return String::new();
    }
    let plot = Plot { width: WIDTH, x: Axis::for_steps(steps.0, steps.1, 5), y: Axis::for_values(values, 4) };
    let mut svg = String::new();
    for band in &bands {
        svg.push_str(&area(&plot, band));
    }
    for band in &bands {
        svg.push_str(&plot.line(&format!("curve a{}", band.arm % 6), &band.mean));
    }
    let ends: Vec<String> = bands
        .iter()
        .filter_map(|b| Some(format!("{} ends at {}", arms.get(b.arm)?.id, label(b.mean.last()?.1))))
        .collect();
    format!(
        "<figure>\n<figcaption><span>{}</span></figcaption>\n\
         <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n{}{svg}</svg>\n</figure>\n",
        escape(&family.metric),
        escape(&ends.join(", ")),
        plot.grid(),
    )
}

/// Averages over the seeds, at the steps that all of them have.
fn band(arm: usize, seeds: &[Points]) -> Option<Band> {
    let seeds: Vec<Points> = seeds.iter().map(|points| stretched(points)).filter(|p| !p.is_empty()).collect();
    let length = seeds.iter().map(Vec::len).min()?;
    let mut band = Band { arm, mean: Vec::new(), low: Vec::new(), high: Vec::new() };
    for i in 0..length {
        let step = seeds[0][i].0;
        let values: Vec<f64> = seeds.iter().map(|points| points[i].1).collect();
        band.mean.push((step, values.iter().sum::<f64>() / values.len() as f64));
        band.low.push((step, values.iter().copied().fold(f64::INFINITY, f64::min)));
        band.high.push((step, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
    }
    Some(Band { low: thinned(&band.low), high: thinned(&band.high), ..band })
}

/// Finite points; of a long curve the means of stretches.
fn stretched(points: &[(f64, f64)]) -> Points {
    let finite: Points = points.iter().copied().filter(|(s, v)| s.is_finite() && v.is_finite()).collect();
    let size = if finite.len() > 2 * SHORT { finite.len().div_ceil(SHORT) } else { 1 };
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    finite.chunks(size).map(mean).collect()
}

fn area(plot: &Plot, band: &Band) -> String {
    let mut path = String::new();
    for &(step, value) in band.low.iter().chain(band.high.iter().rev()) {
        let pen = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{pen}{:.1} {:.1}", plot.at_x(step), plot.at_y(value));
    }
    format!("<path class=\"area a{}\" d=\"{path}Z\"/>\n", band.arm % 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_reaches_from_the_lowest_to_the_highest_seed() {
        let seeds = vec![vec![(0.0, 1.0), (1.0, 3.0)], vec![(0.0, 2.0), (1.0, 5.0), (2.0, 9.0)]];
        let band = band(0, &seeds).expect("points");
        assert_eq!(
            (band.mean, band.low, band.high),
            (vec![(0.0, 1.5), (1.0, 4.0)], seeds[0].clone(), vec![(0.0, 2.0), (1.0, 5.0)])
        );
        assert!(super::band(0, &[]).is_none() && super::band(0, &[vec![(0.0, f64::NAN)]]).is_none());
    }

    #[test]
    fn long_curves_are_averaged() {
        let long: Points = (0..1000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let short = stretched(&long);
        assert!(short.len() <= SHORT + 1 && short.iter().all(|p| (p.1 - 0.5).abs() < 0.06));
        assert_eq!(stretched(&long[..50]).len(), 50);
    }
}
