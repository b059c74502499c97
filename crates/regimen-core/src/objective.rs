//! Objectives return unreduced terms; the loop reduces them and owns the optimiser.

use std::collections::BTreeMap;

use burn::{IndexingUpdateOp, Int, Tensor};
use regimen_base::Result;
use regimen_nn::{Device, Outputs};

use crate::picks::Picks;
use crate::reduce::Reduce;

/// What an objective wants computed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// The entropy of the policy's distribution at each pick.
    pub entropy: bool,
    /// The policy's logits at each pick.
    pub logits: bool,
    /// The picked outputs themselves, which only nets of numbers have.
    pub values: bool,
    /// Named members of the cast whose log-probs of the same picks it reads.
    pub nets: Vec<String>,
    /// Whether it needs drawn tokens with advantages, that is a rollout.
    pub rollout: bool,
    /// Whether it compares the two sides of preferences.
    pub pairs: bool,
}

/// All that an objective sees of one micro-batch.
pub struct LossCx<'a> {
    /// The places that carry loss.
    pub picks: &'a Picks,
    /// The trained net's outputs at the picks, on the autodiff device.
    pub policy: &'a Outputs,
    /// Log-probs of the picks under the nets that [`Needs::nets`] asked for.
    pub others: &'a BTreeMap<String, Tensor<1>>,
    /// Where to put constants.
    pub device: &'a Device,
}

impl LossCx<'_> {
    /// One number a pick as a constant tensor.
    pub fn constant(&self, values: Vec<f32>) -> Tensor<1> {
        let n = values.len();
        Tensor::from_data(burn::TensorData::new(values, [n]), &self.device.tensors(false))
    }

    /// Places as a constant tensor, to select by.
    pub fn places(&self, places: impl IntoIterator<Item = usize>) -> Tensor<1, Int> {
        let places: Vec<i64> = places.into_iter().map(|p| p as i64).collect();
        let n = places.len();
        Tensor::from_data(burn::TensorData::new(places, [n]), &self.device.tensors(false))
    }

    /// The unit of each pick.
    pub fn units(&self) -> Tensor<1, Int> {
        self.places(self.picks.unit.iter().map(|&u| u as usize))
    }

    /// Values of the picks added up within each unit, `[units]`.
    pub fn sum_by_unit(&self, values: Tensor<1>) -> Tensor<1> {
        Tensor::<1>::zeros([self.picks.units()], &self.device.tensors(false)).select_assign(
            0,
            self.units(),
            values,
            IndexingUpdateOp::Add,
        )
    }
}

/// What the values of an objective stand for, in the order of the batch.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// How much each value counts.
    pub weight: Vec<f32>,
    /// The unit that each value belongs to: a document, or a preference.
    pub unit: Vec<u32>,
    /// How many units there are, with or without values.
    pub units: usize,
}

impl Rows {
    /// One value a pick, each in its document.
    pub fn of_picks(picks: &Picks) -> Self {
        Self { weight: picks.weight.clone(), unit: picks.unit.clone(), units: picks.units() }
    }

    /// One value a preference, and each is a unit of its own.
    pub fn of_pairs(picks: &Picks) -> Self {
        let n = picks.pairs().len();
        Self { weight: vec![1.0; n], unit: (0..n as u32).collect(), units: n }
    }

    /// The factor of each value under `reduce`, times `by`.
    pub(crate) fn factors(&self, reduce: Reduce, by: f64) -> Vec<f32> {
        let factors = reduce.factors(&self.weight, &self.unit, self.units);
        factors.into_iter().map(|f| (f64::from(f) * by) as f32).collect()
    }
}

/// The values of one objective, one a row, and what it wants reported.
pub struct Term {
    /// Unreduced: the loss of each row, on the autodiff graph.
    pub value: Tensor<1>,
    /// Readings for the metrics; they cannot change the training.
    pub readings: Vec<Reading>,
}

/// How readings of several micro-batches become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// Σ value / Σ weight.
    Mean,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// A number for the metrics.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Its name, in the field's words.
    pub name: String,
    /// For means: the sum. Otherwise the value.
    pub value: f64,
    /// For means: the weight.
    pub weight: f64,
    /// How it is folded.
    pub fold: Fold,
}

impl Reading {
    /// The weighted mean of `values`.
    pub fn mean(name: &str, values: impl IntoIterator<Item = f64>, weights: &[f32]) -> Self {
        let mut value = 0.0;
        let mut weight = 0.0;
        for (v, &w) in values.into_iter().zip(weights) {
            value += v * f64::from(w);
            weight += f64::from(w);
        }
        Self { name: name.to_owned(), value, weight, fold: Fold::Mean }
    }

    /// The largest of `values`.
    pub fn max(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let value = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
        Self { name: name.to_owned(), value, weight: 1.0, fold: Fold::Max }
    }

    /// The smallest of `values`.
    pub fn min(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let value = values.into_iter().fold(f64::INFINITY, f64::min);
        Self { name: name.to_owned(), value, weight: 1.0, fold: Fold::Min }
    }
}

/// A loss before its reduction.
pub trait Objective: Send {
    /// What it wants computed.
    fn needs(&self) -> Needs;
    /// What its values stand for: picks, unless it says otherwise. A function of the data alone, since the
    /// denominator must be known before the first micro-batch.
    fn rows(&self, picks: &Picks) -> Rows {
        Rows::of_picks(picks)
    }
    /// Its values at the rows of one micro-batch.
    fn term(&self, cx: &LossCx) -> Result<Term>;
}

/// An objective with its place in the sum.
pub struct Weighted {
    /// Its kind, which names its knob (`objective.{name}.coef`) and its metrics.
    pub name: String,
    /// Its factor.
    pub coef: f64,
    /// Its denominator.
    pub reduce: Reduce,
    /// The piece.
    pub objective: Box<dyn Objective>,
}

/// Readings of a step, folded.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Readings(BTreeMap<String, (f64, f64, Option<Fold>)>);

impl Readings {
    /// Adds one.
    pub fn add(&mut self, r: Reading) {
        let entry = self.0.entry(r.name).or_insert((0.0, 0.0, None));
        *entry = match (r.fold, entry.2) {
            (Fold::Mean, _) => (entry.0 + r.value, entry.1 + r.weight, Some(Fold::Mean)),
            (fold, None) => (r.value, 1.0, Some(fold)),
            (Fold::Max, _) => (entry.0.max(r.value), 1.0, Some(Fold::Max)),
            (Fold::Min, _) => (entry.0.min(r.value), 1.0, Some(Fold::Min)),
        };
    }

    /// Adds a plain number.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), (value, 1.0, Some(Fold::Mean)));
    }

    /// Every reading that has a value.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let value = |(name, &(value, weight, _)): (&String, &(f64, f64, Option<Fold>))| {
            (weight != 0.0).then(|| (name.clone(), value / weight))
        };
        self.0.iter().filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_two_micro_batches_fold() {
        let mut all = Readings::default();
        all.add(Reading::mean("acc", [1.0, 0.0], &[1.0, 1.0]));
        all.add(Reading::mean("acc", [1.0], &[2.0]));
        all.add(Reading::max("gap", [0.5, 2.0]));
        all.add(Reading::max("gap", [1.0]));
        all.add(Reading::min("low", [3.0]));
        all.add(Reading::mean("none", [], &[]));
        let values = all.values();
        assert_eq!(values["acc"], 0.75);
        assert_eq!(values["gap"], 2.0);
        assert_eq!(values["low"], 3.0);
        assert!(!values.contains_key("none"));
    }
}
