//! Batched decoding with a key-value cache, with the trainer's bits.

mod pass;

use std::ops::Range;

use crate::attention::padded;
use crate::block::{PackedLayer, pack_head};
use crate::buffer::grow;
use crate::gemm::PackedMatrix;
use crate::half::Half;
use crate::pack::Held;
use crate::par::{self, Crew, Shared};
use crate::plan::Plan;
use crate::rope::RopeTable;
use crate::shape::{Layout, Shape};
use crate::simd::LANES;
use crate::weights::{Matrix, Weights};
use pass::Engine;

/// Rows a task takes through all layers at once.
const TASK_ROWS: usize = 112;

/// More weights than the caches hold (8 MiB): threads that each take some rows through all layers would each read all of
/// them.
const SHARED_FROM: usize = 1 << 21;

/// So few rows that reading the weights is most of the work. With more, threads that work on rows of their own share norms and
/// activations too.
const SHARED_ROWS: usize = 32;

/// A decoder with one cache a slot. Slots are independent: what a slot computes does not depend on the others.
pub struct Decoding {
    shape: Shape,
    plan: Plan,
    table: RopeTable,
    max_len: usize,
    layers: Vec<PackedLayer>,
    head: PackedMatrix,
    own: Own,
    /// Where they lie there.
    local: Plan,
    unpacked: Vec<Range<usize>>,
    slots: Vec<Slot>,
    logits: Vec<f32>,
    workers: Vec<Worker>,
    /// Scratch of attention, one a thread.
    scores: Vec<Vec<f32>>,
    call: Call,
    /// Weights from which on all threads share each product of a call with few rows, instead of its rows; results do not
    /// depend on it.
    pub(crate) shared_from: usize,
}

/// Embedding, norms and biases; the other matrices are packed.
#[derive(Default)]
struct Own {
    flat: Vec<f32>,
    /// The embedding, which lies first, where it is in 16 bits. Its place in `flat` is never touched then, and the
    /// system gives no memory for it.
    half: Option<(Half, Vec<u16>)>,
}

impl Own {
    /// Copies what lies at `ranges`: the embedding, then vectors.
    fn load(&mut self, weights: Weights<'_>, ranges: &[Range<usize>]) {
        grow(&mut self.flat, ranges.iter().map(Range::len).sum());
        match weights.matrix(ranges[0].clone()) {
            Matrix::Full(numbers) => {
                self.half = None;
                self.flat[..numbers.len()].copy_from_slice(numbers);
            }
            Matrix::Half(half, bits) => {
                let (format, own) = self.half.get_or_insert((half, Vec::new()));
                *format = half;
                own.clear();
                own.extend_from_slice(bits);
            }
        }
        let mut at = ranges[0].len();
        for range in &ranges[1..] {
            self.flat[at..at + range.len()].copy_from_slice(&weights.vectors()[range.clone()]);
            at += range.len();
        }
    }

    fn weights(&self) -> Weights<'_> {
        match &self.half {
            Some((half, bits)) => Weights::with_half(&self.flat, *half, bits),
            None => Weights::from(&self.flat),
        }
    }
}

/// What one call works on; the buffers are kept.
#[derive(Default)]
struct Call {
    ids: Vec<u32>,
    segments: Vec<Segment>,
    /// Which slots have a segment.
    seen: Vec<bool>,
    /// Segments a thread takes through all layers.
    tasks: Vec<Range<usize>>,
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
    positions: Vec<u32>,
    /// Rows of the logits that a pass computes.
    wanted: Vec<usize>,
}

