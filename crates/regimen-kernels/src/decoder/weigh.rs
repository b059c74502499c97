//! The weight gradients of one layer over a chunk of rows: which there are, and the tasks that add them.

use super::chunk::Chunk;
use crate::gemm::{STRIP, TASK_STRIPS, tn_strips};
use crate::grads::Grads;
use crate::norm::{bias_grad, norm_backward, norm_weight_grad};
use crate::par::{self, Shared};
use crate::plan::{LayerAt, NormAt};
use crate::shape::{Norm, Shape};
use crate::simd::LANES;

/// Columns of a norm's gradient that a task computes.
const NORM_COLUMNS: usize = 2 * LANES;

/// A weight gradient dW[width, k] += dyᵀ·x of columns `column..` of dy, at `start` of the flat gradients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Which strips and panels: 0 down, 1 inner, 2 output, 3 qkv.
    pub product: usize,
    pub column: usize,
    pub width: usize,
    k: usize,
    start: usize,
    /// First of its strips.
    pub strip: usize,
}

/// What of a layer is trained.
pub(super) struct Parts {
    pub matrices: Vec<Part>,
    /// Which norm: 0 before the feed-forward part, 1 before attention.
    norms: Vec<(usize, TrainedNorm)>,
    /// (column in qkv, width, start).
    biases: Vec<(usize, usize, usize)>,
    head_norms: Vec<(usize, usize, usize)>,
}

/// What of a norm is trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrainedNorm {
    weight: Option<usize>,
    bias: Option<usize>,
}

impl TrainedNorm {
    pub fn new(at: NormAt, frozen: &impl Fn(usize) -> bool) -> Option<TrainedNorm> {
        let weight = (!frozen(at.weight)).then_some(at.weight);
        let bias = at.bias.filter(|b| !frozen(*b));
        (weight.is_some() || bias.is_some()).then_some(TrainedNorm { weight, bias })
    }

    /// Adds columns `first..first + width` of the gradients over the rows of dy.
    /// # Safety
    /// No other task may write these columns of the norm.
    pub unsafe fn add(
        self,
        out: Shared<'_>,
        (first, width): (usize, usize),
        dy: &[f32],
        x: &[f32],
        d: usize,
        stats: &[[f32; 2]],
    ) {
        // SAFETY: promised by the caller.
        let part = |start: usize| unsafe { out.part(start + first, width) };
        match (self.weight.map(part), self.bias.map(part)) {
            (Some(dw), db) => norm_weight_grad(dw, db, dy, x, d, first, stats),
            (None, Some(db)) => bias_grad(db, dy, d, first),
            (None, None) => {}
        }
    }
}

/// The trained entries of a layer; neighbours in the flat vector become one product.
pub(super) fn parts(s: &Shape, at: &LayerAt, frozen: impl Fn(usize) -> bool) -> Parts {
    let (d, f, qw, kw) = (s.width, s.ffn, s.q_width(), s.kv_width());
    let mut entries = vec![(2, 0, d, qw, at.o)];
    if let Some(mlp) = &at.mlp {
        entries.push((0, 0, d, f, mlp.down));
        entries.extend((0..s.inner_width() / f).map(|i| (1, i * f, f, d, mlp.inner + i * f * d)));
    }
    let qkv = [(0, qw), (qw, kw), (qw + kw, kw)];
    entries.extend(qkv.map(|(column, width)| (3, column, width, d, at.qkv + column * d)));
    let mut matrices: Vec<Part> = Vec::new();
    for (product, column, width, k, start) in entries.into_iter().filter(|e| !frozen(e.4)) {
        match matrices.last_mut() {
            Some(p) if p.product == product && p.column + p.width == column => p.width += width,
            Some(p) if p.product == product => {
                let strip = p.strip + p.width.div_ceil(STRIP);
                matrices.push(Part { product, column, width, k, start, strip });
            }
            _ => matrices.push(Part { product, column, width, k, start, strip: 0 }),
        }
    }
    let norms = [Some((1, at.norm)), at.mlp.map(|m| (0, m.norm))];
    let norms = norms.into_iter().flatten().filter_map(|(i, at)| Some((i, TrainedNorm::new(at, &frozen)?)));
    let bias = |b: usize| qkv.map(|(column, width)| (column, width, b + column));
    let heads = |(q, k): (usize, usize)| [(0, qw, q), (qw, kw, k)];
    Parts {
        matrices,
        norms: norms.collect(),
        biases: at.qkv_bias.into_iter().flat_map(bias).filter(|b| !frozen(b.2)).collect(),
        head_norms: at.qk_norm.into_iter().flat_map(heads).filter(|h| !frozen(h.2)).collect(),
    }
}

