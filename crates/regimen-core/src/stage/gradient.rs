//! One stream's gradient: forward, terms, reduction and backward, micro-batch by micro-batch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use burn::Tensor;
use regimen_base::{Error, Result};
use regimen_kernels::span;
use regimen_nn::{Inputs, Net, Rule, Taps, Want};

use crate::flat::Flat;
use crate::objective::{Fold, LossCx, Reading, Readings, Weighted};
use crate::picks::{Picks, Unit, micro_batches};

/// What a stream asks the nets to do with a batch.
pub struct Work<'a> {
    /// The optimiser batch.
    pub units: &'a [Unit],
    /// The stream's objectives with their factors now: coefficient × stream weight.
    pub objectives: &'a [Weighted],
    /// The factor of each objective.
    pub factors: Vec<f64>,
    /// The temperature at which log-probs are taken: the sampler's, or 1.
    pub temperature: f32,
    /// Most tokens in one micro-batch.
    pub cap: usize,
    /// Whether the drawn log-probs must equal the trainer's: first use of freshly drawn episodes.
    pub fresh: bool,
    /// What decides which inputs adapters drop; absent: none.
    pub dropout: Option<u64>,
    /// Activations of the policy that are held.
    pub clamps: &'a [Rule],
}

/// Adds the stream's gradient to the policy's and returns its loss.
pub fn accumulate(
    policy: &mut dyn Net,
    casts: &mut BTreeMap<String, Box<dyn Net>>,
    work: &Work,
    readings: &mut Readings,
) -> Result<f64> {
    let all = Picks::of(work.units);
    let objectives = || work.objectives.iter().zip(&work.factors);
    let scales: Vec<Vec<f32>> =
        objectives().map(|(o, &by)| o.objective.rows(&all).factors(o.reduce, by)).collect();
    let mut left: Vec<&[f32]> = scales.iter().map(Vec::as_slice).collect();
    let mut loss = 0.0;
    for range in micro_batches(work.units, work.cap) {
        let micro = &work.units[range];
        let picks = Picks::of(micro);
        let mut scales = Vec::with_capacity(left.len());
        for (objective, left) in work.objectives.iter().zip(&mut left) {
            let (own, rest) = left.split_at(objective.objective.rows(&picks).weight.len());
            scales.push(own);
            *left = rest;
        }
        if picks.is_empty() {
            continue;
        }
        loss += micro_batch(policy, casts, work, micro, &picks, &scales, readings)?;
    }
    Ok(loss)
}

fn micro_batch(
    policy: &mut dyn Net,
    casts: &mut BTreeMap<String, Box<dyn Net>>,
    work: &Work,
    units: &[Unit],
    picks: &Picks,
    scales: &[&[f32]],
    readings: &mut Readings,
) -> Result<f64> {
    let flat = Flat::of(units)?;
    let inputs = flat.inputs(&picks.picks, work.temperature);
    let part = span("forward");
    let others = others(casts, work, &inputs)?;
    let needs =
        |f: fn(&crate::objective::Needs) -> bool| work.objectives.iter().any(|o| f(&o.objective.needs()));
    let want = Want {
        grad: true,
        entropy: needs(|n| n.entropy),
        logits: needs(|n| n.logits),
        hidden: false,
        values: needs(|n| n.values),
        dropout: work.dropout,
    };
    let outputs = policy.forward(&inputs, want, &mut Taps::new(work.clamps.to_vec()))?;
    drop(part);
    let part = span("objective");
    if work.fresh {
        gap(&outputs.logp, picks, readings)?;
    }
    let device = policy.device().clone();
    let cx = LossCx { picks, policy: &outputs, others: &others, device: &device };
    let mut total: Option<Tensor<1>> = None;
    for (objective, &scale) in work.objectives.iter().zip(scales) {
        let term = objective.objective.term(&cx)?;
        for reading in term.readings {
            readings.add(reading);
        }
        let loss = (term.value * cx.constant(scale.to_vec())).sum();
        total = Some(match total {
            Some(sum) => sum + loss,
            None => loss,
        });
    }
    let Some(total) = total else { return Ok(0.0) };
    let loss = f64::from(total.clone().into_scalar::<f32>());
    if loss.is_finite() && total.is_tracked() {
        let mut gradients = total.backward();
        drop(part);
        let _part = span("backward");
        policy.backward(&mut gradients)?;
    }
    Ok(loss)
}

/// The log-probs of the picks under the nets that the objectives ask for.
fn others(
    casts: &mut BTreeMap<String, Box<dyn Net>>,
    work: &Work,
    inputs: &Inputs,
) -> Result<BTreeMap<String, Tensor<1>>> {
    let mut others = BTreeMap::new();
    for name in work.objectives.iter().flat_map(|o| o.objective.needs().nets) {
        if let Entry::Vacant(place) = others.entry(name) {
            let net = casts.get_mut(place.key());
            let net =
                net.ok_or_else(|| Error::usage(format!("the stage has no cast member `{}`", place.key())))?;
            let outputs = net.forward(inputs, Want::default(), &mut Taps::none())?;
            place.insert(outputs.logp);
        }
    }
    Ok(others)
}

/// Sampler against trainer: |log p as drawn − log p now|. On CPU the largest is 0, bit for bit.
fn gap(logp: &Tensor<1>, picks: &Picks, readings: &mut Readings) -> Result<()> {
    let now = logp.clone().inner().into_data().try_into_vec::<f32>();
    let now = now.map_err(|e| Error::failed(format!("cannot read log-probs back: {e:?}")))?;
    let differences: Vec<f64> = (0..picks.len())
        .filter(|&i| picks.drawn[i])
        .map(|i| f64::from((now[i] - picks.sampled[i]).abs()))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let ones = vec![1.0; differences.len()];
    let largest = differences.iter().copied().fold(0.0, f64::max);
    readings.add(Reading::mean("sampling/sampling_logp_difference/mean", differences, &ones));
    readings.add(Reading {
        name: "sampling/sampling_logp_difference/max".to_owned(),
        value: largest,
        weight: 1.0,
        fold: Fold::Max,
    });
    Ok(())
}
