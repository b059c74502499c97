//! The parts of a decoder block that work row by row, shared by training and decoding so that both give the same bits.

use crate::activation::activation;
use crate::buffer::spaced;
use crate::dropout::Dropout;
use crate::gemm::{From, PackedMatrix};
use crate::linear::Linear;
use crate::norm::norm;
use crate::pack::{Held, job, run};
use crate::par::Block;
use crate::plan::{DOWN, INNER, LayerAt, NormAt, OUTPUT, QKV};
use crate::rope::{RopeTable, rope};
use crate::shape::{Norm, Shape};
use crate::weights::Weights;

/// The products of one layer, packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedLayer {
    /// By product: [`crate::plan::QKV`], …
    pub products: [Linear; 4],
}

impl PackedLayer {
    /// Packs a layer for the forward products, or for the products that give the gradients of activations.
    pub fn pack(&mut self, shape: &Shape, at: &LayerAt, weights: Weights<'_>, backward: bool, held: Held) {
        let d = shape.width;
        let [down, inner, output, qkv] = self.products.each_mut().map(|linear| &mut linear.weight);
        let qkv = job(qkv, weights, at.qkv, [shape.qkv_width(), d], backward, held);
        let output = job(output, weights, at.o, [d, shape.q_width()], backward, held);
        match &at.mlp {
            None => run(&[qkv, output]),
            Some(mlp) => {
                let inner = job(inner, weights, mlp.inner, [shape.inner_width(), d], backward, held);
                let down = job(down, weights, mlp.down, [d, shape.ffn], backward, held);
                run(&[qkv, output, inner, down]);
            }
        }
        self.pack_adapters(shape, at, weights, backward);
    }

    /// Whether and how the adapters of layer l drop a part of their inputs.
    pub fn set_dropout(&mut self, shape: &Shape, l: usize, on: bool) {
        let p = shape.lora.map_or(0.0, |lora| lora.dropout);
        for (product, linear) in self.products.iter_mut().enumerate() {
            if let Some(adapter) = &mut linear.adapter {
                adapter.dropout = (on && p > 0.0).then(|| Dropout::new(l, product, p));
            }
        }
    }

    fn pack_adapters(&mut self, shape: &Shape, at: &LayerAt, weights: Weights<'_>, backward: bool) {
        let Some(lora) = &shape.lora else { return };
        let inputs = [shape.ffn, shape.width, shape.q_width(), shape.width];
        let mut jobs = Vec::new();
        for ((linear, adapter), k) in self.products.iter_mut().zip(&at.adapters).zip(inputs) {
            let Some(adapter) = adapter else { continue };
            let packed = linear.adapter.get_or_insert_default();
            jobs.extend(packed.jobs(adapter, lora, k, weights, backward));
        }
        run(&jobs);
    }
}

/// Packs the vocabulary head, as it is held.
pub(crate) fn pack_head(
    out: &mut PackedMatrix,
    weights: Weights<'_>,
    start: usize,
    vocab: usize,
    d: usize,
    backward: bool,
) {
    run(&[job(out, weights, start, [vocab, d], backward, Held::AsItIs)]);
}

/// A norm over rows with its parameters looked up.
pub(crate) fn norm_rows(out: &mut [f32], x: &[f32], shape: &Shape, at: NormAt, weights: &[f32]) {
    let (w, b) = at.of(weights, shape.width);
    norm(out, x, shape.width, w, b, shape.norm_eps, shape.norm);
}

/// qkv[rows, qkv_width] from x[rows, width]: norm, projection, bias, per-head norms, rotation. `normed` is scratch of
/// rows·width. `keys` of the rows decide what adapters drop. With `raw`, q and k before their norms are kept there
/// ([rows, q + k widths]).
#[allow(clippy::too_many_arguments, reason = "one fused pass")]
pub(crate) fn project_qkv(
    qkv: &mut [f32],
    raw: Option<&mut [f32]>,
    x: &[f32],
    normed: &mut [f32],
    shape: &Shape,
    at: &LayerAt,
    packed: &PackedLayer,
    weights: &[f32],
    positions: &[u32],
    table: &RopeTable,
    keys: &[u64],
) {
    let (rows, d, w) = (positions.len(), shape.width, shape.qkv_width());
    let normed = &mut normed[..rows * d];
    norm_rows(normed, x, shape, at.norm, weights);
    let from = biased(qkv, None, at.qkv_bias.map(|b| &weights[b..b + w]), w);
    packed.products[QKV].apply(Block::new(qkv, rows, w, w), from, normed, d, keys);
    let (qw, kw) = (shape.q_width(), shape.kv_width());
    if let Some((qn, kn)) = at.qk_norm {
        if let Some(raw) = raw {
            for (raw, row) in raw.chunks_exact_mut(qw + kw).zip(qkv.chunks_exact(w)) {
                raw.copy_from_slice(&row[..qw + kw]);
            }
        }
        let hd = shape.head_dim;
        let mut head = vec![0.0; qw.max(kw)];
        for row in qkv.chunks_exact_mut(w) {
            for (first, width, weight) in [(0, qw, qn), (qw, kw, kn)] {
                let head = &mut head[..width];
                norm(
                    head,
                    &row[first..first + width],
                    hd,
                    &weights[weight..weight + hd],
                    None,
                    shape.norm_eps,
                    Norm::Rms,
                );
                row[first..first + width].copy_from_slice(head);
            }
        }
    }
    rope(qkv, w, shape.heads + shape.kv_heads, shape.head_dim, positions, table, false);
}

