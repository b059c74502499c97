//! Nets of numbers: dense layers over rows, with a ReLU between them or nothing (a deep linear net), in one chain or in
//! several that are added.
//!
//! They are small, so they run on the host whatever the device; their outputs are leaves of the objectives' graph, as a
//! decoder's are.

mod config;
mod init;
mod leaves;

use burn::Gradients;
use regimen_base::{Error, Result};
use regimen_kernels::{Chain, ChainShape, Elementwise};

use crate::device::Device;
use crate::layout::Layout;
use crate::net::{Arch, Inputs, Net, Outputs, Vectors, Want};
use crate::params::Params;
use crate::plain::{Replaced, nothing_pending};
use crate::taps::Taps;
pub(crate) use config::MODEL_TYPE;
pub use init::MlpInit;
use leaves::Leaves;

/// Chains of dense layers side by side. Each reads its own share of a row, and their outputs are added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mlp {
    /// Numbers that one chain reads of a row.
    pub inputs: usize,
    /// Numbers between its layers; none makes one layer.
    pub hidden: Vec<usize>,
    /// Numbers that it gives.
    pub outputs: usize,
    /// What happens between layers.
    pub between: Elementwise,
    /// Whether layers have biases.
    pub bias: bool,
    /// How many chains there are.
    pub paths: usize,
}

impl Mlp {
    /// One chain.
    pub fn chain(&self) -> ChainShape {
        let inner = self.hidden.iter().copied();
        let sizes = std::iter::once(self.inputs).chain(inner).chain([self.outputs]).collect();
        ChainShape { sizes, between: self.between, bias: self.bias }
    }

    /// Errs when it is no net.
    ///
    /// # Errors
    /// What is wrong, as part of a sentence.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.paths == 0 {
            return Err("a net without paths".to_owned());
        }
        self.chain().check()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.inputs * self.paths
    }

    pub(crate) fn layout(&self) -> Layout {
        let entries = self.chain().entries();
        let lead = |p: usize| if self.paths == 1 { String::new() } else { format!("paths.{p}.") };
        let of = |p: usize| entries.iter().map(move |(name, shape)| (p, name, shape));
        Layout::new((0..self.paths).flat_map(of).map(|(p, name, shape)| (lead(p) + name, shape.clone())))
    }
}

/// An [`Mlp`] with its weights.
pub struct MlpNet {
    arch: Arch,
    mlp: Mlp,
    device: Device,
    params: Params,
    grads: Vec<f32>,
    training: Vec<Chain>,
    /// Serve passes without gradients, so that they leave the activations of a pending one alone.
    looking: Vec<Chain>,
    pending: Option<Leaves>,
    replaced: Replaced,
}

impl MlpNet {
    /// A net with all weights 0.
    ///
    /// # Errors
    /// When the architecture contradicts itself.
    pub fn new(mlp: &Mlp, device: &Device) -> Result<Self> {
        mlp.check().map_err(|why| Error::usage(format!("the model's layers: {why}")))?;
        Ok(Self::with(mlp.clone(), device.clone(), Params::zeros(mlp.layout())))
    }

    fn with(mlp: Mlp, device: Device, params: Params) -> Self {
        let chains: Vec<Chain> = (0..mlp.paths).map(|_| Chain::new(mlp.chain())).collect();
        Self {
            arch: Arch::Mlp(mlp.clone()),
            grads: vec![0.0; params.len()],
            training: chains.clone(),
            looking: chains,
            mlp,
            device,
            params,
            pending: None,
            replaced: Replaced::default(),
        }
    }
}

/// The sum of what the chains make of their shares of the rows.
fn run(chains: &mut [Chain], weights: &[f32], rows: &Vectors<'_>) -> Vec<f32> {
    let inputs = rows.width / chains.len();
    let len = weights.len() / chains.len();
    let mut sum = Vec::new();
    for (p, (chain, weights)) in chains.iter_mut().zip(weights.chunks(len)).enumerate() {
        if rows.width == inputs {
            return chain.forward(weights, rows.values).to_vec();
        }
        let share = |row: &[f32]| row[p * inputs..(p + 1) * inputs].to_vec();
        let x: Vec<f32> = rows.values.chunks(rows.width).flat_map(share).collect();
        let out = chain.forward(weights, &x);
        if sum.is_empty() {
            sum = out.to_vec();
        } else {
            sum.iter_mut().zip(out).for_each(|(s, y)| *s += y);
        }
    }
    sum
}

