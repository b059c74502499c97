//! `label`: whether the label of a sequence is found, and which heads of the second layer look at it.
//!
//! Sequences are exemplar, label, exemplar, label, query; what is predicted at the query is the label.

use regimen_base::{Error, Result};
use regimen_core::objective::Reading;
use regimen_core::probe::{Probe, Seen};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

const SITE: &str = "blocks.1.attn.pattern";
/// Where the labels of the two exemplars stand.
const LABELS: [usize; 2] = [1, 3];
/// Where the query stands.
const QUERY: usize = 4;

/// Reads `accuracy`, and for each head `head-0`, …: attention from the query to the right label less that to the wrong one.
struct Label;

impl Probe for Label {
    fn sites(&self) -> Vec<String> {
        vec![SITE.to_owned()]
    }

    fn logits(&self) -> bool {
        true
    }

    fn read(&self, seen: &Seen) -> Result<Vec<Reading>> {
        let mut readings = vec![accuracy(seen)?];
        let pattern =
            seen.activations.get(SITE).ok_or_else(|| Error::failed("`label` was given no pattern"))?;
        let (heads, places) = (pattern.shape[1], pattern.shape[2]);
        for head in 0..heads {
            let strength = seen.units.iter().enumerate().filter_map(|(document, unit)| {
                let ids: Vec<u32> = unit.tokens().iter().map(|t| t.id).collect();
                let right = LABELS.into_iter().find(|&at| ids.get(at - 1) == ids.get(QUERY))?;
                let row = &pattern.values[((document * heads + head) * places + QUERY) * places..][..places];
                Some(f64::from(row[right] - row[LABELS[0] + LABELS[1] - right]))
            });
            let strength: Vec<f64> = strength.collect();
            let ones = vec![1.0; strength.len()];
            readings.push(Reading::mean(&format!("head-{head}"), strength, &ones));
        }
        Ok(readings)
    }
}

/// The share of sequences whose first predicted token is the likeliest one.
fn accuracy(seen: &Seen) -> Result<Reading> {
    let logits = seen.outputs.logits.clone().ok_or_else(|| Error::failed("`label` was given no logits"))?;
    let vocab = logits.dims()[1];
    let logits = logits.into_data().try_into_vec::<f32>();
    let logits = logits.map_err(|e| Error::failed(format!("cannot read logits back: {e:?}")))?;
    let mut right = Vec::new();
    let mut last = None;
    for ((row, pick), unit) in logits.chunks(vocab).zip(&seen.picks.picks).zip(&seen.picks.unit) {
        if last.replace(*unit) != Some(*unit) {
            let target = pick.target as usize;
            let likeliest = row.iter().enumerate().all(|(id, value)| id == target || *value < row[target]);
            right.push(f64::from(u8::from(likeliest)));
        }
    }
    let ones = vec![1.0; right.len()];
    Ok(Reading::mean("accuracy", right, &ones))
}

pub(super) const PIECE: Piece<dyn Probe> = Piece {
    spec: KindSpec::new(
        Room::Probe,
        "label",
        "the share of sequences whose label is found, and how much each head of the second layer looks at it",
        &[],
    )
    .source("Singh et al. 2024 (arXiv:2404.07129)")
    .example(r#"{ kind = "label" }"#),
    build: |_, _| Ok(Box::new(Label)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use burn::{Tensor, TensorData};
    use regimen_core::{Content, Picks, Unit};
    use regimen_data::{ExampleId, Role, Token};
    use regimen_nn::{Device, Outputs, Pick};
    use std::collections::BTreeMap;

    fn unit(ids: [u32; 7]) -> Unit {
        let token = |id| Token { id, role: Role::Assistant, weight: 1.0, logprob: None };
        Unit {
            example: ExampleId { source: 0, index: 0 },
            content: Content::Tokens(ids.map(token).to_vec()),
            weight: 1.0,
            advantage: None,
            side: None,
        }
    }

    /// Two sequences, of which the first asks for its second exemplar; of one head that attends to place 3 in both.
    #[test]
    fn a_head_is_as_strong_as_it_tells_right_from_wrong() {
        let units = [unit([10, 1, 11, 2, 11, 2, 0]), unit([12, 3, 10, 4, 12, 3, 0])];
        let mut pattern = vec![0.0; 2 * 6 * 6];
        for document in 0..2 {
            let row = (document * 6 + QUERY) * 6;
            pattern[row + 1] = 0.2;
            pattern[row + 3] = 0.7;
        }
        let reading = regimen_nn::Reading {
            axes: "bhqk",
            shape: vec![2, 1, 6, 6],
            values: pattern,
            lengths: vec![6, 6],
        };
        let device = Device::cpu().tensors(false);
        // the second pick of each document ends the reply and does not count
        let rows: Vec<f32> = vec![0.0, 0.0, 5.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0, 0.0];
        let tensor =
            |values: Vec<f32>, shape: [usize; 2]| Tensor::from_data(TensorData::new(values, shape), &device);
        let logits = tensor([rows.clone(), rows].concat(), [4, 5]);
        let outputs = Outputs {
            logp: Tensor::from_data(TensorData::new(vec![0.0_f32; 4], [4]), &device),
            entropy: None,
            logits: Some(logits),
            hidden: None,
            values: None,
        };
        let pick = |target| Pick { position: 0, target };
        let picks = Picks {
            picks: vec![pick(2), pick(0), pick(3), pick(0)],
            unit: vec![0, 0, 1, 1],
            ..Picks::default()
        };
        let activations = BTreeMap::from([(SITE.to_owned(), reading)]);
        let seen = Seen { units: &units, picks: &picks, outputs: &outputs, activations: &activations };
        let read = Label.read(&seen).expect("all is there");
        let mean = |at: usize| read[at].value / read[at].weight;
        assert_eq!((read[0].name.as_str(), mean(0)), ("accuracy", 0.5));
        assert_eq!(read[1].name, "head-0");
        assert!(mean(1).abs() < 1e-6, "0.5 and -0.5: {}", mean(1));
    }
}
