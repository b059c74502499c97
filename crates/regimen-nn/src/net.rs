//! What every architecture offers to the loop.

use burn::{Gradients, Tensor};
use regimen_base::{Error, Result};
use regimen_kernels::{Half, Pick, Shape};

use crate::device::Device;
use crate::fused::FusedDecoder;
use crate::layout::Layout;
use crate::mlp::{MODEL_TYPE, Mlp, MlpNet};
use crate::params::Params;
use crate::plain::PlainDecoder;
use crate::taps::Taps;

/// What a net is fed, one variant a modality.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// Documents of token ids.
    Tokens(Tokens<'a>),
    /// Rows of numbers.
    Vectors(Vectors<'a>),
}

/// Rows of numbers, each on its own.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    /// All rows, `[N, width]`.
    pub values: &'a [f32],
    /// Numbers in a row.
    pub width: usize,
    /// Which outputs of which rows to put out, `[P]`: `position` is a row, and `target` one of the net's outputs.
    pub picks: &'a [Pick],
    /// Divides the outputs before the softmax of `logp` and `entropy`.
    pub temperature: f32,
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
    /// The output at each pick, of nets of numbers.
    pub values: bool,
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
    /// The picked output itself, before any softmax, `[P]`; only nets of numbers have it.
    pub values: Option<Tensor<1>>,
}

/// An architecture with all that is needed to build it again.
#[derive(Clone, PartialEq, Debug)]
pub enum Arch {
    /// A causal decoder over token ids.
    Decoder(Shape),
    /// Dense layers over rows of numbers.
    Mlp(Mlp),
}

impl Arch {
    /// The names, shapes and places of its parameters.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Decoder(shape) => {
                let entries = regimen_kernels::Layout::new(shape).entries;
                Layout::new(entries.into_iter().map(|entry| (entry.path, entry.shape)))
            }
            Self::Mlp(mlp) => mlp.layout(),
        }
    }

    /// The decoder's shape; `None` for a net that reads no tokens.
    pub fn decoder(&self) -> Option<&Shape> {
        match self {
            Self::Decoder(shape) => Some(shape),
            Self::Mlp(_) => None,
        }
    }

    /// `config.json` of a net that reads no tokens; a decoder's is its family's.
    pub fn config(&self) -> Option<String> {
        match self {
            Self::Decoder(_) => None,
            Self::Mlp(mlp) => Some(format!("{:#}\n", mlp.to_json())),
        }
    }

    /// What [`Arch::config`] wrote; `None` when the file is a decoder's.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn of_config(text: &str) -> Result<Option<Self>> {
        let config: serde_json::Value =
            serde_json::from_str(text).map_err(|e| Error::data(format!("it is not JSON: {e}")))?;
        match config.get("model_type").and_then(serde_json::Value::as_str) {
            Some(MODEL_TYPE) => Mlp::from_json(&config).map(|mlp| Some(Self::Mlp(mlp))),
            _ => Ok(None),
        }
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

/// The same with a decoder's matrices in 16 bits, which do not train.
///
/// # Errors
/// When the architecture contradicts itself.
pub fn build_in(arch: &Arch, device: &Device, half: Option<Half>) -> Result<Box<dyn Net>> {
    match arch {
        Arch::Mlp(mlp) => Ok(Box::new(MlpNet::new(mlp, device)?)),
        Arch::Decoder(shape) => {
            check_shape(shape)?;
            build_with(shape, device, Params::zeros_in(arch.layout(), half))
        }
    }
}

/// A decoder of these weights.
///
/// # Errors
/// When the architecture contradicts itself.
pub(crate) fn build_with(shape: &Shape, device: &Device, params: Params) -> Result<Box<dyn Net>> {
    let arch = Arch::Decoder(shape.clone());
    if device.is_cpu() {
        Ok(Box::new(FusedDecoder::with(shape.clone(), params, arch)?))
    } else {
        Ok(Box::new(PlainDecoder::with(shape.clone(), device.clone(), params, arch)))
    }
}

/// The tokens that a decoder is fed.
pub(crate) fn tokens_of<'a>(inputs: &Inputs<'a>) -> Result<Tokens<'a>> {
    match inputs {
        Inputs::Tokens(tokens) => Ok(*tokens),
        Inputs::Vectors(_) => Err(Error::usage("the model reads tokens, and the data are rows of numbers")
            .remedy("take a task that is written in words, or a model of another kind, such as `mlp`")),
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