/// A task of the weight gradients.
pub(super) enum Weigh {
    /// Rows i..i + m of a matrix.
    Matrix(Part, usize, usize),
    Norm(usize, TrainedNorm, usize),
    Bias(usize, usize, usize),
    HeadNorm(usize, usize, usize),
}

/// Adds the chunk's part of all weight gradients of the layer. `tasks` is a buffer.
pub(super) fn weigh(chunk: &Chunk, grads: &mut Grads, tasks: &mut Vec<Weigh>) {
    let (d, parts) = (chunk.shape.width, chunk.parts);
    let high = TASK_STRIPS * STRIP;
    tasks.clear();
    for p in &parts.matrices {
        tasks.extend((0..p.width).step_by(high).map(|i| Weigh::Matrix(*p, i, high.min(p.width - i))));
    }
    tasks.extend(parts.head_norms.iter().map(|h| Weigh::HeadNorm(h.0, h.1, h.2)));
    for (which, at) in &parts.norms {
        tasks.extend((0..d).step_by(NORM_COLUMNS).map(|first| Weigh::Norm(*which, *at, first)));
    }
    tasks.extend(parts.biases.iter().map(|b| Weigh::Bias(b.0, b.1, b.2)));
    let out = Shared::new(grads.flat_mut());
    par::each(tasks.len(), |_, task| chunk.weigh(&tasks[task], out));
}

impl Chunk<'_> {
    fn weigh(&self, task: &Weigh, out: Shared<'_>) {
        let (s, n, cap) = (self.shape, self.rows.len(), self.cap());
        let d = s.width;
        // SAFETY: every task has its own part of the gradients; the chunk's buffers are only read now.
        unsafe {
            match *task {
                Weigh::Matrix(p, i, m) => {
                    let first = (p.strip + i / STRIP) * cap * LANES;
                    let strips = self.strips[p.product].read(first, m.div_ceil(STRIP) * cap * LANES);
                    let panels = self.panels[p.product].read(0, p.k.div_ceil(LANES) * cap * LANES);
                    tn_strips(out.part(p.start + i * p.k, m * p.k), m, p.k, strips, panels, cap, n);
                }
                Weigh::Norm(which, at, first) => {
                    let width = NORM_COLUMNS.min(d - first);
                    let x = if which == 0 { self.mid } else { self.x };
                    let from = (self.level + self.rows.start) * d;
                    let (dy, stats) = (self.dnormed[which].read(0, n * d), self.stats[which].read(0, n));
                    at.add(out, (first, width), dy, &x[from..from + n * d], d, stats);
                }
                Weigh::Bias(column, width, start) => {
                    let w = s.qkv_width();
                    bias_grad(out.part(start, width), self.dqkv.read(0, n * w), w, column);
                }
                Weigh::HeadNorm(column, width, start) => {
                    self.head_norm_grad(column, width, out.part(start, s.head_dim));
                }
            }
        }
    }

    /// The weight of a per-head norm: sums over rows, then heads, in order.
    fn head_norm_grad(&self, column: usize, width: usize, dw: &mut [f32]) {
        let (s, n) = (self.shape, self.rows.len());
        let (hd, row) = (s.head_dim, s.q_width() + s.kv_width());
        let raw = &self.raw[(self.level + self.rows.start) * row..];
        // SAFETY: only read now.
        let dqk = unsafe { self.dqk.read(0, n * row) };
        let mut unused = vec![0.0; hd];
        let mut stats = [[0.0; 2]];
        for r in 0..n {
            for h in 0..width / hd {
                let from = r * row + column + h * hd;
                let (x, dy) = (&raw[from..from + hd], &dqk[from..from + hd]);
                norm_backward(&mut unused, None, dy, x, hd, dy, s.norm_eps, Norm::Rms, &mut stats);
                norm_weight_grad(dw, None, dy, x, hd, 0, &stats);
            }
        }
    }
}
