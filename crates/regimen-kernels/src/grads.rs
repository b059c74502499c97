//! Gradients in one flat vector with the layout of the parameters.

use std::ops::Range;

use crate::par::{self, Shared};
use crate::shape::Layout;
use crate::span::span;

/// Elements that a task sets to 0.
const CHUNK: usize = 1 << 14;

/// Gradients of one optimiser step. With tied embeddings the head's part is kept apart until [`Grads::finish`], so
/// that a step split into micro-batches adds in the same order as a whole one.
#[derive(Clone, Debug)]
pub struct Grads {
    flat: Vec<f32>,
    /// Where the tied head's part goes, and the part.
    head: Option<(usize, Vec<f32>)>,
    /// Whether the head's part was written to.
    with_head: bool,
    /// What was written to since the last [`Grads::zero`]: where most is frozen, most is never touched, and the system
    /// gives no memory for it.
    dirty: Vec<Range<usize>>,
}

impl Grads {
    /// Zero gradients for a layout.
    pub fn new(layout: &Layout) -> Grads {
        let embed = layout.find("model.embed_tokens.weight");
        let head = match (embed, layout.find("lm_head.weight")) {
            (Some(e), None) => Some((e.start, vec![0.0; e.len()])),
            _ => None,
        };
        Grads { flat: vec![0.0; layout.len()], head, with_head: false, dirty: Vec::new() }
    }

    /// Sets everything to 0.
    pub fn zero(&mut self) {
        for range in self.dirty.drain(..) {
            clear(&mut self.flat[range]);
        }
        if let (Some((_, head)), true) = (&mut self.head, self.with_head) {
            clear(head);
        }
        self.with_head = false;
    }

    /// Adds the tied head's part to the embedding. Once per optimiser step, after the last backward pass and before
    /// the gradients are read.
    pub fn finish(&mut self) {
        let (Some((start, head)), true) = (&mut self.head, self.with_head) else { return };
        for (g, h) in self.flat[*start..].iter_mut().zip(head.iter_mut()) {
            *g += *h;
            *h = 0.0;
        }
    }

    /// The gradients, in the layout's order.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// The gradients, mutable (clipping, masks, other sources).
    pub fn flat_mut(&mut self) -> &mut [f32] {
        self.dirty = std::iter::once(0..self.flat.len()).collect();
        &mut self.flat
    }

    /// Announces which ranges a backward pass will write to.
    pub(crate) fn touch(&mut self, ranges: impl Iterator<Item = Range<usize>>) {
        for range in ranges {
            match self.dirty.iter_mut().find(|d| d.end >= range.start && d.start <= range.end) {
                Some(known) => *known = known.start.min(range.start)..known.end.max(range.end),
                None => self.dirty.push(range),
            }
        }
    }

    /// The gradients, for what was announced.
    pub(crate) fn touched_mut(&mut self) -> &mut [f32] {
        &mut self.flat
    }

    pub(crate) fn head_mut(&mut self, start: usize, len: usize) -> &mut [f32] {
        self.with_head = true;
        match &mut self.head {
            Some((_, head)) => head,
            None => &mut self.flat[start..start + len],
        }
    }
}

pub(crate) fn clear(values: &mut [f32]) {
    let (n, shared) = (values.len(), Shared::new(values));
    par::blocks(n, CHUNK, |first, count| {
        let _part = span("clearing");
        // SAFETY: one chunk a task.
        unsafe { shared.part(first, count) }.fill(0.0);
    });
}
