//! The backward pass, layer by layer from the top and chunk by chunk of documents inside a layer. Norm outputs and
//! activations are computed again; so is, with checkpointing, all else but the residual stream.
//!
//! A chunk first sends its gradient down ([`super::chunk`]), then adds to the weights' gradients: every chain over rows
//! goes on where the chunk before ended, so the order is the tokens' whatever the chunks are. Where each chunk is one
//! thread's, gradients of weights go from thread to thread, close behind each other; a chunk's own rows stay in the caches
//! of its core, which may be far from the others.

use std::ops::Range;

use super::chunk::Chunk;
use super::cut::{Cut, Share};
use super::flow::{Flow, Places};
use super::layer::{balanced, block, blocks, joined};
use super::parts::Parts;
use super::weigh::{TrainedNorm, Weigh, list};
use super::{Decoder, Group, Upstream, grow};
use crate::buffer::spaced;
use crate::gemm::ROW_BLOCK;
use crate::grads::Grads;
use crate::norm::norm_backward;
use crate::par::{self, Crew, Shared};
use crate::simd::LANES;
use crate::span::span;
use crate::strips::{STRIP, apart};
use crate::turns::{Turn, in_turn};
use crate::weights::Weights;

impl Decoder {
    /// Adds the gradients of the last forward pass to `grads`. Needs [`Decoder::forward`], and after it at most one
    /// each of [`Decoder::logprobs`] and [`Decoder::logits`]; may be called once.
    pub fn backward<'w>(&mut self, weights: impl Into<Weights<'w>>, upstream: &Upstream, grads: &mut Grads) {
        let weights = weights.into();
        assert!(self.kept.all, "backward follows forward, not forward_only");
        let trained = self.plan.entries.iter().zip(&self.frozen).filter(|(_, frozen)| !**frozen);
        grads.touch(trained.map(|(range, _)| range.clone()));
        self.head_backward(weights, upstream, grads);
        self.final_norm_backward(weights.vectors(), grads);
        self.find_parts();
        self.cut_batch();
        self.flow_room();
        for l in (0..self.shape.layers).rev() {
            // the topmost layer ran last
            if !self.kept.whole && l + 1 < self.shape.layers {
                self.layer(l, weights, true);
            }
            self.pack(l, weights, true);
            self.layer_backward(l, weights.vectors(), grads);
        }
        self.embedding_grad(grads);
        self.kept.all = false;
    }

    fn cut_batch(&mut self) {
        let row = self.row_floats();
        let rows = (self.limits.chunk_bytes / 4 / row).max(ROW_BLOCK);
        let weights = self.parts.iter().map(Parts::weights).max().unwrap_or(0);
        self.cut.renew(&self.batch.groups, Share { rows, row, weights });
    }

    /// Floats that a row of a chunk holds.
    fn row_floats(&self) -> usize {
        let s = &self.shape;
        let strips = (2 * s.width + s.inner_width() + s.qkv_width()) * LANES / STRIP;
        strips + s.ffn + 5 * s.width + 3 * s.q_width() + 2 * s.qkv_width()
    }

    fn find_parts(&mut self) {
        if self.parts.is_empty() {
            let frozen = |start: usize| self.is_frozen(start);
            let of = |at| Parts::new(&self.shape, at, frozen);
            self.parts = self.plan.layers.iter().map(of).collect();
        }
    }

    fn flow_room(&mut self) {
        let cap = apart(self.cut.most(&self.batch.groups));
        let (s, f, slots) = (&self.shape, &mut self.flow, self.cut.slots());
        f.places = Places::new(s, cap);
        f.turns.resize_with(f.turns.len().max(self.cut.chunks.len()), Turn::default);
        if self.picks.logits.len() < slots * f.places.len {
            grow(&mut f.room, slots * f.places.len);
        }
        f.stats.iter_mut().for_each(|s| s.resize(s.len().max(slots * cap), [0.0; 2]));
        for worker in &mut self.workers {
            grow(&mut worker.dinner, ROW_BLOCK * spaced(s.inner_width()));
            worker.attention.reserve(self.batch.longest, s.head_dim, true);
        }
    }

    fn final_norm_backward(&mut self, weights: &[f32], grads: &mut Grads) {
        let (n, s, at) = (self.batch.len(), &self.shape, self.plan.norm);
        let d = s.width;
        grow(&mut self.flow.dx, n * d);
        let stats = &mut self.flow.stats[0];
        stats.resize(stats.len().max(n), [0.0; 2]);
        let x = &self.kept.x[s.layers * n * d..(s.layers + 1) * n * d];
        let dy = &self.flow.dhidden[..n * d];
        let (dx, stats) = (Shared::new(&mut self.flow.dx), Shared::new(stats));
        let count = blocks(Crew::All, &(0..n));
        par::each(count, |_, task| {
            let (r, rows) = block(&(0..n), count, task);
            // SAFETY: one block of rows a task.
            let (dx, stats) = unsafe { (dx.part(r * d, rows * d), stats.part(r, rows)) };
            let w = at.of(weights, d).0;
            norm_backward(dx, None, &dy[r * d..], &x[r * d..], d, w, s.norm_eps, s.norm, stats);
        });
        let Some(trained) = TrainedNorm::new(at, &|start| self.is_frozen(start)) else { return };
        let stats = &self.flow.stats[0][..n];
        let out = Shared::new(grads.touched_mut());
        par::each(d.div_ceil(LANES), |_, task| {
            let columns = (task * LANES, LANES.min(d - task * LANES));
            // SAFETY: one range of columns a task.
            unsafe { trained.add(out, columns, dy, x, d, stats) };
        });
    }

    fn layer_backward(&mut self, l: usize, weights: &[f32], grads: &mut Grads) {
        let (batch, cut) = (&self.batch, &self.cut);
        let (level, own) = (self.level(l), self.own_level(l));
        let (k, Flow { dx, stats, room, places, turns, .. }) = (&self.kept, &mut self.flow);
        let [stats0, stats1] = stats;
        // the logits' gradients have gone down by now
        let logits = &mut self.picks.logits;
        let room = Shared::new(if logits.len() >= cut.slots() * places.len { logits } else { room });
        let (dx, workers) = (Shared::new(dx), Shared::new(&mut self.workers));
        let stats = [Shared::new(stats0), Shared::new(stats1)];
        let chunk = |rows: Range<usize>, slot: usize| {
            let room = room.after(slot * places.len);
            let part = |place: &Range<usize>| room.within(place.clone());
            Chunk {
                shape: &self.shape,
                at: &self.plan.layers[l],
                packed: &self.packed,
                weights,
                table: &self.table,
                batch,
                parts: &self.parts[l],
                level,
                own,
                rows,
                cap: places.cap,
                x: &k.x,
                mid: &k.mid,
                qkv: &k.qkv,
                raw: &k.raw,
                att: &k.att,
                lse: &k.lse,
                inner: &k.inner,
                dx,
                dmid: part(&places.dmid),
                dnormed: places.dnormed.each_ref().map(part),
                stats: stats.map(|stats| stats.after(slot * places.cap)),
                datt: part(&places.datt),
                dqkv: part(&places.dqkv),
                dqk: part(&places.dqk),
                strips: places.strips.each_ref().map(part),
                panels: places.panels.each_ref().map(part),
                workers,
            }
        };
        list(&mut self.tasks, &self.parts[l], self.shape.width);
        let (tasks, out) = (&self.tasks, Shared::new(grads.touched_mut()));
        if cut.alone {
            side_by_side(cut, &batch.groups, &mut turns[..cut.chunks.len()], tasks, out, chunk);
        } else {
            together(cut, &batch.groups, tasks, out, chunk);
        }
    }

    /// Tokens' rows of the embedding, and their places' rows of learned positions.
    fn embedding_grad(&self, grads: &mut Grads) {
        if !self.is_frozen(self.plan.embed) {
            self.rows_grad(self.plan.embed, &self.batch.ids, grads);
        }
        if let Some(start) = self.plan.positions.filter(|start| !self.is_frozen(*start)) {
            self.rows_grad(start, &self.batch.positions, grads);
        }
    }

    /// Adds each token's dx to row `rows[token]` of the table at `start`, in the tokens' order.
    fn rows_grad(&self, start: usize, rows: &[u32], grads: &mut Grads) {
        let (d, dx) = (self.shape.width, &self.flow.dx);
        let out = Shared::new(grads.touched_mut());
        let columns = d.div_ceil(2 * par::threads()).div_ceil(LANES).max(2) * LANES;
        par::each(d.div_ceil(columns), |_, task| {
            let (first, width) = (task * columns, columns.min(d - task * columns));
            let _part = span("embedding");
            for (&row, dx) in rows.iter().zip(dx.chunks_exact(d)) {
                // SAFETY: one range of columns a task.
                let g = unsafe { out.part(start + row as usize * d + first, width) };
                g.iter_mut().zip(&dx[first..first + width]).for_each(|(g, x)| *g += x);
            }
        });
    }
}

