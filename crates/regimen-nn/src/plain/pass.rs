//! What all parts of one forward pass share.

use burn::{Bool, Int, Tensor, TensorData};
use regimen_base::Result;
use regimen_kernels::{Positions, Projection, Shape, dropout_mask};

use super::rope::Rope;
use super::weights::Weights;
use crate::net::Tokens;
use crate::taps::Taps;

/// One forward pass over documents padded to the longest. Padding lies behind the real tokens, so the causal mask
/// alone keeps it from them.
pub(super) struct Pass<'a> {
    pub(super) shape: &'a Shape,
    pub(super) weights: Weights,
    pub(super) rope: Rope,
    /// True where a position must not look, `[1, 1, T, T]`.
    pub(super) future: Tensor<4, Bool>,
    pub(super) device: burn::Device,
    lengths: Vec<usize>,
    longest: usize,
    ids: Vec<u32>,
    starts: Vec<u32>,
    /// What decides which inputs adapters drop.
    dropout: Option<u64>,
    taps: &'a mut Taps,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        shape: &'a Shape,
        weights: Weights,
        tokens: &Tokens<'_>,
        dropout: Option<u64>,
        device: burn::Device,
        taps: &'a mut Taps,
    ) -> Self {
        let (ids, starts) = (tokens.ids.to_vec(), tokens.starts.to_vec());
        let lengths: Vec<usize> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let rope = Rope::new(shape, longest, &device);
        let future: Vec<bool> = (0..longest).flat_map(|q| (0..longest).map(move |k| k > q)).collect();
        let future = Tensor::from_data(TensorData::new(future, [1, 1, longest, longest]), &device);
        Self { shape, weights, rope, future, device, lengths, longest, ids, starts, dropout, taps }
    }

    pub(super) fn documents(&self) -> usize {
        self.lengths.len()
    }

    /// Embeddings of the padded documents, `[B, T, D]`. Padding holds token 0.
    pub(super) fn embed(&mut self, tokens: &Tokens<'_>) -> Tensor<3> {
        let mut ids = vec![0_i64; self.documents() * self.longest];
        for (slot, id) in self.slots().zip(tokens.ids) {
            ids[slot] = i64::from(*id);
        }
        self.taps.start(ids.clone(), self.longest);
        let table = self.weights.matrix("model.embed_tokens.weight");
        let x = table.select(0, self.ints(ids)).reshape([self.documents(), self.longest, self.shape.width]);
        if self.shape.positions != Positions::Learned {
            return x;
        }
        let places = self.weights.matrix("model.embed_positions.weight").narrow(0, 0, self.longest);
        x + places.unsqueeze_dim(0)
    }

    /// Where each token lies among the padded positions.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        let rows = self.lengths.iter().enumerate();
        rows.flat_map(move |(document, length)| (0..*length).map(move |t| document * self.longest + t))
    }

    pub(super) fn ints(&self, values: Vec<i64>) -> Tensor<1, Int> {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), &self.device)
    }

    /// x·Wᵀ over the last axis, plus the bias and the adapter where there are such.
    pub(super) fn linear(&self, path: &str, x_btd: Tensor<3>) -> Tensor<3> {
        let [documents, longest, width] = x_btd.dims();
        let weight = self.weights.matrix(&format!("{path}.weight"));
        let out = weight.dims()[0];
        let x = x_btd.reshape([documents * longest, width]);
        let y = x.clone().matmul(weight.transpose());
        let y = match self.weights.vector(&format!("{path}.bias")) {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        let y = match &self.shape.lora {
            Some(lora) if self.weights.vector(&format!("{path}.lora_A.weight")).is_some() => {
                let [a, b] = ["A", "B"].map(|m| self.weights.matrix(&format!("{path}.lora_{m}.weight")));
                let x = self.seen(path, x);
                y + x.matmul(a.transpose()).matmul(b.transpose()).mul_scalar(lora.scale())
            }
            _ => y,
        };
        y.reshape([documents, longest, out])
    }

    /// What an adapter sees of its input, `[B·T, width]`.
    fn seen(&self, path: &str, x: Tensor<2>) -> Tensor<2> {
        let (Some(key), Some(lora)) = (self.dropout, self.shape.lora.filter(|lora| lora.dropout > 0.0))
        else {
            return x;
        };
        let layer = path.split('.').nth(2).and_then(|l| l.parse().ok()).unwrap_or(0);
        let projection = Projection::ALL.into_iter().find(|p| p.path(layer) == path);
        let projection = projection.expect("adapters sit on projections alone");
        let [rows, width] = x.dims();
        let flat = dropout_mask(key, (&self.ids, &self.starts), (layer, projection), width, lora.dropout);
        let mut mask = vec![1.0; rows * width];
        for (slot, row) in self.slots().zip(flat.chunks_exact(width)) {
            mask[slot * width..][..width].copy_from_slice(row);
        }
        x * Tensor::from_data(TensorData::new(mask, [rows, width]), &self.device)
    }

    /// Applies the taps of a site.
    pub(super) fn tap<const D: usize>(
        &mut self,
        site: &str,
        axes: &'static str,
        x: Tensor<D>,
    ) -> Result<Tensor<D>> {
        self.taps.visit(site, axes, &self.lengths, x)
    }

    pub(super) fn clamped(&self, site: &str) -> bool {
        self.taps.clamps_at(site)
    }

    /// Applies the taps of the logits, whose rows stand at these padded positions.
    pub(super) fn tap_logits(&mut self, rows: Vec<i64>, logits_pv: Tensor<2>) -> Result<Tensor<2>> {
        self.taps.picked(rows);
        self.tap("logits", "pv", logits_pv)
    }

    /// The parameters that train.
    pub(super) fn into_leaves(self) -> Vec<(String, Tensor<1>)> {
        self.weights.into_leaves().collect()
    }
}
