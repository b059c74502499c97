//! The tensor operations that objectives are written with have the gradients that they should: a clipped surrogate,
//! averaged per unit, against its formula.

use burn::{Bool, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use crate::Device;
use crate::testing::{assert_close, values};

const LOGP: [f32; 6] = [-1.0, -0.5, -2.0, -0.1, -3.0, -0.7];
const OLD: [f32; 6] = [-1.1, -0.5, -1.0, -0.6, -3.05, -0.2];
const ADVANTAGE: [f32; 6] = [1.0, 1.0, 1.0, -0.5, -0.5, -0.5];
const UNIT: [i64; 6] = [0, 0, 0, 1, 1, 1];
const LENGTH: [f32; 2] = [3.0, 3.0];

fn constant<const N: usize>(values: [f32; N]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [N]), &Device::cpu().tensors(false))
}

fn leaf<const N: usize>(values: [f32; N]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [N]), &Device::cpu().tensors(true)).require_grad()
}

#[test]
fn a_clipped_surrogate_per_unit() {
    let logp = leaf(LOGP);
    let unit =
        Tensor::<1, Int>::from_data(TensorData::new(UNIT.to_vec(), [6]), &Device::cpu().tensors(false));
    let ratio = (logp.clone() - constant(OLD)).exp();
    let kept = ratio.clone() * constant(ADVANTAGE);
    let clipped = ratio.clamp(0.8, 1.2) * constant(ADVANTAGE);
    let terms = kept.min_pair(clipped).neg();
    let zeros = Tensor::<1>::zeros([2], &Device::cpu().tensors(false));
    let sums = zeros.select_assign(0, unit, terms, IndexingUpdateOp::Add);
    let loss = (sums / constant(LENGTH)).mean();
    let (mut value, mut slopes) = (0.0, Vec::new());
    for i in 0..6 {
        let (ratio, advantage) = ((LOGP[i] - OLD[i]).exp(), ADVANTAGE[i]);
        let clipped = ratio.clamp(0.8, 1.2) * advantage;
        let active = ratio * advantage <= clipped;
        value -= (ratio * advantage).min(clipped) / 6.0;
        slopes.push(if active { -ratio * advantage / 6.0 } else { 0.0 });
    }
    assert_close("loss", &values(loss.clone()), &[value], 1e-6);
    let mut gradients = loss.backward();
    assert_close("slope", &values(logp.grad_remove(&mut gradients).expect("it is a leaf")), &slopes, 1e-6);
}

#[test]
fn gathers_and_masks_pass_gradients_back() {
    let scores = leaf(LOGP);
    let unit =
        Tensor::<1, Int>::from_data(TensorData::new(vec![1_i64, 0, 1], [3]), &Device::cpu().tensors(false));
    let per_unit = constant([2.0, 3.0]).select(0, unit); // [3, 2, 3]
    let rows = scores.clone().reshape([3, 2]);
    let column = Tensor::<2, Int>::from_data(
        TensorData::new(vec![0_i64, 1, 0], [3, 1]),
        &Device::cpu().tensors(false),
    );
    let picked = rows.gather(1, column).squeeze_dim::<1>(1) * per_unit;
    let mask = Tensor::<1, Bool>::from_data(
        TensorData::new(vec![false, false, true], [3]),
        &Device::cpu().tensors(false),
    );
    let loss = picked.mask_fill(mask, 0.0).sum();
    let mut gradients = loss.backward();
    let slopes = values(scores.grad_remove(&mut gradients).expect("it is a leaf"));
    assert_eq!(slopes, [3.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
}

#[test]
fn a_preference_loss() {
    let margins = leaf([0.3, -1.2]);
    let loss = activation::log_sigmoid(margins.clone().mul_scalar(0.1)).neg().mean();
    let mut gradients = loss.backward();
    let slope = |x: f32| -0.1 / (1.0 + (0.1 * x).exp()) / 2.0;
    assert_close(
        "slope",
        &values(margins.grad_remove(&mut gradients).expect("a leaf")),
        &[slope(0.3), slope(-1.2)],
        1e-5,
    );
}
