//! `top1`: how often the token that is to be predicted is the likeliest one.

use regimen_base::{Error, Result};
use regimen_core::objective::Reading;
use regimen_core::probe::{Probe, Seen};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

/// The weighted share of right tokens, each after the gold ones before it. A tie is not right.
pub struct Top1;

impl Probe for Top1 {
    fn logits(&self) -> bool {
        true
    }

    fn read(&self, seen: &Seen) -> Result<Vec<Reading>> {
        let logits =
            seen.outputs.logits.clone().ok_or_else(|| Error::failed("`top1` was given no logits"))?;
        let vocab = logits.dims()[1];
        let logits = logits.into_data().try_into_vec::<f32>();
        let logits = logits.map_err(|e| Error::failed(format!("cannot read logits back: {e:?}")))?;
        let right = logits.chunks(vocab).zip(&seen.picks.picks).map(|(row, pick)| {
            let target = pick.target as usize;
            let beaten = row.iter().enumerate().all(|(id, value)| id == target || *value < row[target]);
            f64::from(u8::from(beaten))
        });
        Ok(vec![Reading::mean("top1", right, &seen.picks.weight)])
    }
}

pub(super) const PIECE: Piece<dyn Probe> = Piece {
    spec: KindSpec::new(
        Room::Probe,
        "top1",
        "the share of trained tokens that are the likeliest ones, each after the gold tokens before it",
        &[],
    )
    .example(r#"{ kind = "top1" }"#),
    build: |_, _| Ok(Box::new(Top1)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use burn::{Tensor, TensorData};
    use regimen_core::Picks;
    use regimen_nn::{Device, Outputs, Pick};
    use std::collections::BTreeMap;

    #[test]
    fn the_likeliest_token_is_right_and_a_tie_is_not() {
        let device = Device::cpu().tensors(false);
        let rows = vec![0.0, 2.0, 1.0, 3.0, 3.0, 1.0, 5.0, 1.0, 9.0];
        let outputs = Outputs {
            logp: Tensor::from_data(TensorData::new(vec![0.0_f32; 3], [3]), &device),
            entropy: None,
            logits: Some(Tensor::from_data(
                TensorData::new(rows.iter().map(|v| *v as f32).collect::<Vec<f32>>(), [3, 3]),
                &device,
            )),
            hidden: None,
            values: None,
        };
        let pick = |target| Pick { position: 0, target };
        let picks =
            Picks { picks: vec![pick(1), pick(0), pick(2)], weight: vec![1.0, 1.0, 2.0], ..Picks::default() };
        let seen = Seen { units: &[], picks: &picks, outputs: &outputs, activations: &BTreeMap::new() };
        let reading = &Top1.read(&seen).expect("it has logits")[0];
        assert_eq!((reading.value, reading.weight), (3.0, 4.0));
    }
}
