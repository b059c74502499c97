//! The parts of a decoder block that work row by row, shared by training and decoding so that both give the same bits.

use crate::activation::activation;
use crate::gemm::{From, PackedMatrix, pack_panel_nn, pack_panel_nt, rows_by_packed};
use crate::norm::norm;
use crate::par::{self, Block, Shared};
use crate::plan::{LayerAt, NormAt};
use crate::rope::{RopeTable, rope};
use crate::shape::{Norm, Shape};
use crate::simd::LANES;
use crate::span::span;

/// The matrices of one layer, packed for products.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedLayer {
    pub qkv: PackedMatrix,
    pub o: PackedMatrix,
    pub inner: PackedMatrix,
    pub down: PackedMatrix,
}

/// A matrix to pack: from `w[n, k]`, transposed for y = x·Wᵀ or as it is for dx = dy·W.
struct Job<'a> {
    out: Shared<'a>,
    w: &'a [f32],
    n: usize,
    k: usize,
    backward: bool,
}

impl Job<'_> {
    fn panels(&self) -> usize {
        if self.backward { self.k.div_ceil(LANES) } else { self.n.div_ceil(LANES) }
    }

    fn run(&self, panel: usize) {
        let depth = if self.backward { self.n } else { self.k };
        // SAFETY: one panel a task.
        let out = unsafe { self.out.part(panel * depth * LANES, depth * LANES) };
        if self.backward {
            pack_panel_nn(out, self.w, self.k, self.n, panel);
        } else {
            pack_panel_nt(out, self.w, self.n, self.k, panel);
        }
    }
}

fn run(jobs: &[Job]) {
    let total: usize = jobs.iter().map(Job::panels).sum();
    const GROUP: usize = 4;
    par::each(total.div_ceil(GROUP), |_, task| {
        let _part = span("packing");
        for mut panel in task * GROUP..total.min((task + 1) * GROUP) {
            for job in jobs {
                if panel < job.panels() {
                    job.run(panel);
                    break;
                }
                panel -= job.panels();
            }
        }
    });
}

fn job<'a>(
    out: &'a mut PackedMatrix,
    w: &'a [f32],
    start: usize,
    n: usize,
    k: usize,
    backward: bool,
) -> Job<'a> {
    if backward {
        out.resize(k, n);
    } else {
        out.resize(n, k);
    }
    Job { out: out.shared(), w: &w[start..start + n * k], n, k, backward }
}

impl PackedLayer {
    /// Packs a layer for the forward products, or for the products that give the gradients of activations.
    pub fn pack(&mut self, shape: &Shape, at: &LayerAt, weights: &[f32], backward: bool) {
        let d = shape.width;
        let qkv = job(&mut self.qkv, weights, at.qkv, shape.qkv_width(), d, backward);
        let o = job(&mut self.o, weights, at.o, d, shape.q_width(), backward);
        let Some(mlp) = &at.mlp else { return run(&[qkv, o]) };
        let inner = job(&mut self.inner, weights, mlp.inner, shape.inner_width(), d, backward);
        let down = job(&mut self.down, weights, mlp.down, d, shape.ffn, backward);
        run(&[qkv, o, inner, down]);
    }
}

/// Packs the vocabulary head.
pub(crate) fn pack_head(
    out: &mut PackedMatrix,
    weights: &[f32],
    start: usize,
    vocab: usize,
    d: usize,
    backward: bool,
) {
    run(&[job(out, weights, start, vocab, d, backward)]);
}

/// A norm over rows with its parameters looked up.
pub(crate) fn norm_rows(out: &mut [f32], x: &[f32], shape: &Shape, at: NormAt, weights: &[f32]) {
    let (w, b) = at.of(weights, shape.width);
    norm(out, x, shape.width, w, b, shape.norm_eps, shape.norm);
}

/// qkv[rows, qkv_width] from x[rows, width]: norm, projection, bias, per-head norms, rotation. `normed` is scratch of
/// rows·width. With `raw`, q and k before their norms are kept there ([rows, q + k widths]).
#[allow(clippy::too_many_arguments, reason = "one fused pass")]
pub(crate) fn project_qkv(
    qkv: &mut [f32],
    raw: Option<&mut [f32]>,
    x: &[f32],
    normed: &mut [f32],
    shape: &Shape,
    at: &LayerAt,
    packed: &PackedMatrix,
    weights: &[f32],
    positions: &[u32],
    table: &RopeTable,
) {
    let (rows, d, w) = (positions.len(), shape.width, shape.qkv_width());
    let normed = &mut normed[..rows * d];
    norm_rows(normed, x, shape, at.norm, weights);
    let from = match at.qkv_bias {
        Some(b) => {
            for row in qkv.chunks_exact_mut(w) {
                row.copy_from_slice(&weights[b..b + w]);
            }
            From::Old
        }
        None => From::Zero,
    };
    rows_by_packed(Block::new(qkv, rows, w, w), from, normed, d, packed, 0);
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

/// mid = x + att·Woᵀ.
pub(crate) fn project_out(
    mid: &mut [f32],
    x: &[f32],
    att: &[f32],
    rows: usize,
    shape: &Shape,
    packed: &PackedMatrix,
) {
    let (d, a) = (shape.width, shape.q_width());
    rows_by_packed(Block::new(mid, rows, d, d), From::Other(x), att, a, packed, 0);
}

/// What [`feed_forward`] writes besides its result.
pub(crate) struct FeedScratch<'a> {
    pub normed: &'a mut [f32],
    /// Pre-activations [rows, inner_width]; kept for the backward pass.
    pub inner: &'a mut [f32],
    pub act: &'a mut [f32],
}

/// y = mid + down(act(up(norm(mid)))). Without a feed-forward part y = mid.
#[allow(clippy::too_many_arguments, reason = "one fused pass")]
pub(crate) fn feed_forward(
    y: &mut [f32],
    mid: &[f32],
    rows: usize,
    s: FeedScratch,
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
    let normed = &mut s.normed[..rows * d];
    let act = &mut s.act[..rows * f];
    let inner = &mut s.inner[..rows * i];
    norm_rows(normed, mid, shape, mlp.norm, weights);
    rows_by_packed(Block::new(inner, rows, i, i), From::Zero, normed, d, &packed.inner, 0);
    activation(act, inner, f, shape.activation);
    rows_by_packed(Block::new(y, rows, d, d), From::Other(mid), act, f, &packed.down, 0);
}
