//! One layer's backward pass over a chunk of documents: the gradient's way down, which leaves both operands of every
//! weight gradient in the products' own formats for [`super::weigh`].

use std::ops::Range;

use super::layer::{block, blocks};
use super::weigh::Parts;
use super::{Batch, Group, Worker};
use crate::activation::activation_backward;
use crate::attention::{self, HeadGroup, Saved};
use crate::block::{PackedLayer, norm_rows};
use crate::gemm::{From, rows_by_packed, write_strips};
use crate::norm::norm_backward;
use crate::par::{Block, Crew, Shared};
use crate::plan::LayerAt;
use crate::rope::{RopeTable, rope};
use crate::shape::{Norm, Shape};
use crate::simd::{LANES, Simd, simd};

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

    /// Rows of a strip or panel.
    pub fn cap(&self) -> usize {
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
                    rows_by_packed(Block::new(act, rows, f, f), From::Zero, dy, d, &packed.down, 0);
                    activation_backward(dinner, inner, act, f, s.activation);
                    self.right(0, act, f, c);
                    self.left(1, dinner, iw, c);
                    rows_by_packed(Block::new(dnormed, rows, d, d), From::Zero, dinner, iw, &packed.inner, 0);
                    let (weight, _) = mlp.norm.of(self.weights, d);
                    norm_backward(dmid, Some(dy), dnormed, x, d, weight, s.norm_eps, s.norm, stats);
                    let normed = &mut w.normed[..rows * d];
                    norm_rows(normed, x, s, mlp.norm, self.weights);
                    self.right(1, normed, d, c);
                }
                None => dmid.copy_from_slice(dy),
            }
            self.left(2, dmid, d, c);
            rows_by_packed(Block::new(datt, rows, a, a), From::Zero, dmid, d, &packed.o, 0);
            self.right(2, &self.att[row * a..(row + rows) * a], a, c);
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
            let (row, c, column) = (self.level + start, start - self.rows.start, head * g.group * g.head_dim);
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
            rows_by_packed(Block::new(dnormed, rows, d, d), From::Zero, dqkv, w, &self.packed.qkv, 0);
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

simd!(
    /// Copies rows x[·, width] to rows `first`.. of panels [width / 16][cap][16], zero padded.
    pub(super) fn write_panels(panels: Shared<'_>, x: &[f32], width: usize, first: usize, cap: usize)
        => write_panels_body in "copying");

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
