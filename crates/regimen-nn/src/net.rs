//! What every architecture offers to the loop.

use burn::{Gradients, Tensor};
use regimen_base::{Error, Result};
use regimen_kernels::{Half, Pick, Shape};

use crate::device::Device;
use crate::fused::FusedDecoder;
use crate::layout::Layout;
use crate::params::Params;
use crate::plain::PlainDecoder;
use crate::taps::Taps;

/// What a net is fed, one variant a modality.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// Documents of token ids.
    Tokens(Tokens<'a>),
}

/// Documents of token ids, one after the other without padding. Attention stays inside a document, and positions
/// count from 0 in each.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// All ids, `[N]`.
    pub ids: &'a [u32],
    /// Where each document starts, and at the end `N`: one more than there are documents.
    pub starts: &'a [u32],
    /// Which positions to put out, and the log-prob of which token there, `[P]`.
    pub picks: &'a [Pick],
    /// Divides the logits before the softmax of `logp` and `entropy`.
    pub temperature: f32,
}

/// What a forward pass is to put out beside the log-probs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Want {
    /// Outputs are leaves of an autodiff graph, and a backward pass will follow.
    pub grad: bool,
    /// Entropy at each pick.
    pub entropy: bool,
    /// Logits at each pick.
    pub logits: bool,
    /// The last hidden state of every token.
    pub hidden: bool,
    /// With [`Want::grad`]: what decides which inputs adapters with a dropout do not see; absent: they see all.
    pub dropout: Option<u64>,
}

impl Want {
    /// Log-probs for training.
    pub fn training() -> Self {
        Self { grad: true, ..Self::default() }
    }
}

/// What a forward pass puts out: tensors on an autodiff device with [`Want::grad`], constants without.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// log softmax(logits / temperature)\[target\] at each pick, `[P]`, nats.
    pub logp: Tensor<1>,
    /// The entropy of softmax(logits / temperature) at each pick, `[P]`, nats.
    pub entropy: Option<Tensor<1>>,
    /// Logits at each pick before the temperature, `[P, vocab]`.
    pub logits: Option<Tensor<2>>,
    /// Every token's state after the final norm, `[N, width]`.
    pub hidden: Option<Tensor<2>>,
}

/// An architecture with all that is needed to build it again.
#[derive(Clone, PartialEq, Debug)]
pub enum Arch {
    /// A causal decoder over token ids.
    Decoder(Shape),
}

impl Arch {
    /// The names, shapes and places of its parameters.
    pub fn layout(&self) -> Layout {
        let Self::Decoder(shape) = self;
        let entries = regimen_kernels::Layout::new(shape).entries;
        Layout::new(entries.into_iter().map(|entry| (entry.path, entry.shape)))
    }

    /// How many layers there are; [`crate::Init::residual`] wants it.
    pub fn layers(&self) -> usize {
        let Self::Decoder(shape) = self;
        shape.layers
    }
}

