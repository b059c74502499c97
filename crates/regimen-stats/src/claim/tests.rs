//! Rules on small tables, by hand.

use super::*;
use crate::{Crossing, Curve, Interval, PairedT, Side};

/// One metric `m` for some arms, seeds 0, 1, ….
fn table(arms: &[(&str, &[f64])]) -> Table {
    let mut table = Table::new();
    for (arm, values) in arms {
        for (seed, v) in values.iter().enumerate() {
            table.insert(arm, seed as u64, "m", Cell::Value(*v)).expect("new");
        }
    }
    table
}

fn m(arm: &str) -> Quantity {
    Quantity::of(arm, "m")
}

fn positive(a: &str, b: &str) -> Rule {
    Rule::Positive { a: m(a), b: m(b) }
}

const BETTER: [f64; 5] = [0.81, 0.84, 0.79, 0.86, 0.83];
const WORSE: [f64; 5] = [0.71, 0.75, 0.70, 0.74, 0.72];
const ALIKE: [f64; 5] = [0.72, 0.73, 0.71, 0.73, 0.71];

fn evidence(v: &Verdict) -> &Evidence {
    v.evidence.as_ref().expect("a single rule")
}

#[test]
fn positive_holds_by_the_t_bound() {
    let v = Claim::new(positive("a", "b"), 0..5).evaluate(&table(&[("a", &BETTER), ("b", &WORSE)]));
    let d: Vec<f64> = BETTER.iter().zip(WORSE).map(|(a, b)| a - b).collect();
    let t = PairedT::new(&d).expect("five");
    let e = evidence(&v);
    assert_eq!((v.outcome, v.refuted, v.open), (Outcome::Held, false, false));
    assert_eq!(e.interval, Some(t.interval(0.9)));
    assert_eq!((e.estimate, e.n, v.p), (Some(t.mean), 5, Some(t.p_above(0.0))));
    assert_eq!(
        e.seeds.iter().map(|s| s.value).collect::<Vec<_>>(),
        d.iter().map(|d| Some(*d)).collect::<Vec<_>>()
    );
    assert_eq!(e.beside.as_ref().and_then(|b| b.sign_flip), Some(1.0 / 32.0));
    assert_eq!(v.rule, "a:m - b:m > 0 (one-sided paired t bound at 95 %, 5 seeds)");
    assert_eq!(v.why, format!("the lower bound {} is above 0", number::short(t.lower(0.05))));
    assert!(v.notes.is_empty());
    assert_eq!(e.words(), "0.102 [0.08957, 0.1144], 5 seeds");
}

#[test]
fn not_held_says_whether_the_opposite_is_shown() {
    let rows = table(&[("a", &BETTER), ("b", &WORSE), ("c", &ALIKE)]);
    let open = Claim::new(positive("c", "b"), 0..5).evaluate(&rows);
    assert_eq!((open.outcome, open.refuted), (Outcome::NotHeld, false));
    assert!(open.why.ends_with("leaves it open"), "{}", open.why);
    let refuted = Claim::new(positive("b", "a"), 0..5).evaluate(&rows);
    assert_eq!((refuted.outcome, refuted.refuted), (Outcome::NotHeld, true));
    assert!(refuted.why.starts_with("even the upper bound -0.0"), "{}", refuted.why);
}

#[test]
fn what_is_missing_is_never_left_out_in_silence() {
    let claim = Claim::new(positive("a", "b"), 0..5);
    let short = claim.evaluate(&table(&[("a", &BETTER[..4]), ("b", &WORSE)]));
    assert_eq!((short.outcome, short.open, evidence(&short).n), (Outcome::Inconclusive, true, 4));
    assert_eq!(short.notes, ["seed 4: arm `a` was not run"]);
    assert!(evidence(&short).interval.is_some_and(|i| i.lo > 0.0), "shown, though it decides nothing");

    let mut diverged = BETTER;
    diverged[2] = f64::NAN;
    let nan = claim.evaluate(&table(&[("a", &diverged), ("b", &WORSE)]));
    assert_eq!((nan.outcome, nan.open), (Outcome::Inconclusive, false));
    assert_eq!(nan.why, "a value is missing: seed 2: a:m is NaN");
    assert_eq!(evidence(&nan).seeds[2].note.as_deref(), Some("a:m is NaN"));

    diverged[2] = 1e150;
    let huge = claim.evaluate(&table(&[("a", &diverged), ("b", &WORSE)]));
    assert_eq!((huge.outcome, huge.open), (Outcome::Inconclusive, false));

    let none = claim.evaluate(&Table::new());
    assert_eq!(evidence(&none).words(), "-, 0 seeds");
    assert_eq!((none.outcome, none.open, evidence(&none).n), (Outcome::Inconclusive, true, 0));
    assert_eq!((evidence(&none).estimate, evidence(&none).interval, none.p), (None, None, None));
    assert_eq!(none.why, "5 values are missing, first of all seed 0: arm `a` was not run");
}

