//! A forward pass that waits for its gradients.

use burn::{Gradients, Tensor};
use regimen_base::{Error, Result};
use regimen_kernels::Shape;

use super::pass::Pass;
use super::weights::Weights;
use crate::device::Device;
use crate::layout::Layout;
use crate::net::{Outputs, Tokens, Want};
use crate::params::Params;
use crate::taps::Taps;

/// The leaves of a graph: the parameters that train.
pub(crate) struct Tape {
    leaves: Vec<(String, Tensor<1>)>,
}

/// Runs the plain decoder. `tokens` and the sites of `taps` have been checked.
pub(crate) fn forward(
    shape: &Shape,
    params: &Params,
    device: &Device,
    tokens: &Tokens<'_>,
    want: Want,
    taps: &mut Taps,
) -> Result<(Outputs, Tape)> {
    let weights = Weights::upload(params, device, want.grad);
    let mut pass =
        Pass::new(shape, weights, tokens, want.dropout.filter(|_| want.grad), device.tensors(false), taps);
    let hidden = pass.trunk(tokens)?;
    let outputs = pass.outputs(hidden, tokens, want)?;
    let leaves = pass.into_leaves();
    taps.end();
    Ok((outputs, Tape { leaves }))
}

impl Tape {
    /// Adds the gradients of all leaves to `grads`.
    pub(crate) fn backward(
        self,
        gradients: &mut Gradients,
        layout: &Layout,
        grads: &mut [f32],
    ) -> Result<()> {
        for (path, leaf) in self.leaves {
            let Some(gradient) = leaf.grad_remove(gradients) else { continue };
            let gradient = gradient.into_data().try_into_vec::<f32>();
            let gradient = gradient
                .map_err(|e| Error::failed(format!("the gradient of `{path}` cannot be read: {e}")))?;
            let range = layout.find(&path).expect("leaves are made from the layout").range.clone();
            for (sum, g) in grads[range].iter_mut().zip(gradient) {
                *sum += g;
            }
        }
        Ok(())
    }

    /// A leaf that any loss over this pass's outputs reaches; keeps little alive.
    pub(crate) fn into_witness(self) -> Option<Tensor<1>> {
        self.leaves.into_iter().map(|(_, leaf)| leaf).min_by_key(|leaf| leaf.dims()[0])
    }
}

/// Passes that another one replaced before their backward. A loss over their outputs would silently lose its gradient.
#[derive(Default)]
pub(crate) struct Replaced(Vec<Tensor<1>>);

/// Enough to notice the mistake, little enough to hold.
const REMEMBERED: usize = 4;

impl Replaced {
    pub(crate) fn push(&mut self, witness: Option<Tensor<1>>) {
        self.0.extend(witness);
        let surplus = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..surplus);
    }

    /// Errs when `gradients` reach a replaced pass; forgets them otherwise.
    pub(crate) fn check(&mut self, gradients: &Gradients) -> Result<()> {
        let lost = self.0.drain(..).any(|leaf| leaf.grad(gradients).is_some());
        if lost {
            Err(Error::failed("a loss used the outputs of two forward passes of one net"))
        } else {
            Ok(())
        }
    }
}
