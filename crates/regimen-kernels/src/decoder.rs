//! The training engine: a whole decoder with explicit forward and backward passes over flat slices.
//!
//! A batch is a flat list of tokens of several documents; attention is causal inside a document and positions start
//! at 0 in each. Every result of a token depends on its own document alone, bit for bit, and gradients add up in
//! token order, so batches may be split between documents at will.

mod backward;
mod chunk;
mod cut;
mod flow;
mod forward;
mod head;
mod layer;
mod parts;
#[cfg(test)]
mod tests;
mod weigh;

use std::ops::Range;

use crate::attention::AttentionScratch;
use crate::block::PackedLayer;
use crate::buffer::grow;
use crate::cross_entropy::RowStats;
use crate::gemm::PackedMatrix;
use crate::plan::Plan;
use crate::rope::RopeTable;
use crate::shape::{Layout, Shape};
use cut::Cut;
use flow::Flow;
use parts::Parts;
use weigh::Weigh;

/// A batch: token ids of all documents behind each other, and where documents start.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Token ids, each below the vocabulary's size.
    pub ids: &'a [u32],
    /// 0, the start of every further document, and `ids.len()` at the end.
    pub starts: &'a [u32],
}

/// The hidden state at flat index `position` predicts `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Flat index into the batch.
    pub position: u32,
    /// Token id.
    pub target: u32,
}

/// Gradients that enter the backward pass; absent parts are 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upstream<'a> {
    /// Of the last [`Decoder::logprobs`], one a pick.
    pub dlogp: Option<&'a [f32]>,
    /// Of the entropies of the last [`Decoder::logprobs`].
    pub dentropy: Option<&'a [f32]>,
    /// Of the last [`Decoder::logits`], [positions, vocab].
    pub dlogits: Option<&'a [f32]>,
    /// Of [`Decoder::hidden`], [ids, width].
    pub dhidden: Option<&'a [f32]>,
}

/// The engine of one shape. Buffers grow to the largest batch seen and are kept.
pub struct Decoder {
    shape: Shape,
    plan: Plan,
    frozen: Vec<bool>,
    checkpointing: bool,
    /// What decides which inputs adapters drop in training.
    dropout: Option<u64>,
    table: RopeTable,
    batch: Batch,
    kept: Kept,
    packed: PackedLayer,
    head: PackedMatrix,
    head_backward: PackedMatrix,
    hidden: Vec<f32>,
    picks: Picks,
    flow: Flow,
    workers: Vec<Worker>,
    limits: Limits,
    /// What of each layer is trained; empty until the next backward pass when that has changed.
    parts: Vec<Parts>,
    /// Tasks of the weight gradients of one layer.
    tasks: Vec<Weigh>,
    cut: Cut,
}

/// How much is held at once; results do not depend on it.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Logits kept between the forward and the backward pass (32 MiB); more are computed again.
    logits: usize,
    /// Logits whose gradients go through the head at once.
    logit_chunk: usize,
    /// Gradients in a chunk of rows, about, for each thread: they should stay in cache until the weights have used
    /// them.
    chunk_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { logits: 1 << 23, logit_chunk: 1 << 21, chunk_bytes: 1 << 20 }
    }
}

/// The last batch.
#[derive(Default)]
struct Batch {
    ids: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
    /// One a row where adapters drop inputs; else none.
    keys: Vec<u64>,
    /// Rows of the longest document.
    longest: usize,
    /// Documents in groups that one thread takes through a layer alone.
    groups: Vec<Group>,
}

/// Consecutive documents and their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    documents: Range<usize>,
    rows: Range<usize>,
}

impl Batch {
    fn len(&self) -> usize {
        self.ids.len()
    }

    /// The dropout keys of some rows.
    fn keys(&self, first: usize, rows: usize) -> &[u64] {
        self.keys.get(first..first + rows).unwrap_or_default()
    }
}

/// Activations of the forward pass, one layer behind the other when they are kept for the backward pass.
#[derive(Default)]
struct Kept {
    /// A backward pass may follow: the residual stream below every layer is there.
    all: bool,
    /// So are the other activations; else they are those of the layer that ran last.
    whole: bool,
    /// Residual stream before each layer and at the end.
    x: Vec<f32>,
    /// Residual stream between attention and feed-forward.
    mid: Vec<f32>,
    qkv: Vec<f32>,
    /// q and k before their norms.
    raw: Vec<f32>,
    att: Vec<f32>,
    lse: Vec<f32>,
    inner: Vec<f32>,
}

/// Picks of the last `logprobs` and positions of the last `logits`.
#[derive(Default)]
struct Picks {
    list: Vec<Pick>,
    temperature: f32,
    stats: Vec<RowStats>,
    logp: Vec<f32>,
    entropy: Vec<f32>,
    /// Rows of hidden states of the picks.
    rows: Vec<f32>,
    /// Logits of the picks, when they are few enough to be kept, then their gradients, then chunks on the way down.
    logits: Vec<f32>,
    logits_kept: bool,
    positions: Vec<u32>,
    /// Hidden states at these positions, and their logits.
    position_rows: Vec<f32>,
    position_logits: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Worker {
    normed: Vec<f32>,
    inner: Vec<f32>,
    dinner: Vec<f32>,
    /// Gradients of adapters' inner states.
    du: Vec<f32>,
    act: Vec<f32>,
    logits: Vec<f32>,
    attention: AttentionScratch,
}

impl Decoder {
    /// An engine for a shape. Says what is impossible about it.
    pub fn new(shape: &Shape, layout: &Layout) -> Result<Decoder, String> {
        let plan = Plan::new(shape, layout)?;
        Ok(Decoder {
            frozen: vec![false; plan.entries.len()],
            checkpointing: false,
            dropout: None,
            table: RopeTable::new(&shape.inv_freq()),
            shape: shape.clone(),
            plan,
            batch: Batch::default(),
            kept: Kept::default(),
            packed: PackedLayer::default(),
            head: PackedMatrix::default(),
            head_backward: PackedMatrix::default(),
            hidden: Vec::new(),
            picks: Picks::default(),
            flow: Flow::default(),
            workers: Vec::new(),
            limits: Limits::default(),
            parts: Vec::new(),
            tasks: Vec::new(),
            cut: Cut::default(),
        })
    }

    /// Entries whose gradient is not wanted, one flag an entry of the layout: no work is done for them.
    pub fn set_frozen(&mut self, frozen: &[bool]) {
        assert_eq!(frozen.len(), self.plan.entries.len(), "one flag an entry");
        if self.frozen != frozen {
            self.frozen.copy_from_slice(frozen);
            self.parts.clear();
        }
    }

    /// Keeps the residual stream below every layer alone and computes the other activations again in the backward pass
    /// (Chen et al. 2016): less memory, more work, the same bits.
    pub fn set_checkpointing(&mut self, on: bool) {
        self.checkpointing = on;
    }

    /// Where adapters have a dropout: what decides which inputs they drop in the next training passes. Without a key, and
    /// in [`Decoder::forward_only`], nothing is dropped.
    pub fn set_dropout(&mut self, key: Option<u64>) {
        self.dropout = key;
    }

    /// Hidden states of the last forward pass behind the final norm, [ids, width].
    pub fn hidden(&self) -> &[f32] {
        &self.hidden[..self.batch.len() * self.shape.width]
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_frozen(&self, start: usize) -> bool {
        self.plan.entries.iter().position(|r| r.contains(&start)).is_some_and(|i| self.frozen[i])
    }
}
