//! One layer's backward pass over a chunk of documents: first the gradient's way down, which leaves both operands of
//! every weight gradient in the products' own formats, then the weight gradients.

use std::ops::Range;

use super::layer::{block, blocks, head_group};
use super::{Batch, Group, Worker};
use crate::activation::activation_backward;
use crate::attention;
use crate::block::{PackedLayer, norm_rows};
use crate::gemm::{From, STRIP, TASK_STRIPS, rows_by_packed, tn_strips, write_strips};
use crate::grads::Grads;
use crate::norm::{bias_grad, norm_backward, norm_weight_grad};
use crate::par::{self, Crew, Shared};
use crate::plan::{LayerAt, NormAt};
use crate::rope::{RopeTable, rope};
use crate::shape::{Norm, Shape};
use crate::simd::{LANES, Simd, simd};

/// Columns of a norm's gradient that a task computes.
const NORM_COLUMNS: usize = 2 * LANES;

/// A weight gradient dW[width, k] += dyᵀ·x of columns `column..` of dy, at `start` of the flat gradients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Which strips and panels: 0 down, 1 inner, 2 output, 3 qkv.
    product: usize,
    column: usize,
    width: usize,
    k: usize,
    start: usize,
    /// First of its strips.
    strip: usize,
}

/// What of a layer is trained.
pub(super) struct Parts {
    matrices: Vec<Part>,
    /// (which norm, where).
    norms: Vec<(usize, NormAt)>,
    /// (column in qkv, width, start).
    biases: Vec<(usize, usize, usize)>,
    head_norms: Vec<(usize, usize, usize)>,
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
    let mut norms = vec![(1, at.norm)];
    norms.extend(at.mlp.map(|m| (0, m.norm)));
    norms.retain(|(_, n)| !frozen(n.weight));
    let bias = |b: usize| qkv.map(|(column, width)| (column, width, b + column));
    let heads = |(q, k): (usize, usize)| [(0, qw, q), (qw, kw, k)];
    Parts {
        matrices,
        norms,
        biases: at.qkv_bias.into_iter().flat_map(bias).filter(|b| !frozen(b.2)).collect(),
        head_norms: at.qk_norm.into_iter().flat_map(heads).filter(|h| !frozen(h.2)).collect(),
    }
}

