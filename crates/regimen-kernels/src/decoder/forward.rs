//! The forward pass.

use super::layer::{Layer, balanced, block, blocks, group_documents, joined};
use super::{Decoder, Rows, Worker, grow};
use crate::block::norm_rows;
use crate::buffer::spaced;
use crate::dropout::row_keys;
use crate::gemm::ROW_BLOCK;
use crate::pack::Held;
use crate::par::{self, Crew, Shared};
use crate::span::span;
use crate::weights::Weights;

impl Decoder {
    /// Runs a batch and keeps what the backward pass needs.
    pub fn forward<'w>(&mut self, weights: impl Into<Weights<'w>>, batch: &Rows) {
        self.run(weights.into(), batch, true);
    }

    /// Runs a batch and keeps only the hidden states: for reference models and evaluation.
    pub fn forward_only<'w>(&mut self, weights: impl Into<Weights<'w>>, batch: &Rows) {
        self.run(weights.into(), batch, false);
    }

    fn run(&mut self, weights: Weights<'_>, batch: &Rows, keep: bool) {
        assert_eq!(weights.len(), self.plan.len, "weights have the layout's length");
        self.take_batch(batch);
        self.drop_inputs(keep);
        self.make_room(keep);
        self.embed(weights);
        for l in 0..self.shape.layers {
            self.layer(l, weights, false);
        }
        self.final_norm(weights.vectors());
    }

    fn take_batch(&mut self, batch: &Rows) {
        let b = &mut self.batch;
        let n = batch.ids.len();
        assert!(
            batch.starts.first() == Some(&0) && batch.starts.last() == Some(&(n as u32)),
            "starts run from 0 to ids"
        );
        assert!(batch.ids.iter().all(|id| (*id as usize) < self.shape.vocab), "ids lie in the vocabulary");
        b.ids.clear();
        b.ids.extend_from_slice(batch.ids);
        b.starts.clear();
        b.starts.extend_from_slice(batch.starts);
        b.positions.clear();
        let mut longest = 0;
        for w in batch.starts.windows(2) {
            assert!(w[0] <= w[1], "starts ascend");
            longest = longest.max(w[1] - w[0]);
            b.positions.extend(0..w[1] - w[0]);
        }
        group_documents(&b.starts, &mut b.groups);
        let bound = if self.plan.positions.is_some() { self.shape.max_positions } else { usize::MAX };
        assert!(
            longest as usize <= bound,
            "a document has at most as many tokens as there are learned positions"
        );
        b.longest = longest as usize;
        self.table.reach(longest as usize);
        self.picks.list.clear();
        self.picks.positions.clear();
    }

    fn drop_inputs(&mut self, keep: bool) {
        let p = self.shape.lora.map_or(0.0, |lora| lora.dropout);
        self.batch.keys.clear();
        if let Some(key) = self.dropout.filter(|_| keep && p > 0.0) {
            row_keys(&mut self.batch.keys, key, &self.batch.ids, &self.batch.starts);
        }
    }

    /// Packs layer l's matrices.
    pub(super) fn pack(&mut self, l: usize, weights: Weights<'_>, backward: bool) {
        self.packed.pack(&self.shape, &self.plan.layers[l], weights, backward, Held::Wide);
        self.packed.set_dropout(&self.shape, l, !self.batch.keys.is_empty());
    }

    fn make_room(&mut self, keep: bool) {
        let (s, n) = (&self.shape, self.batch.len());
        let k = &mut self.kept;
        k.all = keep;
        k.whole = keep && !self.checkpointing;
        let layers = if k.whole { s.layers } else { 1 };
        grow(&mut k.x, n * s.width * if keep { s.layers + 1 } else { 1 });
        grow(&mut k.mid, n * s.width * layers);
        grow(&mut k.qkv, n * s.qkv_width() * layers);
        if s.qk_norm && keep {
            grow(&mut k.raw, n * (s.q_width() + s.kv_width()) * layers);
        }
        grow(&mut k.att, n * s.q_width() * layers);
        grow(&mut k.lse, n * s.heads * layers);
        if keep {
            grow(&mut k.inner, n * s.inner_width() * layers);
        }
        grow(&mut self.hidden, n * s.width);
        self.workers.resize_with(self.workers.len().max(par::threads()), Worker::default);
        let block = ROW_BLOCK.min(n);
        for w in &mut self.workers {
            grow(&mut w.normed, block * s.width);
            grow(&mut w.inner, block * s.inner_width());
            grow(&mut w.act, block * spaced(s.ffn));
            w.attention.reserve(self.batch.longest, s.head_dim, false);
        }
    }

    fn embed(&mut self, weights: Weights<'_>) {
        let (d, plan, batch) = (self.shape.width, &self.plan, &self.batch);
        let x = Shared::new(&mut self.kept.x);
        par::blocks(batch.len(), ROW_BLOCK, |first, rows| {
            let _part = span("embedding");
            // SAFETY: one block of rows a task.
            let x = unsafe { x.part(first * d, rows * d) };
            for (x, &id) in x.chunks_exact_mut(d).zip(&batch.ids[first..]) {
                weights.read(x, plan.embed + id as usize * d);
            }
            let Some(learned) = plan.positions else { return };
            for (x, &position) in x.chunks_exact_mut(d).zip(&batch.positions[first..]) {
                let place = &weights.vectors()[learned + position as usize * d..][..d];
                x.iter_mut().zip(place).for_each(|(x, p)| *x += p);
            }
        });
    }

    /// Where the residual stream below layer l starts, in rows: one layer behind the other, or always the same place.
    pub(super) fn level(&self, l: usize) -> usize {
        if self.kept.all { l * self.batch.len() } else { 0 }
    }

    /// The same of layer l's other activations.
    pub(super) fn own_level(&self, l: usize) -> usize {
        if self.kept.whole { l * self.batch.len() } else { 0 }
    }

    /// Takes the residual stream through layer l; or `again`, for what the backward pass needs of the layer.
    pub(super) fn layer(&mut self, l: usize, weights: Weights<'_>, again: bool) {
        self.pack(l, weights, false);
        let (level, above, own) = (self.level(l), self.level(l + 1), self.own_level(l));
        let k = &mut self.kept;
        let layer = Layer {
            shape: &self.shape,
            at: &self.plan.layers[l],
            packed: &self.packed,
            weights: weights.vectors(),
            table: &self.table,
            batch: &self.batch,
            keep: k.all,
            again,
            level,
            above,
            own,
            x: Shared::new(&mut k.x),
            mid: Shared::new(&mut k.mid),
            qkv: Shared::new(&mut k.qkv),
            raw: Shared::new(&mut k.raw),
            att: Shared::new(&mut k.att),
            lse: Shared::new(&mut k.lse),
            inner: Shared::new(&mut k.inner),
            workers: Shared::new(&mut self.workers),
        };
        let groups = &self.batch.groups;
        if balanced(groups.iter().map(|g| g.rows.len())) {
            par::each(groups.len(), |worker, i| layer.run(Crew::Alone(worker), &groups[i]));
        } else if !groups.is_empty() {
            layer.run(Crew::All, &joined(groups));
        }
    }

    fn final_norm(&mut self, weights: &[f32]) {
        let (n, d, s) = (self.batch.len(), self.shape.width, &self.shape);
        let (top, at) = (self.level(s.layers), self.plan.norm);
        let (hidden, x) = (Shared::new(&mut self.hidden), &self.kept.x);
        let count = blocks(Crew::All, &(0..n));
        par::each(count, |_, task| {
            let (r, rows) = block(&(0..n), count, task);
            // SAFETY: one block of rows a task.
            let out = unsafe { hidden.part(r * d, rows * d) };
            norm_rows(out, &x[(top + r) * d..(top + r + rows) * d], s, at, weights);
        });
    }
}