/// Writes what the chains of a product start from into its result: the residual, the bias, or both.
fn biased<'a>(y: &mut [f32], residual: Option<&'a [f32]>, bias: Option<&[f32]>, width: usize) -> From<'a> {
    let Some(bias) = bias else { return residual.map_or(From::Zero, From::Other) };
    match residual {
        None => y.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias)),
        Some(x) => {
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                y.iter_mut().zip(x).zip(bias).for_each(|((y, x), b)| *y = x + b);
            }
        }
    }
    From::Old
}

/// mid = x + att·Woᵀ (+ bias).
#[allow(clippy::too_many_arguments, reason = "one fused pass")]
pub(crate) fn project_out(
    mid: &mut [f32],
    x: &[f32],
    att: &[f32],
    shape: &Shape,
    at: &LayerAt,
    packed: &PackedLayer,
    weights: &[f32],
    keys: &[u64],
) {
    let (d, a, rows) = (shape.width, shape.q_width(), mid.len() / shape.width);
    let from = biased(mid, Some(x), at.o_bias.map(|b| &weights[b..b + d]), d);
    packed.products[OUTPUT].apply(Block::new(mid, rows, d, d), from, att, a, keys);
}

/// What [`feed_forward`] writes besides its result.
pub(crate) struct FeedScratch<'a> {
    pub normed: &'a mut [f32],
    /// Pre-activations [rows, inner_width]; kept for the backward pass.
    pub inner: &'a mut [f32],
    /// Rows are [`spaced`].
    pub act: &'a mut [f32],
    /// Of the rows: what adapters drop.
    pub keys: &'a [u64],
}

/// What the feed-forward part reads: norm(mid), or norm(x) of the block's input where both parts are parallel.
pub(crate) fn feed_norm(
    normed: &mut [f32],
    x: &[f32],
    mid: &[f32],
    shape: &Shape,
    at: &LayerAt,
    weights: &[f32],
) {
    if let Some(mlp) = &at.mlp {
        norm_rows(&mut normed[..mid.len()], if shape.parallel { x } else { mid }, shape, mlp.norm, weights);
    }
}

/// inner = up(normed), gate and up where there is a gate.
pub(crate) fn feed_inner(
    rows: usize,
    s: &mut FeedScratch,
    shape: &Shape,
    at: &LayerAt,
    packed: &PackedLayer,
    weights: &[f32],
) {
    let (d, i) = (shape.width, shape.inner_width());
    let Some(mlp) = &at.mlp else { return };
    let inner = &mut s.inner[..rows * i];
    let from = biased(inner, None, mlp.inner_bias.map(|b| &weights[b..b + i]), i);
    packed.products[INNER].apply(Block::new(inner, rows, i, i), from, &s.normed[..rows * d], d, s.keys);
}

/// y = mid + down(act(up(normed))) with what [`feed_norm`] left. Without a feed-forward part y = mid.
#[allow(clippy::too_many_arguments, reason = "one fused pass")]
pub(crate) fn feed_forward(
    y: &mut [f32],
    mid: &[f32],
    rows: usize,
    mut s: FeedScratch,
    shape: &Shape,
    at: &LayerAt,
    packed: &PackedLayer,
    weights: &[f32],
) {
    let (d, f, i) = (shape.width, shape.ffn, shape.inner_width());
    let Some(mlp) = &at.mlp else {
        y.copy_from_slice(mid);
        return;
    };
    feed_inner(rows, &mut s, shape, at, packed, weights);
    let act_row = spaced(f);
    let act = &mut s.act[..rows * act_row];
    activation(act, act_row, &s.inner[..rows * i], f, shape.activation);
    let from = biased(y, Some(mid), mlp.down_bias.map(|b| &weights[b..b + d]), d);
    packed.products[DOWN].apply(Block::new(y, rows, d, d), from, act, act_row, s.keys);
}
