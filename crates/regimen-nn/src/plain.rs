//! The plain-Burn twin of the fused decoder: the same mathematics as one autodiff graph, on any device, with taps.

mod attention;
mod block;
mod head;
mod norm;
mod pass;
mod rope;
mod tape;
mod weights;

use burn::Gradients;
use regimen_base::{Error, Result};
use regimen_kernels::Shape;

pub(crate) use tape::{Replaced, Tape, forward};

use crate::device::Device;
use crate::net::{Arch, Inputs, Net, Outputs, Want, check_shape, check_tokens, tokens_of};
use crate::params::Params;
use crate::taps::Taps;

/// A decoder whose whole graph is built in Burn.
pub struct PlainDecoder {
    arch: Arch,
    shape: Shape,
    device: Device,
    params: Params,
    grads: Vec<f32>,
    pending: Option<Tape>,
    replaced: Replaced,
}

impl PlainDecoder {
    /// A decoder with all weights 0.
    ///
    /// # Errors
    /// When the shape contradicts itself.
    pub fn new(shape: &Shape, device: &Device) -> Result<Self> {
        check_shape(shape)?;
        let arch = Arch::Decoder(shape.clone());
        Ok(Self::with(shape.clone(), device.clone(), Params::zeros(arch.layout()), arch))
    }

    pub(crate) fn with(shape: Shape, device: Device, params: Params, arch: Arch) -> Self {
        let grads = vec![0.0; params.len()];
        Self { arch, shape, device, params, grads, pending: None, replaced: Replaced::default() }
    }
}

impl Net for PlainDecoder {
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

    fn finish_grads(&mut self) {}

    /// The tensor library keeps what it keeps.
    fn set_checkpointing(&mut self, _: bool) {}

    fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&mut self, inputs: &Inputs<'_>, want: Want, taps: &mut Taps) -> Result<Outputs> {
        let tokens = &tokens_of(inputs)?;
        check_tokens(tokens, &self.shape)?;
        taps.check(&self.shape)?;
        let (outputs, tape) = forward(&self.shape, &self.params, &self.device, tokens, want, taps)?;
        if want.grad {
            self.replaced.push(self.pending.replace(tape).and_then(Tape::into_witness));
        }
        Ok(outputs)
    }

    fn backward(&mut self, gradients: &mut Gradients) -> Result<()> {
        self.replaced.check(gradients)?;
        let tape = self.pending.take().ok_or_else(nothing_pending)?;
        tape.backward(gradients, self.params.layout(), &mut self.grads)
    }

    fn frozen_copy(&self) -> Box<dyn Net> {
        let mut params = self.params.clone();
        params.set_train("*", false);
        Box::new(Self::with(self.shape.clone(), self.device.clone(), params, self.arch.clone()))
    }
}

pub(crate) fn nothing_pending() -> Error {
    Error::failed("a net was asked for gradients without a forward pass that wanted them")
}
