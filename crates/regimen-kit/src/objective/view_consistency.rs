//! `view-consistency`: what a net says of further views of an example stays near what it says of the first.

use burn::{Tensor, activation};
use regimen_base::{Error, Result};
use regimen_core::Picks;
use regimen_core::objective::{LossCx, Needs, Objective, Reading, Rows, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

/// KL(p_first ‖ p_view) for each view behind the first of an example, with no gradient through p_first. Views are
/// neighbouring rows of one example, as samplers with `views` give them. The value of a first view is 0 and does not count.
pub struct ViewConsistency;

/// For each pick the place of the first pick of its example.
fn firsts(picks: &Picks) -> Vec<usize> {
    let mut firsts: Vec<usize> = Vec::with_capacity(picks.len());
    for (i, &unit) in picks.unit.iter().enumerate() {
        let example = |unit: u32| picks.examples[unit as usize];
        let same = i > 0 && picks.unit[i - 1] != unit && example(picks.unit[i - 1]) == example(unit);
        firsts.push(if same { firsts[i - 1] } else { i });
    }
    firsts
}

impl Objective for ViewConsistency {
    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn rows(&self, picks: &Picks) -> Rows {
        let mut rows = Rows::of_picks(picks);
        for (i, first) in firsts(picks).into_iter().enumerate() {
            if first == i {
                rows.weight[i] = 0.0;
            }
        }
        rows
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let logits = cx.policy.logits.clone().ok_or_else(|| Error::failed("no logits of the picks"))?;
        let log_p = activation::log_softmax(logits, 1);
        let first: Tensor<2> = log_p.clone().detach().select(0, cx.places(firsts(cx.picks)));
        let value = (first.clone().exp() * (first - log_p)).sum_dim(1).squeeze_dim::<1>(1);
        let weight = self.rows(cx.picks).weight;
        let told = super::read(&value)?.into_iter().map(f64::from);
        let reading = Reading::mean("view_kl", told, &weight);
        Ok(Term { value, readings: vec![reading] })
    }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "view-consistency",
        "KL from what the net says of an example's first view to what it says of each further view in the batch",
        &[],
    )
    .source("arXiv:2503.18371")
    .example(r#"{ kind = "view-consistency", coef = 0.5 }"#),
    build: |_, _| Ok(Box::new(ViewConsistency)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use burn::TensorData;
    use regimen_core::{Content, Unit};
    use regimen_data::{ExampleId, Features, Goal};
    use regimen_nn::{Device, Outputs};
    use std::collections::BTreeMap;

    fn picks(examples: &[u64]) -> Picks {
        let unit = |&index: &u64| Unit {
            example: ExampleId { source: 0, index },
            content: Content::Features(Features { values: vec![0.0], goal: Goal::Class(0) }),
            weight: 1.0,
            advantage: None,
            side: None,
        };
        Picks::of(&examples.iter().map(unit).collect::<Vec<_>>())
    }

    const LOGITS: [f64; 12] = [0.2, -1.0, 0.5, 1.0, 0.1, -0.3, -0.4, 0.0, 2.0, 0.7, 0.7, -1.2];

    fn kl(p: &[f64], q: &[f64]) -> f64 {
        let log = |row: &[f64]| {
            let sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            row.iter().map(|x| x - sum).collect::<Vec<_>>()
        };
        log(p).iter().zip(log(q)).map(|(p, q)| p.exp() * (p - q)).sum()
    }

    /// Values and slopes beside f64 differences, with the first view held fixed.
    #[test]
    fn further_views_are_drawn_to_the_first_and_not_the_first_to_them() {
        let picks = picks(&[7, 7, 7, 8]);
        assert_eq!(ViewConsistency.rows(&picks).weight, [0.0, 1.0, 1.0, 0.0]);
        let device = Device::cpu();
        let wide: Vec<f32> = LOGITS.iter().map(|&x| x as f32).collect();
        let logits =
            Tensor::<2>::from_data(TensorData::new(wide, [4, 3]), &device.tensors(true)).require_grad();
        let logp = Tensor::<1>::zeros([4], &device.tensors(true));
        let policy =
            Outputs { logp, entropy: None, logits: Some(logits.clone()), hidden: None, values: None };
        let others = BTreeMap::new();
        let cx = LossCx { picks: &picks, policy: &policy, others: &others, device: &device };
        let term = ViewConsistency.term(&cx).expect("logits are there");
        let values = super::super::read(&term.value).expect("numbers");
        let row = |i: usize| &LOGITS[3 * i..3 * i + 3];
        for (i, expected) in [(0, 0.0), (1, kl(row(0), row(1))), (2, kl(row(0), row(2))), (3, 0.0)] {
            assert!((f64::from(values[i]) - expected).abs() < 1e-6, "{i}: {} {expected}", values[i]);
        }
        let mut gradients = term.value.sum().backward();
        let slopes = logits.grad_remove(&mut gradients).expect("a leaf");
        let slopes = slopes.into_data().try_into_vec::<f32>().expect("numbers");
        for (at, ours) in slopes.into_iter().enumerate() {
            let (i, j) = (at / 3, at % 3);
            let of = |h: f64| {
                let mut moved = row(i).to_vec();
                moved[j] += h;
                if i == 1 || i == 2 { kl(row(0), &moved) } else { 0.0 }
            };
            let slope = (of(1e-5) - of(-1e-5)) / 2e-5;
            assert!((f64::from(ours) - slope).abs() < 1e-5, "{at}: {ours} {slope}");
        }
    }
}