#[test]
fn seeds_of_tuning_do_not_count_and_are_named() {
    let mut rows = table(&[("a", &BETTER), ("b", &WORSE)]);
    rows.insert("a", 100, "m", Cell::Value(-50.0)).expect("new");
    let v = Claim::new(positive("a", "b"), 0..5).evaluate(&rows);
    assert_eq!(v.outcome, Outcome::Held);
    assert_eq!(v.notes, ["not among the claim's seeds, and not counted: 100"]);
}

#[test]
fn margins_ratios_and_bands() {
    let rows = table(&[("a", &BETTER), ("b", &WORSE), ("c", &ALIKE)]);
    let outcome = |rule: Rule| Claim::new(rule, 0..5).evaluate(&rows).outcome;
    let non_inferior = |margin| Rule::NonInferior { a: m("c"), b: m("b"), margin };
    assert_eq!(outcome(non_inferior(0.05)), Outcome::Held);
    assert_eq!(outcome(non_inferior(0.005)), Outcome::NotHeld);
    let within = |w: f64| Rule::Within { what: m("c").minus(m("b")), lo: -w, hi: w };
    assert_eq!(outcome(within(0.05)), Outcome::Held);
    assert_eq!(outcome(within(0.005)), Outcome::NotHeld);
    assert_eq!(outcome(Rule::Below { what: m("b"), threshold: 0.78 }), Outcome::Held);
    assert_eq!(outcome(Rule::Above { what: m("a"), threshold: 0.82 }), Outcome::NotHeld);

    let ratio = Claim::new(Rule::Ratio { a: m("a"), b: m("b"), at_least: 1.1 }, 0..5).evaluate(&rows);
    assert_eq!(ratio.outcome, Outcome::Held);
    let e = evidence(&ratio);
    assert_eq!((e.above, e.below), (Some(1.1), None));
    assert!((e.seeds[0].value.expect("a ratio") - 0.81 / 0.71).abs() < 1e-12);
    assert!(e.interval.is_some_and(|i| 1.1 < i.lo && i.hi < 1.2), "{e:?}");
    assert_eq!(ratio.rule, "a:m / b:m > 1.1 (one-sided paired t bound at 95 %, 5 seeds)");
    assert_eq!(outcome(Rule::Ratio { a: m("a"), b: m("b"), at_least: 1.2 }), Outcome::NotHeld);
}

#[test]
fn an_interaction_is_a_difference_of_differences() {
    let rows = table(&[("a", &BETTER), ("b", &WORSE), ("c", &ALIKE), ("d", &WORSE)]);
    let rule = |x: [&str; 4]| Rule::Interaction { first: (m(x[0]), m(x[1])), second: (m(x[2]), m(x[3])) };
    let v = Claim::new(rule(["a", "b", "c", "d"]), 0..5).evaluate(&rows);
    assert_eq!(v.outcome, Outcome::Held);
    assert!(v.rule.starts_with("(a:m - b:m) - (c:m - d:m) > 0"), "{}", v.rule);
    let first = 0.81 - 0.71 - (0.72 - 0.71);
    assert!((evidence(&v).seeds[0].value.expect("a value") - first).abs() < 1e-12);
    assert_eq!(Claim::new(rule(["c", "d", "a", "b"]), 0..5).evaluate(&rows).outcome, Outcome::NotHeld);
}

fn climbing(arms: &[(&str, [f64; 5])]) -> Table {
    let mut table = Table::new();
    for (arm, onsets) in arms {
        for (seed, onset) in onsets.iter().enumerate() {
            let points = (0..20).map(|i| 10.0 * f64::from(i)).map(|x| (x, f64::from(x >= *onset)));
            let curve = Curve::new(points.collect()).expect("points");
            table.insert(arm, seed as u64, "acc", Cell::Curve(curve)).expect("new");
        }
    }
    table
}