/// Everything a chunk reads and writes. Kept activations start at row `level`; the chunk's own buffers start at its
/// first row.
pub(super) struct Chunk<'a> {
    pub shape: &'a Shape,
    pub at: &'a LayerAt,
    pub packed: &'a PackedLayer,
    pub weights: &'a [f32],
    pub table: &'a RopeTable,
    pub batch: &'a Batch,
    pub parts: &'a Parts,
    pub level: usize,
    pub rows: Range<usize>,
    pub x: &'a [f32],
    pub mid: &'a [f32],
    pub qkv: &'a [f32],
    pub raw: &'a [f32],
    pub att: &'a [f32],
    pub lse: &'a [f32],
    pub inner: &'a [f32],
    pub dx: Shared<'a>,
    pub dmid: Shared<'a>,
    pub dnormed: [Shared<'a>; 2],
    pub stats: [Shared<'a, [f32; 2]>; 2],
    pub datt: Shared<'a>,
    pub dqkv: Shared<'a>,
    pub dqk: Shared<'a>,
    pub strips: [Shared<'a>; 4],
    pub panels: [Shared<'a>; 4],
    pub workers: Shared<'a, Worker>,
}

impl Chunk<'_> {
    /// Sends the gradient of a group of documents down through the layer.
    pub fn run(&self, crew: Crew, group: &Group) {
        self.feed_forward(crew, &group.rows);
        self.attention(crew, &group.documents);
        self.queries_keys_values(crew, &group.rows);
    }

    fn cap(&self) -> usize {
        self.rows.len()
    }

    /// Leaves `x[rows, row]` as the left operand of a product's weight gradients, if any is trained.
    fn left(&self, product: usize, x: &[f32], row: usize, first: usize) {
        for p in self.parts.matrices.iter().filter(|p| p.product == product) {
            let from = p.strip * self.cap() * LANES;
            write_strips(self.strips[product].after(from), self.cap(), first, x, row, p.column, p.width);
        }
    }

    /// Leaves `x[rows, width]` as the right operand, if any is trained.
    fn right(&self, product: usize, x: &[f32], width: usize, first: usize) {
        if self.parts.matrices.iter().any(|p| p.product == product) {
            write_panels(self.panels[product], x, width, first, self.cap());
        }
    }

    /// Through down, activation, up and norm to the middle of the block; then to attention's output.
    fn feed_forward(&self, crew: Crew, all: &Range<usize>) {
        let (s, packed) = (self.shape, self.packed);
        let (d, f, iw, a) = (s.width, s.ffn, s.inner_width(), s.q_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (row, c) = (self.level + r, r - self.rows.start);
            // SAFETY: one worker's buffers; one block of rows a task.
            let (w, dy, dmid, datt, dnormed, stats) = unsafe {
                (
                    &mut self.workers.part(worker, 1)[0],
                    self.dx.read(r * d, rows * d),
                    self.dmid.part(c * d, rows * d),
                    self.datt.part(c * a, rows * a),
                    self.dnormed[0].part(c * d, rows * d),
                    self.stats[0].part(c, rows),
                )
            };
            match &self.at.mlp {
                Some(mlp) => {
                    let x = &self.mid[row * d..(row + rows) * d];
                    let inner = &self.inner[row * iw..(row + rows) * iw];
                    let (act, dinner) = (&mut w.act[..rows * f], &mut w.dinner[..rows * iw]);
                    self.left(0, dy, d, c);
                    rows_by_packed(act, f, From::Zero, dy, d, rows, &packed.down, 0, f);
                    activation_backward(dinner, inner, act, f, s.activation);
                    self.right(0, act, f, c);
                    self.left(1, dinner, iw, c);
                    rows_by_packed(dnormed, d, From::Zero, dinner, iw, rows, &packed.inner, 0, d);
                    let (weight, _) = mlp.norm.of(self.weights, d);
                    norm_backward(dmid, Some(dy), dnormed, x, d, weight, s.norm_eps, s.norm, stats);
                    let normed = &mut w.normed[..rows * d];
                    norm_rows(normed, x, s, mlp.norm, self.weights);
                    self.right(1, normed, d, c);
                }
                None => dmid.copy_from_slice(dy),
            }
            self.left(2, dmid, d, c);
            rows_by_packed(datt, a, From::Zero, dmid, d, rows, &packed.o, 0, a);
            self.right(2, &self.att[row * a..(row + rows) * a], a, c);
        });
    }

    fn attention(&self, crew: Crew, documents: &Range<usize>) {
        let (s, starts) = (self.shape, &self.batch.starts);
        let (w, a) = (s.qkv_width(), s.q_width());
        crew.each(documents.len() * s.kv_heads, |worker, task| {
            let (doc, head) = (documents.start + task / s.kv_heads, task % s.kv_heads);
            let g = head_group(s, head, (starts[doc + 1] - starts[doc]) as usize);
            if g.rows == 0 {
                return;
            }
            let start = starts[doc] as usize;
            let (row, c, column) = (self.level + start, start - self.rows.start, head * g.group * g.head_dim);
            // SAFETY: one worker's buffers; datt is not written meanwhile.
            let (scratch, datt) = unsafe {
                (&mut self.workers.part(worker, 1)[0].attention, self.datt.read(c * a, g.rows * a))
            };
            attention::backward(
                scratch,
                g,
                &self.qkv[row * w..(row + g.rows) * w],
                &self.att[row * a + column..(row + g.rows) * a],
                &datt[column..],
                a,
                &self.lse[row * s.heads + head * g.group..],
                s.heads,
                self.dqkv,
                c * w,
            );
        });
    }

    /// Through the rotation, the per-head norms, the projection and the norm to below the layer.
    fn queries_keys_values(&self, crew: Crew, all: &Range<usize>) {
        let (s, at, batch) = (self.shape, self.at, self.batch);
        let (d, w) = (s.width, s.qkv_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (row, c) = (self.level + r, r - self.rows.start);
            // SAFETY: one worker's buffers; one block of rows a task.
            let (scratch, dx, dmid, dqkv, dnormed, stats) = unsafe {
                (
                    &mut self.workers.part(worker, 1)[0],
                    self.dx.part(r * d, rows * d),
                    self.dmid.read(c * d, rows * d),
                    self.dqkv.part(c * w, rows * w),
                    self.dnormed[1].part(c * d, rows * d),
                    self.stats[1].part(c, rows),
                )
            };
            let heads = s.heads + s.kv_heads;
            rope(dqkv, w, heads, s.head_dim, &batch.positions[r..r + rows], self.table, true);
            self.head_norms(dqkv, row, c, rows);
            self.left(3, dqkv, w, c);
            rows_by_packed(dnormed, d, From::Zero, dqkv, w, rows, &self.packed.qkv, 0, d);
            let x = &self.x[row * d..(row + rows) * d];
            let (weight, _) = at.norm.of(self.weights, d);
            norm_backward(dx, Some(dmid), dnormed, x, d, weight, s.norm_eps, s.norm, stats);
            let normed = &mut scratch.normed[..rows * d];
            norm_rows(normed, x, s, at.norm, self.weights);
            self.right(3, normed, d, c);
        });
    }

    /// Through the norms of q and k, in place; their own gradients are kept for the weights.
    fn head_norms(&self, dqkv: &mut [f32], row: usize, c: usize, rows: usize) {
        let (s, Some((qn, kn))) = (self.shape, self.at.qk_norm) else { return };
        let (qw, kw, w, hd) = (s.q_width(), s.kv_width(), s.qkv_width(), s.head_dim);
        let both = qw + kw;
        // SAFETY: one block of rows a task.
        let kept = unsafe { self.dqk.part(c * both, rows * both) };
        let raw = &self.raw[row * both..(row + rows) * both];
        let mut unused = vec![[0.0; 2]; s.heads];
        let rows = kept.chunks_exact_mut(both).zip(raw.chunks_exact(both)).zip(dqkv.chunks_exact_mut(w));
        for ((kept, raw), row) in rows {
            kept.copy_from_slice(&row[..both]);
            for (at, width, weight) in [(0, qw, qn), (qw, kw, kn)] {
                let span = at..at + width;
                let (dx, dy, x) = (&mut row[span.clone()], &kept[span.clone()], &raw[span]);
                let weight = &self.weights[weight..weight + hd];
                norm_backward(dx, None, dy, x, hd, weight, s.norm_eps, Norm::Rms, &mut unused[..width / hd]);
            }
        }
    }
}

