//! What the seeds show: a dot for each, the mean, and the bounds that decide.

use std::fmt::Write;

use super::axis::{Axis, label};
use super::html::{each, escape, section as part};
use super::numbers::digits;
use super::study::{ArmReport, Effect};

pub(super) const LEAD: &str = "Each dot is a seed, the tall mark their mean, the band the bounds that decide (each end is \
                               one-sided). Dashed: the threshold that the claim names.";

const WIDTH: f64 = 640.0;
const LEFT: f64 = 24.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 30.0;
const FOOT: f64 = 20.0;

/// The numbers of an effect's seeds.
fn dots(effect: &Effect) -> Vec<f64> {
    effect.seeds.iter().filter_map(|(_, v)| *v).filter(|v| v.is_finite()).collect()
}

/// A row of dots on an axis of its own.
pub(super) fn effect(effect: &Effect) -> String {
    let Some(picture) = picture_of(effect) else { return String::new() };
    let words = words_of(effect);
    format!(
        "<svg class=\"effect\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">\n{picture}</svg>\n\
         <p class=\"estimate\">{}</p>\n",
        ROW + FOOT,
        escape(&words),
        escape(&words),
    )
}

/// The inside of that row's picture; `None` where no seed has a number.
pub(super) fn picture_of(effect: &Effect) -> Option<String> {
    let dots = dots(effect);
    if dots.is_empty() {
        return None;
    }
    let thresholds: Vec<f64> = [effect.above, effect.below].into_iter().flatten().collect();
    let shown = dots.iter().copied().chain(thresholds.iter().copied());
    // bounds of two seeds may be endless; they do not decide how the dots are seen
    let near = effect.interval.map_or_else(Vec::new, |(lo, hi)| near(&dots, lo, hi));
    let (low, high) = range(shown.chain(near));
    let axis = Axis::for_values((low, high), 6);
    let marks = thresholds.iter().fold(String::new(), |mut out, &at| {
        let x = place(&axis, at);
        let _ =
            writeln!(out, "<line class=\"threshold\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{ROW}\"/>");
        out
    });
    let row = row(&axis, 0.0, &dots, effect.estimate, effect.interval, "a0");
    Some(format!("{}{marks}{row}", scale(&axis, ROW)))
}

/// The estimate in words.
pub(super) fn words_of(effect: &Effect) -> String {
    let seeds = dots(effect).len();
    let mut text = effect.estimate.map_or_else(String::new, digits);
    if let Some((lo, hi)) = effect.interval {
        let _ = write!(text, " [{}, {}]", digits(lo), digits(hi));
        let _ = write!(text, ", each end at {} %", digits(50.0 * (1.0 + effect.level)));
    }
    let plural = if seeds == 1 { "" } else { "s" };
    format!("{text}, {seeds} seed{plural}")
}

/// Bounds that are not far beyond the dots.
fn near(dots: &[f64], lo: f64, hi: f64) -> Vec<f64> {
    let (low, high) = range(dots.iter().copied());
    let reach = 2.0 * (high - low).max(1e-9);
    [lo.max(low - reach), hi.min(high + reach)].into_iter().filter(|v| v.is_finite()).collect()
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

fn place(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

/// Ticks below `base`.
fn scale(axis: &Axis, base: f64) -> String {
    let ticks = each(&axis.ticks, |&tick| {
        let x = place(axis, tick);
        format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{base}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            base + 14.0,
            label(tick)
        )
    });
    format!("<g class=\"grid\">\n{ticks}</g>\n")
}

fn row(
    axis: &Axis,
    top: f64,
    dots: &[f64],
    mean: Option<f64>,
    interval: Option<(f64, f64)>,
    class: &str,
) -> String {
    let middle = top + ROW / 2.0;
    let mut out = String::new();
    if let Some((lo, hi)) = interval {
        let (a, b) = (place(axis, lo), place(axis, hi));
        let width = (b - a).max(1.0);
        let _ = writeln!(
            out,
            "<rect class=\"bounds\" x=\"{a:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"8\" rx=\"2\"/>",
            middle - 4.0
        );
    }
    for &dot in dots {
        let x = place(axis, dot);
        let _ = writeln!(out, "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{middle}\" r=\"4\"/>");
    }
    if let Some(mean) = mean {
        let x = place(axis, mean) - 1.2;
        let _ = writeln!(
            out,
            "<rect class=\"centre {class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"2.4\" height=\"22\"/>",
            middle - 11.0
        );
    }
    out
}

/// What was measured in every arm: a picture for each metric, a row for each arm.
pub(super) fn arms(arms: &[ArmReport]) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for (metric, _) in arms.iter().flat_map(|arm| &arm.values) {
        if !metrics.contains(&metric.as_str()) {
            metrics.push(metric);
        }
    }
    let pictures = each(metrics, |metric| picture(arms, metric));
    let about = each(arms.iter().filter(|arm| !arm.about.is_empty()), |arm| {
        format!("<li><b>{}</b>: {}</li>\n", escape(&arm.id), escape(&arm.about))
    });
    let about = if about.is_empty() { about } else { format!("<ul class=\"plain\">\n{about}</ul>\n") };
    part("arms", "Arms", "Each dot is a seed, the tall mark the mean of the arm.", &(about + &pictures))
}

fn picture(arms: &[ArmReport], metric: &str) -> String {
    let of = |arm: &ArmReport| -> Vec<f64> {
        let values = arm.values.iter().find(|(name, _)| name == metric).map(|(_, values)| values.as_slice());
        values.unwrap_or(&[]).iter().map(|(_, v)| *v).filter(|v| v.is_finite()).collect()
    };
    let (low, high) = range(arms.iter().flat_map(of));
    if low > high {
        return String::new();
    }
    let axis = Axis::for_values((low, high), 6);
    let height = ROW * arms.len() as f64;
    let rows: String = arms
        .iter()
        .enumerate()
        .map(|(i, arm)| {
            let dots = of(arm);
            let mean = (!dots.is_empty()).then(|| dots.iter().sum::<f64>() / dots.len() as f64);
            row(&axis, ROW * i as f64, &dots, mean, None, &format!("a{}", i % 6))
        })
        .collect();
    let names = each(arms, |arm| {
        let dots = of(arm);
        let mean = dots.iter().sum::<f64>() / dots.len() as f64;
        let mean = if dots.is_empty() { "–".to_owned() } else { digits(mean) };
        format!("<li><span>{}</span><b>{mean}</b></li>\n", escape(&arm.id))
    });
    format!(
        "<h3>{}</h3>\n<div class=\"rows\">\n<ul style=\"--row:{}\">\n{names}</ul>\n\
         <svg class=\"effect\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">\n{}{rows}</svg>\n</div>\n",
        escape(metric),
        arms.len(),
        height + FOOT,
        escape(metric),
        scale(&axis, height),
    )
}
