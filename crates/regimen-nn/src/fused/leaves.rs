//! The seam of the split tape: what the engine puts out, as leaves of a graph; their gradients, back into the engine.

use burn::{Device, Gradients, Tensor, TensorData};
use regimen_base::{Error, Result};
use regimen_kernels::{Decoder, Grads, Upstream, Weights};

use crate::net::{Outputs, Tokens, Want};

/// Outputs of one pass. A vector becomes a tensor, and a gradient a vector, without a copy.
#[derive(Clone)]
pub(super) struct Leaves {
    logp: Tensor<1>,
    entropy: Option<Tensor<1>>,
    logits: Option<Tensor<2>>,
    hidden: Option<Tensor<2>>,
}

impl Leaves {
    /// Asks an engine that has just run forward for what is wanted.
    pub(super) fn new(
        engine: &mut Decoder,
        weights: Weights<'_>,
        tokens: &Tokens<'_>,
        want: Want,
        device: &Device,
    ) -> Self {
        let picks = tokens.picks.len();
        let (logp, entropy) = engine.logprobs(weights, tokens.picks, tokens.temperature, want.entropy);
        let logp = leaf(logp.to_vec(), [picks], device);
        let entropy = want.entropy.then(|| leaf(entropy.to_vec(), [picks], device));
        let logits = want.logits.then(|| {
            let positions: Vec<u32> = tokens.picks.iter().map(|pick| pick.position).collect();
            let logits = engine.logits(weights, &positions).to_vec();
            let vocab = logits.len() / picks.max(1);
            leaf(logits, [picks, vocab], device)
        });
        let hidden = want.hidden.then(|| {
            let hidden = engine.hidden().to_vec();
            let width = hidden.len() / tokens.ids.len();
            leaf(hidden, [tokens.ids.len(), width], device)
        });
        Self { logp, entropy, logits, hidden }
    }

    pub(super) fn into_outputs(self) -> Outputs {
        Outputs {
            logp: self.logp,
            entropy: self.entropy,
            logits: self.logits,
            hidden: self.hidden,
            values: None,
        }
    }

    pub(super) fn into_witness(self) -> Tensor<1> {
        self.logp
    }

    /// Runs the engine backward from the gradients of the outputs that the loss used.
    pub(super) fn backward(
        &self,
        gradients: &mut Gradients,
        engine: &mut Decoder,
        weights: Weights<'_>,
        grads: &mut Grads,
    ) -> Result<()> {
        let dlogp = gradient(Some(&self.logp), gradients)?;
        let dentropy = gradient(self.entropy.as_ref(), gradients)?;
        let dlogits = gradient(self.logits.as_ref(), gradients)?;
        let dhidden = gradient(self.hidden.as_ref(), gradients)?;
        let upstream = Upstream {
            dlogp: dlogp.as_deref(),
            dentropy: dentropy.as_deref(),
            dlogits: dlogits.as_deref(),
            dhidden: dhidden.as_deref(),
        };
        if [upstream.dlogp, upstream.dentropy, upstream.dlogits, upstream.dhidden].iter().any(Option::is_some)
        {
            engine.backward(weights, &upstream, grads);
        }
        Ok(())
    }
}

pub(crate) fn leaf<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    if device.is_autodiff() { tensor.require_grad() } else { tensor }
}

pub(crate) fn gradient<const D: usize>(
    leaf: Option<&Tensor<D>>,
    gradients: &mut Gradients,
) -> Result<Option<Vec<f32>>> {
    let Some(gradient) = leaf.and_then(|leaf| leaf.grad_remove(gradients)) else { return Ok(None) };
    let values = gradient.into_data().try_into_vec::<f32>();
    values.map(Some).map_err(|e| Error::failed(format!("a gradient cannot be read: {e}")))
}