/// Every chunk by one thread: down alone, then its part of the weights' gradients behind the chunk before.
fn side_by_side<'a>(
    cut: &Cut,
    groups: &[Group],
    turns: &mut [Turn],
    tasks: &[Weigh],
    out: Shared<'_>,
    chunk: impl Fn(Range<usize>, usize) -> Chunk<'a> + Sync,
) {
    let down = |worker: usize, i: usize| {
        let groups = &groups[cut.chunks[i].clone()];
        let chunk = chunk(joined(groups).rows, worker);
        for group in groups {
            chunk.run(Crew::Alone(worker), group);
        }
        chunk
    };
    // SAFETY: one chunk at a time does a task.
    let weigh = |chunk: &Chunk, j: usize| unsafe { chunk.weigh(&tasks[j], out) };
    in_turn(turns, tasks.len(), down, weigh);
}

/// One chunk after the other by all threads.
fn together<'a>(
    cut: &Cut,
    groups: &[Group],
    tasks: &[Weigh],
    out: Shared<'_>,
    chunk: impl Fn(Range<usize>, usize) -> Chunk<'a>,
) {
    for range in &cut.chunks {
        let groups = &groups[range.clone()];
        let whole = joined(groups);
        let chunk = chunk(whole.rows.clone(), 0);
        if balanced(groups.iter().map(|g| g.rows.len())) {
            par::each(groups.len(), |worker, i| chunk.run(Crew::Alone(worker), &groups[i]));
        } else {
            chunk.run(Crew::All, &whole);
        }
        // SAFETY: every task has its own part of the gradients.
        par::each(tasks.len(), |_, j| unsafe { chunk.weigh(&tasks[j], out) });
    }
}
