//! What a net of numbers puts out, as leaves of a graph; their gradients, back to its outputs.

use burn::{Device, Gradients, Tensor};
use regimen_base::Result;
use regimen_kernels::PickedRows;

use crate::fused::leaves::{gradient, leaf};
use crate::net::{Outputs, Vectors, Want};

/// Outputs of one pass.
pub(super) struct Leaves {
    rows: PickedRows,
    logp: Tensor<1>,
    entropy: Option<Tensor<1>>,
    logits: Option<Tensor<2>>,
    values: Option<Tensor<1>>,
}

impl Leaves {
    pub(super) fn new(out: Vec<f32>, width: usize, rows: &Vectors<'_>, want: Want, device: &Device) -> Self {
        let picks = rows.picks.len();
        let rows = PickedRows::new(out, width, rows.picks, rows.temperature);
        Self {
            logp: leaf(rows.logp(), [picks], device),
            entropy: want.entropy.then(|| leaf(rows.entropy(), [picks], device)),
            logits: want.logits.then(|| leaf(rows.logits(), [picks, width], device)),
            values: want.values.then(|| leaf(rows.values(), [picks], device)),
            rows,
        }
    }

    pub(super) fn outputs(&self) -> Outputs {
        Outputs {
            logp: self.logp.clone(),
            entropy: self.entropy.clone(),
            logits: self.logits.clone(),
            hidden: None,
            values: self.values.clone(),
        }
    }

    pub(super) fn into_witness(self) -> Tensor<1> {
        self.logp
    }

    /// The gradient of the net's outputs, `[rows, outputs]`; `None` where the loss used none of them.
    pub(super) fn backward(&self, gradients: &mut Gradients) -> Result<Option<Vec<f32>>> {
        let dlogp = gradient(Some(&self.logp), gradients)?;
        let dentropy = gradient(self.entropy.as_ref(), gradients)?;
        let dvalues = gradient(self.values.as_ref(), gradients)?;
        let dlogits = gradient(self.logits.as_ref(), gradients)?;
        if [&dlogp, &dentropy, &dvalues, &dlogits].iter().all(|d| d.is_none()) {
            return Ok(None);
        }
        let parts = [&dlogp, &dentropy, &dvalues, &dlogits].map(|d| d.as_deref());
        Ok(Some(self.rows.backward(parts[0], parts[1], parts[2], parts[3])))
    }
}