/// A task of the weight gradients.
enum Weigh {
    /// Rows i..i + m of a matrix.
    Matrix(Part, usize, usize),
    Norm(usize, NormAt, usize),
    Bias(usize, usize, usize),
    HeadNorm(usize, usize, usize),
}

/// Adds the chunk's part of all weight gradients of the layer.
pub(super) fn weigh(chunk: &Chunk, grads: &mut Grads) {
    let (d, parts) = (chunk.shape.width, chunk.parts);
    let high = TASK_STRIPS * STRIP;
    let mut tasks = Vec::new();
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
                    let db = at.bias.map(|b| out.part(b + first, width));
                    norm_weight_grad(
                        out.part(at.weight + first, width),
                        db,
                        self.dnormed[which].read(0, n * d),
                        &x[from..from + n * d],
                        d,
                        first,
                        self.stats[which].read(0, n),
                    );
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

simd!(
    /// Copies rows x[·, width] to rows `first`.. of panels [width / 16][cap][16], zero padded.
    pub(super) fn write_panels(panels: Shared<'_>, x: &[f32], width: usize, first: usize, cap: usize)
        => write_panels_body);

#[inline(always)]
fn write_panels_body<V: Simd>(panels: Shared<'_>, x: &[f32], width: usize, first: usize, cap: usize) {
    let rows = x.len() / width;
    for (v, i) in (0..width).step_by(LANES).enumerate() {
        let part = LANES.min(width - i);
        // SAFETY: rows of this task.
        let out = unsafe { panels.part((v * cap + first) * LANES, rows * LANES) }.as_mut_ptr();
        for r in 0..rows {
            // SAFETY: `part` floats of row r of x; one row of the panel.
            unsafe { V::load_part(x.as_ptr().add(r * width + i), part).store(out.add(r * LANES)) };
        }
    }
}
