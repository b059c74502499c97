//! The decoder on the fused engine of `regimen-kernels`: the processor's fast path.

pub(crate) mod leaves;

use burn::Gradients;
use regimen_base::{Error, Result};
use regimen_kernels::{Decoder, Grads, Rows, Shape};

use crate::device::Device;
use crate::net::{Arch, Inputs, Net, Outputs, Tokens, Want, check_shape, check_tokens, tokens_of};
use crate::params::Params;
use crate::plain::{Replaced, Tape, forward, nothing_pending};
use crate::taps::Taps;
use leaves::Leaves;

/// A decoder whose forward and backward run on slices. Its tape is split: the engine keeps the activations, and only
/// its outputs are tensors. Where a rule clamps an activation the plain twin takes over; where rules only read, the
/// twin runs beside it, so that looking never changes what is computed.
pub struct FusedDecoder {
    arch: Arch,
    shape: Shape,
    device: Device,
    params: Params,
    grads: Grads,
    training: Decoder,
    /// Serves passes without gradients, so that they leave the activations of a pending one alone.
    looking: Option<Decoder>,
    pending: Option<Pending>,
    replaced: Replaced,
}

enum Pending {
    Fused(Box<Leaves>),
    Plain(Tape),
}

impl FusedDecoder {
    /// A decoder with all weights 0.
    ///
    /// # Errors
    /// When the shape contradicts itself.
    pub fn new(shape: &Shape) -> Result<Self> {
        let arch = Arch::Decoder(shape.clone());
        let params = Params::zeros(arch.layout());
        Self::with(shape.clone(), params, arch)
    }

    pub(crate) fn with(shape: Shape, params: Params, arch: Arch) -> Result<Self> {
        check_shape(&shape)?;
        let (training, grads) = (engine(&shape)?, Grads::new(&regimen_kernels::Layout::new(&shape)));
        let device = Device::cpu();
        Ok(Self {
            arch,
            shape,
            device,
            params,
            grads,
            training,
            looking: None,
            pending: None,
            replaced: Replaced::default(),
        })
    }

    fn look(&mut self, tokens: &Tokens<'_>, want: Want) -> Result<Outputs> {
        let mut engine = match self.looking.take() {
            Some(engine) => engine,
            None => engine(&self.shape)?,
        };
        engine.forward_only(self.params.weights(), &rows(tokens));
        let leaves =
            Leaves::new(&mut engine, self.params.weights(), tokens, want, &self.device.tensors(false));
        self.looking = Some(engine);
        Ok(leaves.into_outputs())
    }

    fn train(&mut self, tokens: &Tokens<'_>, want: Want) -> Outputs {
        let frozen: Vec<bool> = self.params.train().iter().map(|train| !train).collect();
        self.training.set_frozen(&frozen);
        self.training.set_dropout(want.dropout);
        self.training.forward(self.params.weights(), &rows(tokens));
        let leaves =
            Leaves::new(&mut self.training, self.params.weights(), tokens, want, &self.device.tensors(true));
        let outputs = leaves.clone().into_outputs();
        self.wait(Pending::Fused(Box::new(leaves)));
        outputs
    }

    fn clamped(&mut self, tokens: &Tokens<'_>, want: Want, taps: &mut Taps) -> Result<Outputs> {
        let (outputs, tape) = forward(&self.shape, &self.params, &self.device, tokens, want, taps)?;
        if want.grad {
            self.wait(Pending::Plain(tape));
        }
        Ok(outputs)
    }

    fn wait(&mut self, pending: Pending) {
        let witness = self.pending.replace(pending).and_then(|old| match old {
            Pending::Fused(leaves) => Some(leaves.into_witness()),
            Pending::Plain(tape) => tape.into_witness(),
        });
        self.replaced.push(witness);
    }
}

fn engine(shape: &Shape) -> Result<Decoder> {
    let layout = regimen_kernels::Layout::new(shape);
    Decoder::new(shape, &layout).map_err(|why| Error::usage(format!("the model's shape: {why}")))
}

fn rows<'a>(tokens: &Tokens<'a>) -> Rows<'a> {
    Rows { ids: tokens.ids, starts: tokens.starts }
}

impl Net for FusedDecoder {
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
        self.grads.flat()
    }

    fn grads_mut(&mut self) -> &mut [f32] {
        self.grads.flat_mut()
    }

    fn params_and_grads(&mut self) -> (&mut Params, &[f32]) {
        (&mut self.params, self.grads.flat())
    }

    fn zero_grads(&mut self) {
        self.grads.zero();
    }

    fn finish_grads(&mut self) {
        self.grads.finish();
    }

    fn set_checkpointing(&mut self, on: bool) {
        self.training.set_checkpointing(on);
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&mut self, inputs: &Inputs<'_>, want: Want, taps: &mut Taps) -> Result<Outputs> {
        let tokens = &tokens_of(inputs)?;
        check_tokens(tokens, &self.shape)?;
        taps.check(&self.shape)?;
        if taps.clamps() {
            return self.clamped(tokens, want, taps);
        }
        if taps.reads() {
            forward(&self.shape, &self.params, &self.device, tokens, Want::default(), taps)?;
        }
        if want.grad { Ok(self.train(tokens, want)) } else { self.look(tokens, want) }
    }

    fn backward(&mut self, gradients: &mut Gradients) -> Result<()> {
        self.replaced.check(gradients)?;
        match self.pending.take().ok_or_else(nothing_pending)? {
            Pending::Fused(leaves) => {
                leaves.backward(gradients, &mut self.training, self.params.weights(), &mut self.grads)
            }
            Pending::Plain(tape) => tape.backward(gradients, self.params.layout(), self.grads.flat_mut()),
        }
    }

    fn frozen_copy(&self) -> Box<dyn Net> {
        let mut params = self.params.clone();
        params.set_train("*", false);
        let copy = Self::with(self.shape.clone(), params, self.arch.clone());
        Box::new(copy.expect("the shape was checked when this net was made"))
    }
}
