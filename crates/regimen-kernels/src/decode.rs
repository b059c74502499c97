//! Batched decoding with a key-value cache, with the trainer's bits.

use crate::attention::{KeysValues, attend, attend_one, padded};
use crate::block::{FeedScratch, PackedLayer, feed_forward, norm_rows, pack_head, project_out, project_qkv};
use crate::gemm::{From, PackedMatrix, rows_by_packed};
use crate::par::{self, Shared};
use crate::plan::Plan;
use crate::rope::RopeTable;
use crate::shape::{Layout, Shape};
use crate::simd::LANES;

/// Rows a task takes through all layers at once.
const TASK_ROWS: usize = 112;

/// A decoder with one cache a slot. Slots are independent: what a slot computes does not depend on the others.
pub struct Decoding {
    shape: Shape,
    plan: Plan,
    table: RopeTable,
    max_len: usize,
    layers: Vec<PackedLayer>,
    head: PackedMatrix,
    weights: Vec<f32>,
    slots: Vec<Slot>,
    logits: Vec<f32>,
    workers: Vec<Worker>,
}

/// Keys as panels [layer][head][pos / 16][head_dim][16], values as rows [layer][head][pos][head_dim].
#[derive(Default)]
struct Slot {
    len: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    prompt_logits: Vec<f32>,
}

#[derive(Default)]
struct Worker {
    x: Vec<f32>,
    mid: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    att: Vec<f32>,
    inner: Vec<f32>,
    act: Vec<f32>,
    scores: Vec<f32>,
    positions: Vec<u32>,
}

/// New tokens of one slot.
struct Segment<'a> {
    slot: usize,
    ids: &'a [u32],
    /// Row of the result for the last token, if it is wanted.
    out: Option<usize>,
}

impl Decoding {
    /// `slots` sequences of at most `max_len` tokens. Says what is impossible about the shape.
    pub fn new(shape: &Shape, layout: &Layout, slots: usize, max_len: usize) -> Result<Decoding, String> {
        let plan = Plan::new(shape, layout)?;
        let mut table = RopeTable::new(&shape.inv_freq());
        table.reach(max_len);
        Ok(Decoding {
            table,
            max_len,
            layers: vec![PackedLayer::default(); shape.layers],
            head: PackedMatrix::default(),
            weights: Vec::new(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            logits: Vec::new(),
            workers: Vec::new(),
            shape: shape.clone(),
            plan,
        })
    }

    /// Other rotary frequencies (scaled variants), as [`crate::Decoder::set_inv_freq`].
    pub fn set_inv_freq(&mut self, inv_freq: &[f32]) {
        assert!(inv_freq.len() <= self.shape.head_dim / 2, "at most one frequency a pair");
        self.table = RopeTable::new(inv_freq);
        self.table.reach(self.max_len);
    }

    /// Takes a version of the weights: packs them and frees all slots.
    pub fn load(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.plan.len, "weights have the layout's length");
        self.weights.clear();
        self.weights.extend_from_slice(weights);
        for (packed, at) in self.layers.iter_mut().zip(&self.plan.layers) {
            packed.pack(&self.shape, at, weights, false);
        }
        pack_head(&mut self.head, weights, self.plan.head, self.shape.vocab, self.shape.width, false);
        self.slots.iter_mut().for_each(|s| s.len = 0);
    }

    /// Slots.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Tokens a slot holds.
    pub fn len(&self, slot: usize) -> usize {
        self.slots[slot].len
    }

    /// Whether a slot holds no token.
    pub fn is_empty(&self, slot: usize) -> bool {
        self.slots[slot].len == 0
    }

    /// Forgets a slot's tokens.
    pub fn free(&mut self, slot: usize) {
        self.slots[slot].len = 0;
    }

    /// Appends tokens to slots (each slot at most once) and computes the logits after each slot's last token.
    pub fn prefill(&mut self, prompts: &[(usize, &[u32])]) {
        let segments: Vec<Segment> = prompts
            .iter()
            .enumerate()
            .map(|(i, (slot, ids))| Segment { slot: *slot, ids, out: Some(i) })
            .collect();
        self.run(&segments);
        let v = self.shape.vocab;
        for (i, (slot, ids)) in prompts.iter().enumerate() {
            if !ids.is_empty() {
                let kept = &mut self.slots[*slot].prompt_logits;
                kept.clear();
                kept.extend_from_slice(&self.logits[i * v..(i + 1) * v]);
            }
        }
    }