fn onset(arm: &str) -> Term {
    let crossing = Crossing { threshold: 0.9, side: Side::Rising, hold: 2 };
    Term { arm: arm.to_owned(), metric: "acc".to_owned(), reading: Reading::Onset { crossing, never: None } }
}

#[test]
fn onsets_are_ordered_by_the_sign_test() {
    let never = f64::INFINITY;
    let rows = climbing(&[
        ("fast", [40.0, 50.0, 30.0, 60.0, 40.0]),
        ("slow", [90.0, never, 80.0, never, 120.0]),
        ("tie", [90.0, never, 80.0, never, 40.0]),
        ("none", [never; 5]),
    ]);
    let judge = |early: &str, late: &str| {
        let rule = Rule::OnsetBefore { early: onset(early), late: onset(late) };
        Claim::new(rule, 0..5).evaluate(&rows)
    };
    let held = judge("fast", "slow");
    assert_eq!(held.outcome, Outcome::Held);
    assert!(held.p.is_some_and(|p| (p - 1.0 / 32.0).abs() < 1e-12));
    assert_eq!(evidence(&held).seeds[1].note.as_deref(), Some("`fast` at 50, `slow` never"));
    assert!(evidence(&held).interval.is_some_and(|i| i.lo > 0.5));
    let tied = judge("fast", "tie");
    assert_eq!((tied.outcome, evidence(&tied).estimate), (Outcome::NotHeld, Some(0.8)));
    assert_eq!(judge("none", "none").outcome, Outcome::NotHeld);
    assert_eq!(judge("slow", "fast").outcome, Outcome::NotHeld);
}

#[test]
fn a_cap_stands_for_never_only_where_it_is_given() {
    let rows = climbing(&[("fast", [40.0; 5]), ("slow", [90.0, f64::INFINITY, 80.0, 100.0, 120.0])]);
    let step = |arm: &str, never: Option<f64>| {
        let Reading::Onset { crossing, .. } = onset(arm).reading else { panic!("an onset") };
        Quantity::read(arm, "acc", Reading::Onset { crossing, never })
    };
    let judge = |never| {
        Claim::new(Rule::Positive { a: step("slow", never), b: step("fast", never) }, 0..5).evaluate(&rows)
    };
    let bare = judge(None);
    assert_eq!((bare.outcome, bare.open), (Outcome::Inconclusive, false));
    assert!(bare.why.ends_with("it never crosses"), "{}", bare.why);
    let capped = judge(Some(190.0));
    assert_eq!((capped.outcome, evidence(&capped).seeds[1].value), (Outcome::Held, Some(150.0)));
}

#[test]
fn seeds_are_counted() {
    let mut rows = table(&[("a", &[0.1, 0.15, 0.3, 0.1, 0.05])]);
    let judge = |rows: &Table, at_least, n| {
        let rule = Rule::Seeds { what: m("a"), lo: f64::NEG_INFINITY, hi: 0.2, at_least };
        Claim::new(rule, 0..n).evaluate(rows)
    };
    assert_eq!(judge(&rows, 4, 5).outcome, Outcome::Held);
    let missed = judge(&rows, 5, 5);
    assert_eq!((missed.outcome, missed.why.as_str()), (Outcome::NotHeld, "4 of 5 seeds; 5 are needed"));
    assert_eq!(judge(&rows, 6, 8).outcome, Outcome::Inconclusive);
    assert_eq!(judge(&rows, 4, 8).outcome, Outcome::Held, "no missing seed can change it");
    assert_eq!(judge(&rows, 8, 8).outcome, Outcome::NotHeld, "no missing seed can change it");
    rows.insert("a", 5, "m", Cell::Value(f64::NAN)).expect("new");
    let nan = judge(&rows, 5, 6);
    assert_eq!((nan.outcome, nan.open), (Outcome::Inconclusive, false));
}

