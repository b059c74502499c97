//! What a net of numbers makes of held-out rows: the share of right classes, the loss, and how much of wanted values.

use burn::Tensor;
use regimen_base::{Error, Result};
use regimen_data::{Body, Example, Features, Goal};
use regimen_nn::{Net, Pick, Taps, Vectors, Want};

use super::{Evaluation, SetResult, Subject, Tally};
use crate::stage::{paths_of, placed};

/// Sums over a set.
#[derive(Default)]
struct Sums {
    classes: Tally,
    /// Σ −log p of classes, or Σ ½(output − wanted)².
    loss: f64,
    count: u64,
    /// Σ output·wanted and Σ wanted².
    along: f64,
    square: f64,
}

/// Reads every row and enters what comes of it.
pub(super) fn read(
    evaluation: &Evaluation,
    examples: Vec<Example>,
    subject: &mut Subject,
    result: &mut SetResult,
) -> Result<()> {
    let mut rows: Vec<(Features, Option<u32>)> = examples.into_iter().map(row).collect::<Result<_>>()?;
    if let Some(selector) = evaluation.select {
        select(&mut rows, selector, subject.model.net.as_mut())?;
    }
    let cap = evaluation.micro_batch_tokens;
    let mut sums = Sums::default();
    for rows in rows.chunks(cap.max(1)) {
        if !(subject.go)() {
            return Ok(());
        }
        sums.add(rows, subject, result)?;
    }
    let Sums { classes, loss, count, along, square } = sums;
    result.replies = (classes.n > 0).then_some(classes);
    result.loss = (count > 0).then(|| loss / count as f64);
    result.gain = (square > 0.0).then(|| along / square);
    Ok(())
}

/// Gives each row to the path that path `selector` names for it.
fn select(rows: &mut [(Features, Option<u32>)], selector: usize, net: &mut dyn Net) -> Result<()> {
    let of = paths_of(net)?;
    if selector == 0 {
        return Err(Error::usage("`select` is path 0: there is no path before it to select"));
    }
    for (row, _) in rows.iter_mut() {
        let asked = placed(row, selector, of)?;
        let picks = [Pick { position: 0, target: 0 }];
        let width = asked.values.len();
        let inputs = Vectors { values: &asked.values, width, picks: &picks, temperature: 1.0 };
        let want = Want { logits: true, ..Want::default() };
        let out = net.forward(&regimen_nn::Inputs::Vectors(inputs), want, &mut Taps::none())?;
        let logits = numbers(out.logits.ok_or_else(|| Error::failed("a net of numbers gave no outputs"))?)?;
        *row = placed(row, largest(&logits[..selector.min(logits.len())]), of)?;
    }
    Ok(())
}

fn row(example: Example) -> Result<(Features, Option<u32>)> {
    match example.body {
        Body::Features(features) => Ok((features, example.difficulty)),
        _ => Err(Error::usage("the model reads rows of numbers, and the held-out items are text")
            .remedy("name a task that makes numbers")),
    }
}