    /// Logits after the last token that [`Decoding::prefill`] gave the slot.
    pub fn prompt_logits(&self, slot: usize) -> &[f32] {
        &self.slots[slot].prompt_logits
    }

    /// Makes slot `to` a copy of slot `from`: a group shares one prefill.
    pub fn share(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        self.reserve(to);
        let (s, max) = (&self.shape, padded(self.max_len));
        let [from, to] = self.slots.get_disjoint_mut([from, to]).expect("slots in range");
        to.len = from.len;
        to.prompt_logits.clone_from(&from.prompt_logits);
        let each = max * s.head_dim;
        for head in 0..s.layers * s.kv_heads {
            let (keys, values) = (padded(from.len) * s.head_dim, from.len * s.head_dim);
            let at = head * each;
            to.keys[at..at + keys].copy_from_slice(&from.keys[at..at + keys]);
            to.values[at..at + values].copy_from_slice(&from.values[at..at + values]);
        }
    }

    /// Appends one token to each slot (each slot at most once): logits [rows, vocab] after it.
    pub fn step(&mut self, rows: &[(usize, u32)]) -> &[f32] {
        let ids: Vec<u32> = rows.iter().map(|r| r.1).collect();
        let segments: Vec<Segment> = rows
            .iter()
            .enumerate()
            .map(|(i, (slot, _))| Segment { slot: *slot, ids: &ids[i..=i], out: Some(i) })
            .collect();
        self.run(&segments);
        &self.logits[..rows.len() * self.shape.vocab]
    }

    fn reserve(&mut self, slot: usize) {
        let s = &self.shape;
        let len = s.layers * s.kv_heads * padded(self.max_len) * s.head_dim;
        let slot = &mut self.slots[slot];
        if slot.keys.is_empty() {
            (slot.keys, slot.values) = (vec![0.0; len], vec![0.0; len]);
        }
    }

    fn run(&mut self, segments: &[Segment]) {
        assert!(!self.weights.is_empty(), "weights are loaded before tokens");
        let mut seen = vec![false; self.slots.len()];
        for s in segments {
            assert!(!std::mem::replace(&mut seen[s.slot], true), "each slot at most once a call");
            assert!(self.slots[s.slot].len + s.ids.len() <= self.max_len, "a slot's tokens fit in max_len");
            assert!(s.ids.iter().all(|id| (*id as usize) < self.shape.vocab), "ids lie in the vocabulary");
            self.reserve(s.slot);
        }
        let rows: usize = segments.iter().map(|s| s.ids.len()).sum();
        self.logits.resize((segments.len() * self.shape.vocab).max(self.logits.len()), 0.0);
        self.workers.resize_with(self.workers.len().max(par::threads()), Worker::default);
        // segments are independent: each task takes some of them through all layers
        let share = rows.div_ceil(par::threads()).clamp(1, TASK_ROWS);
        let tasks = split(segments, share);
        let (slots, logits, workers) =
            (Shared::new(&mut self.slots), Shared::new(&mut self.logits), Shared::new(&mut self.workers));
        let engine = Engine {
            shape: &self.shape,
            plan: &self.plan,
            table: &self.table,
            layers: &self.layers,
            head: &self.head,
            weights: &self.weights,
            each: padded(self.max_len) * self.shape.head_dim,
            slots,
            logits,
        };
        par::each(tasks.len(), |worker, task| {
            // SAFETY: one worker's buffers.
            let w = unsafe { &mut workers.part(worker, 1)[0] };
            engine.task(w, &segments[tasks[task].clone()]);
        });
    }
}

/// Groups consecutive segments so that a group has about `share` rows.
fn split(segments: &[Segment], share: usize) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let (mut first, mut rows) = (0, 0);
    for (i, s) in segments.iter().enumerate() {
        if rows > 0 && rows + s.ids.len() > share {
            out.push(first..i);
            (first, rows) = (i, 0);
        }
        rows += s.ids.len();
    }
    if first < segments.len() {
        out.push(first..segments.len());
    }
    out
}

struct Engine<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    table: &'a RopeTable,
    layers: &'a [PackedLayer],
    head: &'a PackedMatrix,
    weights: &'a [f32],
    /// Floats of one head's keys (or values) in a slot.
    each: usize,
    slots: Shared<'a, Slot>,
    logits: Shared<'a>,
}

