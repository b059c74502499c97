//! Batched decoding with a key-value cache, with the trainer's bits.

mod pass;

use std::ops::Range;

use crate::attention::padded;
use crate::block::{PackedLayer, pack_head};
use crate::gemm::PackedMatrix;
use crate::par::{self, Shared};
use crate::plan::Plan;
use crate::rope::RopeTable;
use crate::shape::{Layout, Shape};
use pass::Engine;

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
    /// Embedding, norms and biases; the matrices are packed. `local` says where they lie here.
    weights: Vec<f32>,
    local: Plan,
    unpacked: Vec<Range<usize>>,
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
        if plan.positions.is_some() && max_len > shape.max_positions {
            return Err(format!("the model has {} learned positions, not {max_len}", shape.max_positions));
        }
        let mut table = RopeTable::new(&shape.inv_freq());
        table.reach(max_len);
        let (local, unpacked) = plan.without_matrices(shape);
        Ok(Decoding {
            local,
            unpacked,
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

    /// Takes a version of the weights: packs them and frees all slots.
    pub fn load(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.plan.len, "weights have the layout's length");
        self.weights.clear();
        for range in &self.unpacked {
            self.weights.extend_from_slice(&weights[range.clone()]);
        }
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
            plan: &self.local,
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