#[test]
fn all_of_and_any_of_know_three_answers() {
    let mut bad = BETTER;
    bad[0] = f64::NAN;
    let rows = table(&[("a", &BETTER), ("b", &WORSE), ("c", &ALIKE), ("nan", &bad)]);
    let (yes, no, unknown) = (positive("a", "b"), positive("b", "a"), positive("nan", "b"));
    let all = |rules: &[&Rule]| {
        Claim::new(Rule::AllOf(rules.iter().map(|r| (*r).clone()).collect()), 0..5).evaluate(&rows).outcome
    };
    let any = |rules: &[&Rule]| {
        Claim::new(Rule::AnyOf(rules.iter().map(|r| (*r).clone()).collect()), 0..5).evaluate(&rows).outcome
    };
    assert_eq!(all(&[&yes, &yes]), Outcome::Held);
    assert_eq!(all(&[&yes, &unknown]), Outcome::Inconclusive);
    assert_eq!(all(&[&no, &unknown]), Outcome::NotHeld);
    assert_eq!(any(&[&no, &yes, &unknown]), Outcome::Held);
    assert_eq!(any(&[&no, &unknown]), Outcome::Inconclusive);
    assert_eq!(any(&[&no, &no]), Outcome::NotHeld);
}

#[test]
fn any_of_pays_for_its_choices() {
    // p of each is between 0.025 and 0.05
    let rows = table(&[("a", &[0.1, 0.3, -0.05, 0.25, 0.08]), ("zero", &[0.0; 5])]);
    let one = positive("a", "zero");
    let alone = Claim::new(one.clone(), 0..5).evaluate(&rows);
    let p = alone.p.expect("a p value");
    assert!((0.025..0.05).contains(&p), "{p}");
    let both = Claim::new(Rule::AnyOf(vec![one.clone(), one.clone()]), 0..5).evaluate(&rows);
    assert_eq!((alone.outcome, both.outcome), (Outcome::Held, Outcome::NotHeld));
    assert_eq!(both.p, Some(2.0 * p));
    assert_eq!(both.parts[0].evidence.as_ref().map(|e| e.level), Some(0.95));
    assert_eq!(Claim::new(Rule::AllOf(vec![one.clone(), one]), 0..5).evaluate(&rows).p, Some(p));
}

#[test]
fn equal_differences_are_said_to_have_no_spread() {
    let rows = table(&[("a", &[0.5; 5]), ("b", &[0.25; 5])]);
    let v = Claim::new(positive("a", "b"), 0..5).evaluate(&rows);
    assert_eq!((v.outcome, evidence(&v).interval), (Outcome::Held, Some(Interval { lo: 0.25, hi: 0.25 })));
    assert_eq!(v.notes, ["all seeds give the same number: the bounds have no spread to go by"]);
    assert_eq!(Claim::new(positive("a", "a"), 0..5).evaluate(&rows).outcome, Outcome::NotHeld);
}

#[test]
fn anytime_adds_seeds_until_it_is_decided() {
    let claim = Claim::new(positive("a", "b"), 0..20).anytime();
    let upto = |n: usize| claim.evaluate(&table(&[("a", &BETTER[..n]), ("b", &WORSE[..n])]));
    for n in 0..4 {
        let v = upto(n);
        assert_eq!((v.outcome, v.open, evidence(&v).n), (Outcome::Inconclusive, true, n));
    }
    let v = upto(5);
    assert_eq!((v.outcome, v.open), (Outcome::Held, false));
    assert!(v.p.is_some_and(|p| p < 0.05));
    assert_eq!(v.rule, "a:m - b:m > 0 (anytime-valid t bound at 95 %, up to 20 seeds)");
    let swapped = Claim::new(positive("b", "a"), 0..20).anytime();
    let v = swapped.evaluate(&table(&[("a", &BETTER), ("b", &WORSE)]));
    assert_eq!((v.outcome, v.refuted), (Outcome::NotHeld, true));
}

#[test]
fn anytime_ends_with_its_budget() {
    let rows = table(&[("c", &ALIKE), ("b", &WORSE)]);
    let v = Claim::new(positive("c", "b"), 0..5).anytime().evaluate(&rows);
    assert_eq!((v.outcome, v.refuted, v.open), (Outcome::NotHeld, false, false));
}

#[test]
fn anytime_keeps_the_order_of_the_seeds() {
    let claim = Claim::new(positive("a", "b"), 0..20).anytime();
    let mut rows = table(&[("a", &BETTER[..3]), ("b", &WORSE[..3])]);
    for seed in 4..12 {
        rows.insert("a", seed, "m", Cell::Value(0.9)).expect("new");
        rows.insert("b", seed, "m", Cell::Value(0.1)).expect("new");
    }
    let v = claim.evaluate(&rows);
    assert_eq!((v.outcome, v.open, evidence(&v).n), (Outcome::Inconclusive, true, 3));
    assert!(evidence(&v).seeds[4].note.as_ref().is_some_and(|n| n.contains("does not count")));
    rows.insert("b", 3, "m", Cell::Value(0.1)).expect("new");
    rows.insert("a", 3, "m", Cell::Value(f64::INFINITY)).expect("new");
    let v = claim.evaluate(&rows);
    assert_eq!((v.outcome, v.open), (Outcome::Inconclusive, false), "no seed to come mends seed 3");
}