impl Net for MlpNet {
    fn arch(&self) -> &Arch {
        &self.arch
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn grads(&self) -> &[f32] {
        &self.grads
    }

    fn grads_mut(&mut self) -> &mut [f32] {
        &mut self.grads
    }

    fn params_and_grads(&mut self) -> (&mut Params, &[f32]) {
        (&mut self.params, &self.grads)
    }

    fn zero_grads(&mut self) {
        self.grads.fill(0.0);
    }

    fn finish_grads(&mut self) {
        for (entry, trains) in self.params.layout().entries().iter().zip(self.params.train()) {
            if !trains {
                self.grads[entry.range.clone()].fill(0.0);
            }
        }
    }

    fn set_checkpointing(&mut self, _: bool) {}

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&mut self, inputs: &Inputs<'_>, want: Want, taps: &mut Taps) -> Result<Outputs> {
        let Inputs::Vectors(rows) = inputs else {
            return Err(Error::usage("the model reads rows of numbers, and the data are tokens")
                .remedy("leave transforms that make tokens out, or take a decoder as the model"));
        };
        check_rows(rows, self.mlp.width(), self.mlp.outputs)?;
        if taps.clamps() || taps.reads() {
            return Err(Error::usage("a net of numbers has no sites to tap"));
        }
        let chains = if want.grad { &mut self.training } else { &mut self.looking };
        let logits = run(chains, self.params.flat(), rows);
        let leaves = Leaves::new(logits, self.mlp.outputs, rows, want, &self.device.tensors(want.grad));
        let outputs = leaves.outputs();
        if want.grad {
            let witness = self.pending.replace(leaves).map(Leaves::into_witness);
            self.replaced.push(witness);
        }
        Ok(outputs)
    }

    fn backward(&mut self, gradients: &mut Gradients) -> Result<()> {
        self.replaced.check(gradients)?;
        let leaves = self.pending.take().ok_or_else(nothing_pending)?;
        let Some(upstream) = leaves.backward(gradients)? else { return Ok(()) };
        let len = self.params.len() / self.training.len();
        let weights = self.params.flat().chunks(len);
        for ((chain, weights), grads) in self.training.iter_mut().zip(weights).zip(self.grads.chunks_mut(len))
        {
            chain.backward(weights, &upstream, grads);
        }
        Ok(())
    }

    fn frozen_copy(&self) -> Box<dyn Net> {
        let mut params = self.params.clone();
        params.set_train("*", false);
        Box::new(Self::with(self.mlp.clone(), self.device.clone(), params))
    }
}

/// Refuses inputs that do not fit a net of `inputs` numbers a row and `outputs` numbers out.
pub(crate) fn check_rows(rows: &Vectors<'_>, inputs: usize, outputs: usize) -> Result<()> {
    if rows.width != inputs {
        let what = format!("a row has {} numbers, the model reads {inputs}", rows.width);
        return Err(Error::data(what).remedy("set the model's `inputs` to what the task makes"));
    }
    let count = rows.values.len() / rows.width;
    if count == 0 || !rows.values.len().is_multiple_of(rows.width) {
        return Err(Error::failed(format!("{} numbers are no rows of {inputs}", rows.values.len())));
    }
    if let Some(pick) = rows.picks.iter().find(|pick| pick.target as usize >= outputs) {
        let what = format!("output {} is asked for, the model has {outputs}", pick.target);
        return Err(Error::data(what).remedy("set the model's `outputs` to what the task asks for"));
    }
    if let Some(pick) = rows.picks.iter().find(|pick| pick.position as usize >= count) {
        return Err(Error::failed(format!("row {} is picked from {count}", pick.position)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
