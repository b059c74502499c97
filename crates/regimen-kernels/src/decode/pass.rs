//! New tokens of some slots on their way through all layers, by one thread or by all.

use super::{Segment, Slot, TASK_ROWS, Worker};
use crate::attention::{KeysValues, attend, attend_one};
use crate::block::{FeedScratch, PackedLayer, feed_forward, feed_norm, norm_rows, project_out, project_qkv};
use crate::buffer::spaced;
use crate::gemm::{From, PackedMatrix, columns_by_packed};
use crate::par::{Block, Crew, Shared};
use crate::plan::Plan;
use crate::rope::RopeTable;
use crate::shape::Shape;
use crate::simd::LANES;
use crate::span::span;
use crate::weights::Weights;

/// What all threads share.
pub(super) struct Engine<'a> {
    pub shape: &'a Shape,
    pub plan: &'a Plan,
    pub table: &'a RopeTable,
    pub layers: &'a [PackedLayer],
    pub head: &'a PackedMatrix,
    pub weights: Weights<'a>,
    /// The call's ids.
    pub ids: &'a [u32],
    /// Floats of one head's keys (or values) in a slot.
    pub each: usize,
    pub slots: Shared<'a, Slot>,
    pub logits: Shared<'a>,
    /// Scratch of attention, one a thread.
    pub scores: Shared<'a, Vec<f32>>,
}

impl Worker {
    /// Room for passes of up to `rows` rows.
    pub fn reserve(&mut self, s: &Shape, rows: usize) {
        for (buffer, width) in [
            (&mut self.x, s.width),
            (&mut self.mid, s.width),
            (&mut self.normed, s.width),
            (&mut self.qkv, s.qkv_width()),
            (&mut self.att, s.q_width()),
            (&mut self.inner, s.inner_width()),
            (&mut self.act, spaced(s.ffn)),
        ] {
            buffer.resize(buffer.len().max(rows * width), 0.0);
        }
        self.positions.reserve(rows.saturating_sub(self.positions.len()));
        self.wanted.reserve(rows.saturating_sub(self.wanted.len()));
    }
}

