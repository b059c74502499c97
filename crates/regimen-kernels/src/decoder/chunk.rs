//! One layer's backward pass over a chunk of documents: the gradient's way down, which leaves both operands of every
//! weight gradient in the products' own formats for [`super::weigh`].

use std::ops::Range;

use super::layer::{block, blocks};
use super::parts::Parts;
use super::{Batch, Group, Worker};
use crate::activation::activation_backward;
use crate::attention::{self, HeadGroup, Saved};
use crate::block::{PackedLayer, feed_norm, norm_rows};
use crate::buffer::spaced;
use crate::norm::norm_backward;
use crate::par::{Block, Crew, Shared};
use crate::plan::{DOWN, INNER, LayerAt, OUTPUT, QKV};
use crate::rope::{RopeTable, rope};
use crate::shape::{Norm, Shape};
use crate::simd::{LANES, Simd, simd};
use crate::strips::{STRIP, write_strips};

/// Everything a chunk reads and writes. The residual stream below the layer starts at row `level`, the layer's other
/// activations at row `own`; the chunk's own buffers start at its first row.
pub(super) struct Chunk<'a> {
    pub shape: &'a Shape,
    pub at: &'a LayerAt,
    pub packed: &'a PackedLayer,
    pub weights: &'a [f32],
    pub table: &'a RopeTable,
    pub batch: &'a Batch,
    pub parts: &'a Parts,
    pub level: usize,
    pub own: usize,
    pub rows: Range<usize>,
    /// Rows of a strip or panel.
    pub cap: usize,
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
    pub strips: [Shared<'a>; 8],
    pub panels: [Shared<'a>; 12],
    pub workers: Shared<'a, Worker>,
}

impl Chunk<'_> {
    /// Sends the gradient of a group of documents down through the layer.
    pub fn run(&self, crew: Crew, group: &Group) {
        self.feed_forward(crew, &group.rows);
        self.attention(crew, &group.documents);
        self.queries_keys_values(crew, &group.rows);
    }

    /// dx of a product from dy[rows, row]; leaves dy as the left operand of the product's weight gradients, and the
    /// gradient of an adapter's inner state as the left operand of its own.
    fn back(&self, product: usize, dx: Block<'_>, dy: &[f32], row: usize, first: usize, du: &mut Vec<f32>) {
        let linear = &self.packed.products[product];
        for p in self.parts.left(product) {
            let from = p.strip * self.cap * LANES;
            write_strips(self.strips[product].after(from), self.cap, first, dy, row, p.column, p.width);
        }
        let keys = self.batch.keys(self.rows.start + first, dx.rows());
        linear.back(dx, dy, row, du, keys);
        let Some(adapter) = &linear.adapter else { return };
        let (wide, rank) = (adapter.columns(), adapter.rank());
        for (i, column) in (0..wide).step_by(rank).enumerate() {
            let from = i * rank.div_ceil(STRIP) * self.cap * LANES;
            write_strips(self.strips[4 + product].after(from), self.cap, first, du, wide, column, rank);
        }
    }

    /// Leaves a product's input x[rows, width], rows `row` apart, as the right operand of its weight gradients, and an
    /// adapter's inner state as that of its own.
    fn right(&self, product: usize, x: &[f32], row: usize, width: usize, first: usize) {
        if self.parts.right(product) {
            write_panels(self.panels[product], x, row, width, first, self.cap);
        }
        let Some(adapter) = &self.packed.products[product].adapter else { return };
        let (wide, rank) = (adapter.columns(), adapter.rank());
        if x.is_empty() {
            return;
        }
        let rows = x.len() / row;
        let (x, row) = adapter.seen(x, row, self.batch.keys(self.rows.start + first, rows));
        if self.parts.right(8 + product) {
            write_panels(self.panels[8 + product], &x, row, width, first, self.cap);
        }
        let u = adapter.reduce(&x, row, rows);
        for (i, column) in (0..wide).step_by(rank).enumerate() {
            let to = self.panels[4 + product].after(i * rank.div_ceil(LANES) * self.cap * LANES);
            write_panels(to, &u[column..], wide, rank, first, self.cap);
        }
    }

    /// Through down, activation, up and norm to the middle of the block; then to attention's output.
    fn feed_forward(&self, crew: Crew, all: &Range<usize>) {
        let s = self.shape;
        let (d, f, iw, a) = (s.width, s.ffn, s.inner_width(), s.q_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (below, row, c) = (self.level + r, self.own + r, r - self.rows.start);
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
                    let mid = &self.mid[row * d..(row + rows) * d];
                    let below = &self.x[below * d..(below + rows) * d];
                    let x = if s.parallel { below } else { mid };
                    let inner = &self.inner[row * iw..(row + rows) * iw];
                    let apart = [spaced(iw), spaced(f)];
                    let [dinner, act] = [&mut w.dinner[..rows * apart[0]], &mut w.act[..rows * apart[1]]];
                    self.back(DOWN, Block::new(act, rows, apart[1], f), dy, d, c, &mut w.du);
                    activation_backward(dinner, inner, act, apart, f, s.activation);
                    self.right(DOWN, act, apart[1], f, c);
                    self.back(INNER, Block::new(dnormed, rows, d, d), dinner, apart[0], c, &mut w.du);
                    let (weight, _) = mlp.norm.of(self.weights, d);
                    norm_backward(dmid, Some(dy), dnormed, x, d, weight, s.norm_eps, s.norm, stats);
                    let normed = &mut w.normed[..rows * d];
                    feed_norm(normed, below, mid, s, self.at, self.weights);
                    self.right(INNER, normed, d, d, c);
                }
                None => dmid.copy_from_slice(dy),
            }
            // parallel parts read the same input, so the feed-forward part's gradient does not pass through attention
            let dout = if s.parallel { dy } else { &*dmid };
            self.back(OUTPUT, Block::new(datt, rows, a, a), dout, d, c, &mut w.du);
            self.right(OUTPUT, &self.att[row * a..(row + rows) * a], a, a, c);
        });
    }

    fn attention(&self, crew: Crew, documents: &Range<usize>) {
        let (s, starts) = (self.shape, &self.batch.starts);
        let (w, a) = (s.qkv_width(), s.q_width());
        crew.each(documents.len() * s.kv_heads, |worker, task| {
            let (doc, head) = (documents.start + task / s.kv_heads, task % s.kv_heads);
            let g = HeadGroup::new(s, head, (starts[doc + 1] - starts[doc]) as usize);
            if g.rows == 0 {
                return;
            }
            let start = starts[doc] as usize;
            let (row, c, column) = (self.own + start, start - self.rows.start, head * g.group * g.head_dim);
            // SAFETY: one worker's buffers; datt is not written meanwhile; tasks write disjoint heads of disjoint rows.
            let (scratch, datt, dqkv) = unsafe {
                (
                    &mut self.workers.part(worker, 1)[0].attention,
                    self.datt.read(c * a, g.rows * a),
                    g.blocks(self.dqkv, c * w),
                )
            };
            let saved = Saved {
                qkv: &self.qkv[row * w..(row + g.rows) * w],
                out: &self.att[row * a + column..(row + g.rows) * a],
                out_row: a,
                lse: &self.lse[row * s.heads + head * g.group..],
                lse_row: s.heads,
            };
            attention::backward(scratch, g, saved, &datt[column..], dqkv);
        });
    }

    /// Through the rotation, the per-head norms, the projection and the norm to below the layer.
    fn queries_keys_values(&self, crew: Crew, all: &Range<usize>) {
        let (s, at, batch) = (self.shape, self.at, self.batch);
        let (d, w) = (s.width, s.qkv_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (below, c) = (self.level + r, r - self.rows.start);
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
            self.head_norms(dqkv, self.own + r, c, rows);
            self.back(QKV, Block::new(dnormed, rows, d, d), dqkv, w, c, &mut scratch.du);
            let x = &self.x[below * d..(below + rows) * d];
            let (weight, _) = at.norm.of(self.weights, d);
            norm_backward(dx, Some(dmid), dnormed, x, d, weight, s.norm_eps, s.norm, stats);
            let normed = &mut scratch.normed[..rows * d];
            norm_rows(normed, x, s, at.norm, self.weights);
            self.right(QKV, normed, d, d, c);
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

simd!(
    /// Copies rows of `width` floats of x, `row` apart, to rows `first`.. of panels [width / 16][cap][16], zero padded.
    pub(super) fn write_panels(panels: Shared<'_>, x: &[f32], row: usize, width: usize, first: usize, cap: usize)
        => write_panels_body in "copying");

#[inline(always)]
fn write_panels_body<V: Simd>(
    panels: Shared<'_>,
    x: &[f32],
    row: usize,
    width: usize,
    first: usize,
    cap: usize,
) {
    // the last row may end early
    let rows = x.len().div_ceil(row);
    assert!(rows == 0 || (rows - 1) * row + width <= x.len());
    for (v, i) in (0..width).step_by(LANES).enumerate() {
        let part = LANES.min(width - i);
        // SAFETY: rows of this task.
        let out = unsafe { panels.part((v * cap + first) * LANES, rows * LANES) }.as_mut_ptr();
        for r in 0..rows {
            // SAFETY: `part` floats of row r of x, checked above; one row of the panel.
            unsafe { V::load_part(x.as_ptr().add(r * row + i), part).store(out.add(r * LANES)) };
        }
    }
}
