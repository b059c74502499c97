//! Quantities and readings.

use super::*;
use crate::{Cell, Crossing, Curve, Side};

fn table() -> Table {
    let mut table = Table::new();
    let curve = Curve::new((1..=10).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect()).expect("points");
    table.insert("a", 0, "acc", Cell::Value(0.8)).expect("new");
    table.insert("b", 0, "acc", Cell::Value(0.5)).expect("new");
    table.insert("b", 0, "bad", Cell::Value(f64::NAN)).expect("new");
    table.insert("a", 0, "loss", Cell::Curve(curve)).expect("new");
    table
}

fn read(reading: Reading) -> Result<f64, Gap> {
    Quantity::read("a", "loss", reading).at(&table(), 0)
}

#[test]
fn readings_of_a_curve() {
    let crossing = Crossing { threshold: 7.0, side: Side::Rising, hold: 2 };
    assert_eq!(read(Reading::Final), Ok(20.0));
    assert_eq!(read(Reading::At(3.0)), Ok(6.0));
    assert_eq!(read(Reading::Highest), Ok(20.0));
    assert_eq!(read(Reading::Lowest), Ok(2.0));
    assert_eq!(read(Reading::Mean { from: 2.0, to: 4.0 }), Ok(6.0));
    assert_eq!(read(Reading::Slope { from: 1.0, to: 9.0 }), Ok(2.0));
    assert_eq!(read(Reading::Onset { crossing, never: None }), Ok(4.0));
}

#[test]
fn what_is_missing_is_said() {
    let say = |q: Quantity| match q.at(&table(), 0) {
        Err(Gap::Unusable(why)) => why,
        other => panic!("{other:?}"),
    };
    let never = Crossing { threshold: 99.0, side: Side::Rising, hold: 1 };
    assert_eq!(say(Quantity::of("a", "f1")), "arm `a` has no `f1`");
    assert_eq!(say(Quantity::of("b", "bad")), "b:bad is NaN");
    assert_eq!(
        say(Quantity::read("a", "acc", Reading::Highest)),
        "highest a:acc: a single number, not a curve"
    );
    assert_eq!(say(Quantity::read("a", "loss", Reading::At(3.5))), "a:loss at 3.5: no point at step 3.5");
    let onset = Quantity::read("a", "loss", Reading::Onset { crossing: never, never: None });
    assert_eq!(say(onset), "onset of a:loss ≥ 99: it never crosses");
    let log = Quantity::of("b", "acc").minus(Quantity::of("a", "acc")).log();
    assert_eq!(say(log), "b:acc - a:acc is -0.3, which has no logarithm");
    assert_eq!(Quantity::of("c", "acc").at(&table(), 0), Err(Gap::NotRun("arm `c` was not run".to_owned())));
    assert!(matches!(Quantity::of("a", "acc").at(&table(), 1), Err(Gap::NotRun(_))));
}

#[test]
fn a_nan_inside_a_curve_is_not_skipped() {
    let mut table = Table::new();
    let curve = Curve::new(vec![(1.0, 0.3), (2.0, f64::NAN), (3.0, 0.9)]).expect("points");
    table.insert("a", 0, "acc", Cell::Curve(curve)).expect("new");
    let at = |reading| Quantity::read("a", "acc", reading).at(&table, 0);
    for reading in [Reading::Highest, Reading::Lowest, Reading::Mean { from: 1.0, to: 3.0 }] {
        assert!(matches!(at(reading), Err(Gap::Unusable(_))), "{reading:?}");
    }
    assert!(matches!(at(Reading::Slope { from: 1.0, to: 3.0 }), Err(Gap::Unusable(_))));
    assert_eq!(at(Reading::Final), Ok(0.9));
}

#[test]
fn sums_bests_and_trends() {
    let (a, b) = (Quantity::of("a", "acc"), Quantity::of("b", "acc"));
    let at = |q: &Quantity| q.at(&table(), 0).expect("a number");
    assert!((at(&a.clone().minus(b.clone())) - 0.3).abs() < 1e-12);
    assert_eq!(at(&Quantity::Highest(vec![b.clone(), a.clone()])), 0.8);
    assert_eq!(at(&Quantity::Lowest(vec![b.clone(), a.clone()])), 0.5);
    let over = vec![(2.0, b.clone()), (4.0, a.clone())];
    assert!((at(&Quantity::Slope(over.clone())) - 0.15).abs() < 1e-12);
    assert!((at(&Quantity::Spearman(over)) - 1.0).abs() < 1e-12);
    let words = a.clone().minus(Quantity::Sum(vec![(0.5, b), (0.5, Quantity::Constant(1.0))])).words();
    assert_eq!(words, "a:acc - (0.5·b:acc + 0.5·1)");
}
