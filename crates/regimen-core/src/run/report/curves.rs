//! The curves of every stage.

use super::chart::{self, Look, Width};
use super::html::{each, escape, section as part};
use super::numbers::{digits, si};
use super::{Curve, StageReport};
use crate::run::is_measured_by_clock;

pub(super) fn section(stages: &[StageReport]) -> String {
    let stages: String = stages.iter().map(stage).collect();
    let lead = "Over the optimiser steps of each stage. Thin: as measured. Thick: smoothed over a tenth of the \
                stage. The number is the mean of the last tenth.";
    part("curves", "Curves", lead, &stages)
}

fn stage(stage: &StageReport) -> String {
    // no row with a single chart in it
    let width =
        if matches!(stage.curves.len() % 12, 4 | 7 | 8 | 10 | 11) { Width::Narrow } else { Width::Wide };
    let figures = each(&stage.curves, |curve| figure(curve, width));
    if figures.is_empty() {
        return String::new();
    }
    let class = if width == Width::Narrow { "charts narrow" } else { "charts" };
    format!("<h3>{}</h3>\n<div class=\"{class}\">\n{figures}</div>\n", escape(&stage.id))
}

fn figure(curve: &Curve, width: Width) -> String {
    let look = Look { name: &curve.name, width, zero: is_measured_by_clock(&curve.name) };
    let svg = chart::draw(look, &curve.points);
    if svg.is_empty() {
        return String::new();
    }
    let last = last(curve).map_or_else(String::new, |value| format!("<b>{}</b>", short(value)));
    format!("<figure>\n<figcaption>{}{last}</figcaption>\n{svg}</figure>\n", title(&curve.name))
}

/// The mean of the last tenth of the points.
fn last(curve: &Curve) -> Option<f64> {
    let values: Vec<f64> = curve.points.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
    let tail = &values[values.len() - chart::window(values.len()).min(values.len())..];
    if tail.is_empty() { None } else { Some(tail.iter().sum::<f64>() / tail.len() as f64) }
}

fn short(value: f64) -> String {
    if value.abs() < 1000.0 { digits(value) } else { si(value) }
}

/// A metric in words, with its name in `metrics.jsonl` where that differs.
fn title(name: &str) -> String {
    let words = match name {
        "loss" => "Loss",
        "reward" => "Reward",
        "reward_std" => "Reward, spread in a group",
        "entropy" => "Entropy",
        "kl" => "KL to the reference",
        "grad_norm" => "Gradient norm",
        "learning_rate" => "Learning rate",
        "mean_token_accuracy" => "Token accuracy",
        "val_bpb" => "Validation, bits per byte",
        "frac_reward_zero_std" => "Groups without a signal",
        "completions/mean_length" => "Completion length",
        "completions/clipped_ratio" => "Completions cut off",
        "clip_ratio/region_mean" => "Clipped tokens",
        "perf/tokens_per_second" => "Tokens per second",
        "perf/peak_memory" => "Peak memory",
        "step_time" => "Seconds per step",
        other => return format!("<span>{0}<code>{0}</code></span>", escape(other)),
    };
    format!("<span>{words}<code>{}</code></span>", escape(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_where_there_are_some() {
        assert_eq!(title("loss"), "<span>Loss<code>loss</code></span>");
        assert_eq!(
            title("rewards/<x>/mean"),
            "<span>rewards/&lt;x&gt;/mean<code>rewards/&lt;x&gt;/mean</code></span>"
        );
    }

    #[test]
    fn a_stage_without_points_is_left_out() {
        let empty = StageReport { curves: vec![Curve::default()], ..StageReport::default() };
        assert_eq!(section(&[empty]), "");
    }

    #[test]
    fn the_last_value_is_a_mean_of_the_end() {
        let points = (0..40).map(|i| (f64::from(i), if i < 20 { 100.0 } else { f64::from(i % 2) })).collect();
        let value = last(&Curve { name: "loss".into(), points }).unwrap();
        assert!((0.3..0.7).contains(&value), "{value}");
        assert_eq!(last(&Curve::default()), None);
    }
}
