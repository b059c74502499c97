//! Where an axis begins and ends, and where its ticks are.

use super::numbers::{digits, si};

/// A linear axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// An axis for values, that ends on ticks; zero is part of it when the values come near it.
    pub(super) fn for_values((mut low, mut high): (f64, f64), ticks: usize) -> Self {
        if low > 0.0 && low < 0.4 * high {
            low = 0.0;
        }
        if (high - low).abs() <= 1e-12 * high.abs().max(1e-300) {
            // a constant lies in the middle of its axis
            let half = if high == 0.0 { 1.0 } else { high.abs() * 0.5 };
            (low, high) = (low - half, high + half);
        }
        let step = step(high - low, ticks);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let count = (last - first) as usize;
        let ticks = (0..=count).map(|i| (first + i as f64) * step).collect();
        Self { low: first * step, high: last * step, ticks }
    }

    /// An axis for steps: it ends where the steps end.
    pub(super) fn for_steps(low: f64, high: f64, ticks: usize) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = step(high - low, ticks).max(1.0);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        let ticks = (first..=last).map(|i| i as f64 * step).collect();
        Self { low, high, ticks }
    }

    /// Where `value` is, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A round step that cuts `span` into about `ticks` parts.
fn step(span: f64, ticks: usize) -> f64 {
    let rough = span / ticks.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let off = |factor: &f64| (factor * power / rough).ln().abs();
    let nearest = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().min_by(|a, b| off(a).total_cmp(&off(b)));
    nearest.unwrap_or(1.0) * power
}

/// A tick's label.
pub(super) fn label(value: f64) -> String {
    if value.abs() < 1000.0 { digits(value) } else { si(value).replace('\u{a0}', "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_get_round_ticks() {
        let axis = Axis::for_values((0.31, 4.12), 4);
        assert_eq!((axis.low, axis.high, axis.ticks.len()), (0.0, 5.0, 6));
        let axis = Axis::for_values((2.31, 2.44), 4);
        assert!(axis.low <= 2.31 && axis.high >= 2.44 && axis.low > 2.2, "{axis:?}");
        assert!(Axis::for_values((-1.0, 1.0), 4).ticks.contains(&0.0));
    }

    #[test]
    fn constants_and_single_steps_have_an_axis_too() {
        for value in [0.0, 5.0, -3.0, 1e-9] {
            let axis = Axis::for_values((value, value), 4);
            assert!(axis.high > axis.low && (0.2..0.8).contains(&axis.place(value)), "{axis:?}");
        }
        let axis = Axis::for_steps(7.0, 7.0, 4);
        assert!(axis.place(7.0).is_finite() && axis.ticks.contains(&7.0));
    }

    #[test]
    fn labels_are_short() {
        let labels: Vec<String> = [0.0, 0.25, 12.5, 2000.0, 1.5e6].into_iter().map(label).collect();
        assert_eq!(labels, ["0", "0.25", "12.5", "2k", "1.5M"]);
    }
}
