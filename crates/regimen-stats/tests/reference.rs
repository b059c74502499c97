//! Against scipy (`fixtures/stats`).

use regimen_base::Key;
use regimen_stats::{Fit, Law, Line, PairedT, clopper_pearson, sign_flip, sign_test, spearman};
use serde_json::Value;

fn rows(json: &str) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(json).expect("a list");
    assert!(!rows.is_empty());
    rows
}

fn number(v: &Value) -> f64 {
    v.as_f64().expect("a number")
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().expect("a list").iter().map(number).collect()
}

/// Within 1e-9 of the larger, so far tails count too.
fn same(name: &str, ours: f64, theirs: f64) {
    assert!(
        (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs()) + 1e-14,
        "{name}: {ours}, scipy {theirs}"
    );
}

#[test]
fn paired_t_and_sign_flips() {
    for row in rows(include_str!("../../../fixtures/stats/paired.json")) {
        let d = numbers(&row["differences"]);
        let threshold = number(&row["threshold"]);
        let t = PairedT::new(&d).expect("at least two");
        let (i90, i95) = (t.interval(0.9), t.interval(0.95));
        let theirs = |name: &str| number(&row[name]);
        same("mean", t.mean, theirs("mean"));
        same("se", t.se, theirs("se"));
        same("lower95", t.lower(0.05), theirs("lower95"));
        same("upper95", t.upper(0.05), theirs("upper95"));
        same("lower99", t.lower(0.01), theirs("lower99"));
        assert_eq!((i90.lo, i90.hi), (t.lower(0.5 * (1.0 - 0.9)), t.upper(0.5 * (1.0 - 0.9))));
        same("interval90", i90.lo, number(&row["interval90"][0]));
        same("interval95", i95.lo, number(&row["interval95"][0]));
        same("interval95", i95.hi, number(&row["interval95"][1]));
        same("p_above", t.p_above(threshold), theirs("p_above"));
        same("p_below", t.p_below(threshold), theirs("p_below"));
        same("p_two_sided", t.p_two_sided(threshold), theirs("p_two_sided"));
        same("p_flip", sign_flip(&d, threshold, Key::new(0)).expect("finite"), theirs("p_flip"));
    }
}

/// Differences with mean 0 and variance 1 give back the quantile itself.
#[test]
fn quantiles_of_student() {
    for row in rows(include_str!("../../../fixtures/stats/quantile.json")) {
        let n = number(&row["df"]) as usize + 1;
        let unit = PairedT { mean: 0.0, se: 1.0, n };
        same("quantile", unit.upper(1.0 - number(&row["p"])), number(&row["t"]));
        same("tail", unit.p_above(-number(&row["t"]).abs()), number(&row["above"]));
    }
}

#[test]
fn exact_binomial() {
    for row in rows(include_str!("../../../fixtures/stats/clopper.json")) {
        let (wins, n) = (number(&row["wins"]) as u64, number(&row["n"]) as u64);
        let interval = clopper_pearson(wins, n, 0.05);
        same("lo", interval.lo, number(&row["lo"]));
        same("hi", interval.hi, number(&row["hi"]));
        same("p", sign_test(wins, n), number(&row["p"]));
    }
}

#[test]
fn lines_and_ranks() {
    for row in rows(include_str!("../../../fixtures/stats/line.json")) {
        let points: Vec<_> = numbers(&row["x"]).into_iter().zip(numbers(&row["y"])).collect();
        let line = Line::fit(&points).expect("points");
        let interval = line.interval(0.95).expect("three points or more");
        same("slope", line.slope, number(&row["slope"]));
        same("intercept", line.intercept, number(&row["intercept"]));
        same("se", line.se, number(&row["se"]));
        same("interval", interval.lo, number(&row["interval95"][0]));
        same("interval", interval.hi, number(&row["interval95"][1]));
        same("spearman", spearman(&points).expect("points"), number(&row["spearman"]));
    }
}

/// scipy starts from the truth; ours has no start value.
#[test]
fn laws_of_learning_curves() {
    for row in rows(include_str!("../../../fixtures/stats/fit.json")) {
        let points: Vec<_> = numbers(&row["x"]).into_iter().zip(numbers(&row["y"])).collect();
        let law = if row["law"] == "power" { Law::Power } else { Law::Exponential };
        let fit = Fit::new(law, &points).expect("a fit");
        for (name, ours) in [("a", fit.a), ("b", fit.b), ("c", fit.c)] {
            let theirs = number(&row[name]);
            assert!((ours / theirs - 1.0).abs() < 1e-4, "{name}: {ours}, scipy {theirs}");
        }
        assert!(fit.rmse <= number(&row["rmse"]) * (1.0 + 1e-9), "scipy found a better fit: {row}");
    }
}