#[test]
fn anytime_onsets() {
    let rows = climbing(&[("fast", [40.0; 5]), ("slow", [90.0; 5])]);
    let rule = Rule::OnsetBefore { early: onset("fast"), late: onset("slow") };
    let v = Claim::new(rule, 0..10).anytime().evaluate(&rows);
    assert_eq!((v.outcome, v.open), (Outcome::Inconclusive, true), "seven wins are needed");
}

#[test]
fn check_refuses_what_cannot_be_decided() {
    let refusal = |claim: Claim| claim.check().expect_err("refused").to_string();
    assert!(Claim::new(positive("a", "b"), 0..8).check().is_ok());
    assert_eq!(
        refusal(Claim::new(positive("a", "b"), 0..3).anytime()),
        "3 seeds cannot decide `a:m - b:m > 0` at alpha 0.05\n  = give it at least 4 seeds"
    );
    let order = Rule::OnsetBefore { early: onset("fast"), late: onset("slow") };
    assert!(refusal(Claim::new(order.clone(), 0..4)).ends_with("at least 5 seeds"));
    assert!(refusal(Claim::new(order.clone(), 0..6).anytime()).ends_with("at least 7 seeds"));
    let either = Rule::AnyOf(vec![order.clone(), positive("a", "b")]);
    assert!(refusal(Claim::new(either, 0..5)).ends_with("at least 6 seeds"));
    assert_eq!(
        refusal(Claim::new(positive("a", "b"), [1, 2, 1])),
        "seed 1 is given twice\n  = give each seed once"
    );
    assert!(Claim { alpha: 0.5, ..Claim::new(order, 0..8) }.check().is_err());
    for rule in [
        Rule::AllOf(vec![]),
        Rule::NonInferior { a: m("a"), b: m("b"), margin: -0.1 },
        Rule::Ratio { a: m("a"), b: m("b"), at_least: 0.0 },
        Rule::Within { what: m("a"), lo: 1.0, hi: 1.0 },
        Rule::Seeds { what: m("a"), lo: 0.0, hi: 1.0, at_least: 9 },
        Rule::Above { what: Quantity::Highest(vec![]), threshold: 0.0 },
        Rule::Above { what: Quantity::Slope(vec![(1.0, m("a"))]), threshold: 0.0 },
        Rule::Above { what: m("a"), threshold: f64::NAN },
    ] {
        assert!(Claim::new(rule.clone(), 0..8).check().is_err(), "{rule:?}");
    }
}

#[test]
fn terms_name_what_the_recipe_must_have() {
    let best = Quantity::Highest(vec![m("sft"), m("rl")]);
    let claim = Claim::new(Rule::Positive { a: m("both"), b: best }, 0..8);
    assert_eq!(claim.terms().iter().map(|t| t.arm.as_str()).collect::<Vec<_>>(), ["both", "sft", "rl"]);
    assert!(claim.words().starts_with("both:m - max(sft:m, rl:m) > 0"), "{}", claim.words());
}

#[test]
fn a_verdict_survives_json() {
    let mut bad = BETTER;
    bad[0] = f64::INFINITY;
    let rows = table(&[("a", &bad), ("b", &WORSE), ("c", &ALIKE)]);
    let rule = Rule::AllOf(vec![positive("a", "b"), Rule::Ratio { a: m("c"), b: m("b"), at_least: 1.0 }]);
    let v = Claim::new(rule, 0..5).evaluate(&rows);
    let json = serde_json::to_string(&v).expect("a verdict is plain data");
    assert!(json.starts_with(r#"{"outcome":"not held""#), "{json}");
    assert_eq!(serde_json::from_str::<Verdict>(&json).expect("the same"), v);
    let empty = Claim::new(positive("a", "b"), 0..5).evaluate(&Table::new());
    let json = serde_json::to_string(&empty).expect("a verdict is plain data");
    assert_eq!(serde_json::from_str::<Verdict>(&json).expect("the same"), empty);
}