/// A net. Of forward passes with [`Want::grad`] the last one is pending until [`Net::backward`]; passes without
/// never disturb it.
pub trait Net: Send {
    /// What it is.
    fn arch(&self) -> &Arch;
    /// Its weights, and which of them train.
    fn params(&self) -> &Params;
    /// Its weights, to change.
    fn params_mut(&mut self) -> &mut Params;
    /// The sum of the gradients since [`Net::zero_grads`], in the order of [`Params::flat`]. Complete after
    /// [`Net::finish_grads`]. 0 for what does not train.
    fn grads(&self) -> &[f32];
    /// The gradients, to scale or replace.
    fn grads_mut(&mut self) -> &mut [f32];
    /// Weights and gradients at once, for an optimiser step.
    fn params_and_grads(&mut self) -> (&mut Params, &[f32]);
    /// Sets all gradients to 0.
    fn zero_grads(&mut self);
    /// Brings the gradients of several backward passes together; call it once an optimiser step, after the last one.
    fn finish_grads(&mut self);
    /// Whether to keep only what enters each layer and compute the rest again in the backward pass: less memory, more
    /// work, the same bits. A net that cannot do so goes on as before.
    fn set_checkpointing(&mut self, on: bool);
    /// Where its tensors live.
    fn device(&self) -> &Device;
    /// Runs the net.
    ///
    /// # Errors
    /// When the inputs do not fit the net, or the taps name a site or a shape that it does not have.
    fn forward(&mut self, inputs: &Inputs<'_>, want: Want, taps: &mut Taps) -> Result<Outputs>;
    /// Adds the gradients of a loss over the pending pass's outputs to [`Net::grads`]. `gradients` is what
    /// `loss.backward()` gave; one may hold the gradients of several nets.
    ///
    /// # Errors
    /// When no pass is pending, or when the loss also used the outputs of an earlier pass that was replaced.
    fn backward(&mut self, gradients: &mut Gradients) -> Result<()>;
    /// The same weights in a net of which nothing trains: a reference, a teacher.
    fn frozen_copy(&self) -> Box<dyn Net>;
}

/// A net with all weights 0: the fused engine on the processor, the plain twin elsewhere.
///
/// # Errors
/// When the architecture contradicts itself.
pub fn build(arch: &Arch, device: &Device) -> Result<Box<dyn Net>> {
    build_in(arch, device, None)
}

/// The same with matrices in 16 bits, which do not train.
///
/// # Errors
/// When the architecture contradicts itself.
pub fn build_in(arch: &Arch, device: &Device, half: Option<Half>) -> Result<Box<dyn Net>> {
    let Arch::Decoder(shape) = arch;
    check_shape(shape)?;
    build_with(arch, device, Params::zeros_in(arch.layout(), half))
}

/// A net of these weights.
///
/// # Errors
/// When the architecture contradicts itself.
pub(crate) fn build_with(arch: &Arch, device: &Device, params: Params) -> Result<Box<dyn Net>> {
    let Arch::Decoder(shape) = arch.clone();
    if device.is_cpu() {
        Ok(Box::new(FusedDecoder::with(shape, params, arch.clone())?))
    } else {
        Ok(Box::new(PlainDecoder::with(shape, device.clone(), params, arch.clone())))
    }
}

/// Refuses inputs that would make an engine panic.
pub(crate) fn check_tokens(tokens: &Tokens<'_>, shape: &Shape) -> Result<()> {
    let count = tokens.ids.len();
    if count == 0 {
        return Err(Error::failed("a forward pass was given no tokens"));
    }
    let rising = tokens.starts.windows(2).all(|pair| pair[0] < pair[1]);
    if tokens.starts.first() != Some(&0) || tokens.starts.last() != Some(&(count as u32)) || !rising {
        return Err(Error::failed(format!(
            "documents of {count} tokens cannot start at {:?}",
            tokens.starts
        )));
    }
    let longest = tokens.starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
    if longest > shape.max_positions {
        return Err(Error::data(format!(
            "a sequence has {longest} tokens, the context holds {}",
            shape.max_positions
        ))
        .remedy("cut or drop long rows, or raise the model's max-positions"));
    }
    let targets = tokens.picks.iter().map(|pick| pick.target);
    if let Some(id) = tokens.ids.iter().copied().chain(targets).find(|id| *id as usize >= shape.vocab) {
        return Err(Error::data(format!("token {id} is outside the vocabulary of {}", shape.vocab))
            .remedy("use the tokenizer that belongs to the model"));
    }
    if let Some(pick) = tokens.picks.iter().find(|pick| pick.position as usize >= count) {
        return Err(Error::failed(format!("position {} is picked from {count} tokens", pick.position)));
    }
    if !(tokens.temperature.is_finite() && tokens.temperature > 0.0) {
        return Err(Error::usage(format!("a temperature of {} is not above 0", tokens.temperature)));
    }
    Ok(())
}

pub(crate) fn check_shape(shape: &Shape) -> Result<()> {
    shape.check().map_err(|why| Error::usage(format!("the model's shape: {why}")))
}