impl Sums {
    fn add(
        &mut self,
        rows: &[(Features, Option<u32>)],
        subject: &mut Subject,
        result: &mut SetResult,
    ) -> Result<()> {
        let values: Vec<f32> = rows.iter().flat_map(|(row, _)| &row.values).copied().collect();
        let mut picks = Vec::new();
        for (position, (row, _)) in rows.iter().enumerate() {
            let pick = |target| Pick { position: position as u32, target };
            match &row.goal {
                Goal::Class(class) => picks.push(pick(*class)),
                Goal::Values(wanted) => picks.extend(wanted.iter().map(|w| pick(w.output))),
            }
        }
        let width = values.len() / rows.len();
        let inputs = Vectors { values: &values, width, picks: &picks, temperature: 1.0 };
        let want = Want { logits: true, values: true, ..Want::default() };
        let net = &mut subject.model.net;
        let out = net.forward(&regimen_nn::Inputs::Vectors(inputs), want, &mut Taps::none())?;
        let logp = numbers(out.logp)?;
        let (Some(logits), Some(values)) = (out.logits, out.values) else {
            return Err(Error::failed("a net of numbers gave no outputs"));
        };
        let [_, outputs] = logits.dims();
        let (logits, values) = (numbers(logits)?, numbers(values)?);
        let mut at = 0;
        for (row, difficulty) in rows {
            match &row.goal {
                Goal::Class(class) => {
                    let right = largest(&logits[at * outputs..(at + 1) * outputs]) == *class as usize;
                    let one = Tally { score: f64::from(u8::from(right)), n: 1, parsed: 1, truncated: 0 };
                    self.classes.add(one);
                    if let Some(level) = difficulty {
                        result.by_difficulty.entry(*level).or_default().add(one);
                    }
                    self.loss -= f64::from(logp[at]);
                    at += 1;
                    self.count += 1;
                }
                Goal::Values(wanted) => {
                    for w in wanted {
                        let (y, t) = (f64::from(values[at]), f64::from(w.value));
                        self.loss += 0.5 * (y - t) * (y - t);
                        self.along += y * t;
                        self.square += t * t;
                        at += 1;
                        self.count += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The place of the largest number; of equal ones the first.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let values = tensor.into_data().try_into_vec::<f32>();
    values.map_err(|e| Error::failed(format!("cannot read outputs back: {e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::rollout::{Settings, SingleTurn};
    use regimen_base::Key;
    use regimen_data::{ExampleId, Wanted};
    use regimen_nn::{Arch, Device, Elementwise, Mlp, build};

    /// y = x, two numbers.
    fn identity() -> Model {
        let between = Elementwise::Linear;
        let mlp = Mlp { inputs: 2, hidden: vec![], outputs: 2, between, bias: false, paths: 1 };
        let mut net = build(&Arch::Mlp(mlp), &Device::cpu()).expect("it is sound");
        net.params_mut().flat_mut().copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
        Model::new(net, None)
    }

    fn evaluation(select: Option<usize>) -> Evaluation {
        let rollout = Box::new(SingleTurn(Settings::greedy(1)));
        let (sets, probes) = (Vec::new(), Vec::new());
        Evaluation { sets, n: 9, rollout, key: Key::new(0), micro_batch_tokens: 2, probes, select }
    }

    fn result(rows: Vec<Features>) -> SetResult {
        let id = ExampleId { source: 0, index: 0 };
        let examples = rows.into_iter().map(|row| Example::new(id, Body::Features(row))).collect();
        let mut model = identity();
        let mut subject =
            Subject { model: &mut model, generator: None, version: 0, clamps: &[], go: &|| true };
        let mut result = SetResult::default();
        read(&evaluation(None), examples, &mut subject, &mut result).expect("the rows fit");
        result
    }

    #[test]
    fn classes_are_counted_and_their_loss_is_log_p() {
        let row = |values: [f32; 2], class| Features { values: values.to_vec(), goal: Goal::Class(class) };
        let result = result(vec![row([2.0, 0.0], 0), row([2.0, 0.0], 1), row([0.0, 2.0], 1)]);
        let tally = result.replies.expect("classes");
        assert_eq!((tally.score, tally.n), (2.0, 3));
        let low = (1.0 + (-2.0f64).exp()).ln();
        let loss = (low + (2.0 + low) + low) / 3.0;
        assert!((result.loss.expect("a loss") - loss).abs() < 1e-6);
        assert_eq!(result.gain, None);
    }

    #[test]
    fn values_have_a_loss_and_a_gain() {
        let wanted = |output, value| Wanted { output, value };
        let rows = vec![
            Features { values: vec![1.0, 2.0], goal: Goal::Values(vec![wanted(0, 2.0), wanted(1, 4.0)]) },
            Features { values: vec![3.0, 0.0], goal: Goal::Values(vec![wanted(1, 1.0)]) },
        ];
        let result = result(rows);
        assert_eq!(result.replies, None);
        assert!((result.loss.expect("a loss") - (0.5 + 2.0 + 0.5) / 3.0).abs() < 1e-6);
        assert!((result.gain.expect("a gain") - 10.0 / 21.0).abs() < 1e-6);
    }

    /// Three paths of one number: the first answers class 0, the second class 1, and the third selects the second for what is
    /// above 0.
    #[test]
    fn a_selector_names_the_path_that_answers() {
        let between = Elementwise::Linear;
        let mlp = Mlp { inputs: 1, hidden: vec![], outputs: 2, between, bias: false, paths: 3 };
        let mut net = build(&Arch::Mlp(mlp), &Device::cpu()).expect("it is sound");
        net.params_mut().flat_mut().copy_from_slice(&[1.0, -1.0, -1.0, 1.0, -1.0, 1.0]);
        let mut model = Model::new(net, None);
        let id = ExampleId { source: 0, index: 0 };
        let row = |x: f32, class| Features { values: vec![x], goal: Goal::Class(class) };
        // above 0 the second path says 1; below, the first path says 1 as well, for −1 is the larger of −1·x
        let rows = [row(2.0, 1), row(-2.0, 1), row(-2.0, 0)];
        let examples = rows.map(|row| Example::new(id, Body::Features(row))).to_vec();
        let mut subject =
            Subject { model: &mut model, generator: None, version: 0, clamps: &[], go: &|| true };
        let mut result = SetResult::default();
        read(&evaluation(Some(2)), examples, &mut subject, &mut result).expect("the rows fit");
        let tally = result.replies.expect("classes");
        assert_eq!((tally.score, tally.n), (2.0, 3));
    }
}