impl Engine<'_> {
    /// Takes segments through all layers: together when they are short, a long one in pieces.
    fn task(&self, w: &mut Worker, segments: &[Segment]) {
        let rows: usize = segments.iter().map(|s| s.ids.len()).sum();
        if rows <= TASK_ROWS {
            self.pass(w, segments);
            return;
        }
        for s in segments {
            let last = s.ids.len().div_ceil(TASK_ROWS).saturating_sub(1);
            for (i, ids) in s.ids.chunks(TASK_ROWS).enumerate() {
                self.pass(w, &[Segment { slot: s.slot, ids, out: if i == last { s.out } else { None } }]);
            }
        }
    }

    fn pass(&self, w: &mut Worker, segments: &[Segment]) {
        let (s, d) = (self.shape, self.shape.width);
        let rows: usize = segments.iter().map(|s| s.ids.len()).sum();
        if rows == 0 {
            return;
        }
        self.enter(w, segments, rows);
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
                &packed.qkv,
                self.weights,
                &w.positions,
                self.table,
            );
            let mut r = 0;
            for segment in segments {
                // SAFETY: a slot belongs to one segment, a segment to one task.
                let slot = unsafe { &mut self.slots.part(segment.slot, 1)[0] };
                let n = segment.ids.len();
                self.attend_segment(
                    slot,
                    l,
                    &qkv[r * s.qkv_width()..],
                    &mut att[r * s.q_width()..],
                    n,
                    &mut w.scores,
                );
                r += n;
            }
            project_out(mid, x, att, rows, s, &packed.o);
            let scratch = FeedScratch { normed: &mut w.normed, inner: &mut w.inner, act: &mut w.act };
            feed_forward(x, mid, rows, scratch, s, at, packed, self.weights);
        }
        self.leave(w, segments, d);
    }

    fn enter(&self, w: &mut Worker, segments: &[Segment], rows: usize) {
        let (s, d) = (self.shape, self.shape.width);
        let longest = segments
            .iter()
            .map(|s| unsafe { self.slots.read(s.slot, 1)[0].len } + s.ids.len())
            .max()
            .unwrap_or(0);
        for (buffer, width) in [
            (&mut w.x, d),
            (&mut w.mid, d),
            (&mut w.normed, d),
            (&mut w.qkv, s.qkv_width()),
            (&mut w.att, s.q_width()),
            (&mut w.inner, s.inner_width()),
            (&mut w.act, s.ffn),
        ] {
            buffer.resize(buffer.len().max(rows * width), 0.0);
        }
        w.scores.resize(w.scores.len().max(s.heads.max(LANES) * padded(longest)), 0.0);
        w.positions.clear();
        let table = &self.weights[self.plan.embed..];
        let mut r = 0;
        for segment in segments {
            // SAFETY: a slot belongs to one segment, a segment to one task.
            let len = unsafe { self.slots.read(segment.slot, 1)[0].len };
            for (i, &id) in segment.ids.iter().enumerate() {
                w.x[r * d..(r + 1) * d].copy_from_slice(&table[id as usize * d..][..d]);
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
            let kv = KeysValues { k_panels: keys, v_rows: values, v_row: hd };
            for h in head * group..(head + 1) * group {
                attend(&mut att[h * hd..], s.q_width(), &qkv[h * hd..], w, n, slot.len, hd, kv, scores, None);
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
        let mut wanted = Vec::with_capacity(segments.len());
        for segment in segments {
            // SAFETY: a slot belongs to one segment, a segment to one task.
            unsafe { self.slots.part(segment.slot, 1)[0].len += segment.ids.len() };
            r += segment.ids.len();
            if let (Some(out), true) = (segment.out, r > 0 && !segment.ids.is_empty()) {
                let n = wanted.len();
                w.mid[n * d..(n + 1) * d].copy_from_slice(&w.x[(r - 1) * d..r * d]);
                wanted.push(out);
            }
        }
        let n = wanted.len();
        norm_rows(&mut w.normed[..n * d], &w.mid[..n * d], self.shape, self.plan.norm, self.weights);
        // results of consecutive segments lie beside each other
        let mut i = 0;
        while i < n {
            let mut j = i + 1;
            while j < n && wanted[j] == wanted[j - 1] + 1 {
                j += 1;
            }
            // SAFETY: rows of these segments alone.
            let out = unsafe { self.logits.part(wanted[i] * v, (j - i) * v) };
            rows_by_packed(out, v, From::Zero, &w.normed[i * d..j * d], d, j - i, self.head, 0, v);
            i = j;
        }
    }
}