impl Engine<'_> {
    /// Takes segments through all layers: together when they are short, a long one in pieces.
    pub fn task(&self, crew: Crew, w: &mut Worker, segments: &[Segment]) {
        let rows: usize = segments.iter().map(|s| s.len).sum();
        if rows <= TASK_ROWS {
            self.pass(crew, w, segments);
            return;
        }
        for s in segments {
            for from in (0..s.len).step_by(TASK_ROWS) {
                let len = TASK_ROWS.min(s.len - from);
                let out = s.out.filter(|_| from + len == s.len);
                self.pass(crew, w, &[Segment { first: s.first + from, len, out, ..*s }]);
            }
        }
    }

    fn pass(&self, crew: Crew, w: &mut Worker, segments: &[Segment]) {
        let (s, d) = (self.shape, self.shape.width);
        let rows: usize = segments.iter().map(|s| s.len).sum();
        if rows == 0 {
            return;
        }
        self.enter(w, segments);
        let (x, mid, qkv, att) = (
            &mut w.x[..rows * d],
            &mut w.mid[..rows * d],
            &mut w.qkv[..rows * s.qkv_width()],
            &mut w.att[..rows * s.q_width()],
        );
        for (l, (at, packed)) in self.plan.layers.iter().zip(self.layers).enumerate() {
            project_qkv(
                qkv,
                None,
                x,
                &mut w.normed,
                s,
                at,
                packed,
                self.weights.vectors(),
                &w.positions,
                self.table,
                &[],
            );
            self.attend(crew, segments, l, qkv, att);
            project_out(mid, x, att, s, at, packed, self.weights.vectors(), &[]);
            feed_norm(&mut w.normed, x, mid, s, at, self.weights.vectors());
            let scratch =
                FeedScratch { normed: &mut w.normed, inner: &mut w.inner, act: &mut w.act, keys: &[] };
            feed_forward(x, mid, rows, scratch, s, at, packed, self.weights.vectors());
        }
        self.leave(w, segments, d);
    }

    /// Attention of layer l, a segment a task.
    fn attend(&self, crew: Crew, segments: &[Segment], l: usize, qkv: &[f32], att: &mut [f32]) {
        let (w, a) = (self.shape.qkv_width(), self.shape.q_width());
        let att = Shared::new(att);
        crew.each(segments.len(), |worker, i| {
            let segment = &segments[i];
            let (r, n) = (segment.first - segments[0].first, segment.len);
            // SAFETY: a slot and its rows belong to one segment, a segment to one task; one worker's scratch.
            let (slot, att, scores) = unsafe {
                let slot = &mut self.slots.part(segment.slot, 1)[0];
                (slot, att.part(r * a, n * a), &mut self.scores.part(worker, 1)[0])
            };
            self.attend_segment(slot, l, &qkv[r * w..], att, n, scores);
        });
    }

    /// Embeds the tokens and notes their positions.
    fn enter(&self, w: &mut Worker, segments: &[Segment]) {
        let d = self.shape.width;
        w.positions.clear();
        let mut r = 0;
        for segment in segments {
            // SAFETY: a slot belongs to one segment, a segment to one task.
            let len = unsafe { self.slots.read(segment.slot, 1)[0].len };
            for (i, &id) in self.ids[segment.first..][..segment.len].iter().enumerate() {
                let x = &mut w.x[r * d..(r + 1) * d];
                self.weights.read(x, self.plan.embed + id as usize * d);
                if let Some(learned) = self.plan.positions {
                    let place = &self.weights.vectors()[learned + (len + i) * d..][..d];
                    x.iter_mut().zip(place).for_each(|(x, p)| *x += p);
                }
                w.positions.push((len + i) as u32);
                r += 1;
            }
        }
    }

    /// Appends the segment's keys and values of layer l and attends.
    fn attend_segment(
        &self,
        slot: &mut Slot,
        l: usize,
        qkv: &[f32],
        att: &mut [f32],
        n: usize,
        scores: &mut [f32],
    ) {
        let s = self.shape;
        let (hd, w, group) = (s.head_dim, s.qkv_width(), s.heads / s.kv_heads);
        for head in 0..s.kv_heads {
            let at = (l * s.kv_heads + head) * self.each;
            let (keys, values) = (&mut slot.keys[at..at + self.each], &mut slot.values[at..at + self.each]);
            for i in 0..n {
                let position = slot.len + i;
                let k = &qkv[i * w + s.q_width() + head * hd..][..hd];
                let v = &qkv[i * w + s.q_width() + s.kv_width() + head * hd..][..hd];
                let panel = &mut keys[position / LANES * LANES * hd..][..LANES * hd];
                for (j, x) in k.iter().enumerate() {
                    panel[j * LANES + position % LANES] = *x;
                }
                values[position * hd..(position + 1) * hd].copy_from_slice(v);
            }
            if n == 1 {
                continue;
            }
            let _part = span("attention");
            let kv = KeysValues { keys, values };
            for h in head * group..(head + 1) * group {
                let out = Block::new(&mut att[h * hd..], n, s.q_width(), hd);
                attend(out, &qkv[h * hd..], w, slot.len, kv, scores, None);
            }
        }
        if n == 1 {
            let at = l * s.kv_heads * self.each;
            let (keys, values) = (&slot.keys[at..], &slot.values[at..]);
            attend_one(att, qkv, s.heads, group, slot.len + 1, hd, keys, values, self.each, scores);
        }
    }

    /// Counts the new tokens and computes the logits of each segment's last one.
    fn leave(&self, w: &mut Worker, segments: &[Segment], d: usize) {
        let v = self.shape.vocab;
        let mut r = 0;
        let wanted = &mut w.wanted;
        wanted.clear();
        for segment in segments {
            // SAFETY: a slot belongs to one segment, a segment to one task.
            unsafe { self.slots.part(segment.slot, 1)[0].len += segment.len };
            r += segment.len;
            if let (Some(out), true) = (segment.out, r > 0 && segment.len > 0) {
                let n = wanted.len();
                w.mid[n * d..(n + 1) * d].copy_from_slice(&w.x[(r - 1) * d..r * d]);
                wanted.push(out);
            }
        }
        let n = wanted.len();
        norm_rows(
            &mut w.normed[..n * d],
            &w.mid[..n * d],
            self.shape,
            self.plan.norm,
            self.weights.vectors(),
        );
        // results of consecutive segments lie beside each other
        let mut i = 0;
        while i < n {
            let mut j = i + 1;
            while j < n && wanted[j] == wanted[j - 1] + 1 {
                j += 1;
            }
            // SAFETY: rows of these segments alone.
            let out = unsafe { self.logits.block(wanted[i] * v, j - i, v, v) };
            columns_by_packed(out, From::Zero, &w.normed[i * d..j * d], d, self.head);
            i = j;
        }
    }
}