/// New tokens of one slot: `len` of the call's ids from `first` on.
#[derive(Clone, Copy)]
struct Segment {
    slot: usize,
    first: usize,
    len: usize,
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
            own: Own::default(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            logits: Vec::new(),
            workers: Vec::new(),
            scores: Vec::new(),
            call: Call::default(),
            shared_from: SHARED_FROM,
            shape: shape.clone(),
            plan,
        })
    }

    /// Takes a version of the weights: packs them and frees all slots.
    pub fn load<'w>(&mut self, weights: impl Into<Weights<'w>>) {
        let weights = weights.into();
        assert_eq!(weights.len(), self.plan.len, "weights have the layout's length");
        self.own.load(weights, &self.unpacked);
        for (packed, at) in self.layers.iter_mut().zip(&self.plan.layers) {
            packed.pack(&self.shape, at, weights, false, Held::AsItIs);
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
        self.run(prompts.iter().map(|(slot, ids)| (*slot, *ids)));
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
        self.run(rows.iter().map(|(slot, id)| (*slot, std::slice::from_ref(id))));
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

    /// Takes new tokens of slots through all layers; row i of the logits belongs to the i-th slot.
    fn run<'a>(&mut self, new: impl Iterator<Item = (usize, &'a [u32])>) {
        assert!(!self.own.flat.is_empty(), "weights are loaded before tokens");
        let mut call = std::mem::take(&mut self.call);
        call.take(new, self.slots.len());
        for s in &call.segments {
            assert!(self.slots[s.slot].len + s.len <= self.max_len, "a slot's tokens fit in max_len");
            self.reserve(s.slot);
        }
        assert!(call.ids.iter().all(|id| (*id as usize) < self.shape.vocab), "ids lie in the vocabulary");
        self.logits.resize((call.segments.len() * self.shape.vocab).max(self.logits.len()), 0.0);
        self.workers.resize_with(self.workers.len().max(par::threads()), Worker::default);
        // segments are independent: each task takes some of them through all layers, alone or with all threads
        let together = call.ids.len() <= SHARED_ROWS && self.plan.len >= self.shared_from;
        let share =
            if together { SHARED_ROWS } else { call.ids.len().div_ceil(par::threads()).clamp(1, TASK_ROWS) };
        split(&call.segments, share, &mut call.tasks);
        let (rows, longest) = call.largest(&self.slots);
        for worker in &mut self.workers {
            worker.reserve(&self.shape, rows);
        }
        self.scores.resize_with(self.workers.len(), Vec::new);
        for scores in &mut self.scores {
            scores.resize(scores.len().max(self.shape.heads.max(LANES) * padded(longest)), 0.0);
        }
        let (slots, logits, workers) =
            (Shared::new(&mut self.slots), Shared::new(&mut self.logits), Shared::new(&mut self.workers));
        let engine = Engine {
            shape: &self.shape,
            plan: &self.local,
            table: &self.table,
            layers: &self.layers,
            head: &self.head,
            weights: self.own.weights(),
            each: padded(self.max_len) * self.shape.head_dim,
            ids: &call.ids,
            slots,
            logits,
            scores: Shared::new(&mut self.scores),
        };
        let go = |crew: Crew, worker: usize, task: usize| {
            // SAFETY: one worker's buffers.
            let w = unsafe { &mut workers.part(worker, 1)[0] };
            engine.task(crew, w, &call.segments[call.tasks[task].clone()]);
        };
        if together {
            (0..call.tasks.len()).for_each(|task| go(Crew::All, 0, task));
        } else {
            par::each(call.tasks.len(), |worker, task| go(Crew::Alone(worker), worker, task));
        }
        self.call = call;
    }
}

impl Call {
    /// Most rows of one pass, and most tokens of a slot after it.
    fn largest(&self, slots: &[Slot]) -> (usize, usize) {
        let rows = |task: &Range<usize>| self.segments[task.clone()].iter().map(|s| s.len).sum::<usize>();
        let rows = self.tasks.iter().map(|task| rows(task).min(TASK_ROWS)).max();
        let longest = self.segments.iter().map(|s| slots[s.slot].len + s.len).max();
        (rows.unwrap_or(0), longest.unwrap_or(0))
    }

    /// Lays the new tokens of slots end to end.
    fn take<'a>(&mut self, new: impl Iterator<Item = (usize, &'a [u32])>, slots: usize) {
        self.ids.clear();
        self.segments.clear();
        self.seen.clear();
        self.seen.resize(slots, false);
        for (slot, ids) in new {
            assert!(!std::mem::replace(&mut self.seen[slot], true), "each slot at most once a call");
            let (first, out) = (self.ids.len(), Some(self.segments.len()));
            self.segments.push(Segment { slot, first, len: ids.len(), out });
            self.ids.extend_from_slice(ids);
        }
    }
}

/// Groups consecutive segments so that a group has about `share` rows.
fn split(segments: &[Segment], share: usize, tasks: &mut Vec<Range<usize>>) {
    tasks.clear();
    let (mut first, mut rows) = (0, 0);
    for (i, s) in segments.iter().enumerate() {
        if rows > 0 && rows + s.len > share {
            tasks.push(first..i);
            (first, rows) = (i, 0);
        }
        rows += s.len;
    }
    if first < segments.len() {
        tasks.push(first..segments.len());
    }
}
