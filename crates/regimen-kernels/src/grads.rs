//! Gradients in one flat vector with the layout of the parameters.

use crate::par::{self, Shared};
use crate::shape::Layout;
use crate::span::span;

/// Elements that a task sets to 0.
const CHUNK: usize = 1 << 16;

/// Gradients of one optimiser step. With tied embeddings the head's part is kept apart until [`Grads::finish`], so
/// that a step split into micro-batches adds in the same order as a whole one.
#[derive(Clone, Debug)]
pub struct Grads {
    flat: Vec<f32>,
    /// Whether anything may have been written since everything was 0.
    written: bool,
    /// Where the tied head's part goes, and the part.
    head: Option<(usize, Vec<f32>)>,
}

impl Grads {
    /// Zero gradients for a layout.
    pub fn new(layout: &Layout) -> Grads {
        let embed = layout.find("model.embed_tokens.weight");
        let head = match (embed, layout.find("lm_head.weight")) {
            (Some(e), None) => Some((e.start, vec![0.0; e.len()])),
            _ => None,
        };
        Grads { flat: vec![0.0; layout.len()], written: false, head }
    }

    /// Sets everything to 0.
    pub fn zero(&mut self) {
        if std::mem::take(&mut self.written) {
            clear(&mut self.flat);
            if let Some((_, head)) = &mut self.head {
                clear(head);
            }
        }
    }

    /// Adds the tied head's part to the embedding. Once per optimiser step, after the last backward pass and before
    /// the gradients are read.
    pub fn finish(&mut self) {
        if let Some((start, head)) = &mut self.head {
            for (g, h) in self.flat[*start..].iter_mut().zip(head.iter_mut()) {
                *g += *h;
                *h = 0.0;
            }
        }
    }

    /// The gradients, in the layout's order.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// The gradients, mutable (clipping, masks, other sources).
    pub fn flat_mut(&mut self) -> &mut [f32] {
        self.written = true;
        &mut self.flat
    }

    pub(crate) fn head_mut(&mut self, start: usize, len: usize) -> &mut [f32] {
        self.written = true;
        match &mut self.head {
            Some((_, head)) => head,
            None => &mut self.flat[start..start + len],
        }
    }
}

fn clear(values: &mut [f32]) {
    let n = values.len();
    let shared = Shared::new(values);
    par::each(n.div_ceil(CHUNK), |_, task| {
        let _part = span("clearing");
        let at = task * CHUNK;
        // SAFETY: one chunk a task.
        unsafe { shared.part(at, CHUNK.min(n - at)) }.fill(0.0);
    });
}
