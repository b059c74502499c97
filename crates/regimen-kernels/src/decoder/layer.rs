//! One layer's forward pass over a range of whole documents, by one thread or by all.

use std::ops::Range;

use super::{Batch, Group, Worker};
use crate::attention::{self, HeadGroup};
use crate::block::{FeedScratch, PackedLayer, feed_forward, feed_inner, feed_norm, project_out, project_qkv};
use crate::gemm::ROW_BLOCK;
use crate::par::{Crew, Shared, threads};
use crate::plan::LayerAt;
use crate::rope::RopeTable;
use crate::shape::Shape;

/// Everything a layer reads and writes.
pub(super) struct Layer<'a> {
    pub shape: &'a Shape,
    pub at: &'a LayerAt,
    pub packed: &'a PackedLayer,
    pub weights: &'a [f32],
    pub table: &'a RopeTable,
    pub batch: &'a Batch,
    pub keep: bool,
    /// The residual stream above the layer is there already and is not wanted.
    pub again: bool,
    /// First row of the residual stream below the layer.
    pub level: usize,
    /// First row of the residual stream above the layer.
    pub above: usize,
    /// First row of the layer's other activations.
    pub own: usize,
    pub x: Shared<'a>,
    pub mid: Shared<'a>,
    pub qkv: Shared<'a>,
    pub raw: Shared<'a>,
    pub att: Shared<'a>,
    pub lse: Shared<'a>,
    pub inner: Shared<'a>,
    pub workers: Shared<'a, Worker>,
}

/// First row and number of rows of one of `count` equal blocks.
pub(super) fn block(rows: &Range<usize>, count: usize, task: usize) -> (usize, usize) {
    let high = rows.len().div_ceil(count);
    let start = (rows.start + task * high).min(rows.end);
    (start, high.min(rows.end - start))
}

/// Into how many blocks a crew cuts rows: at most [`ROW_BLOCK`] each, and as many for every thread.
pub(super) fn blocks(crew: Crew, rows: &Range<usize>) -> usize {
    let share = match crew {
        Crew::All => threads(),
        Crew::Alone(_) => 1,
    };
    rows.len().div_ceil(ROW_BLOCK).next_multiple_of(share).max(1)
}

impl Layer<'_> {
    /// The whole layer for a group of documents.
    pub fn run(&self, crew: Crew, group: &Group) {
        self.queries_keys_values(crew, &group.rows);
        self.attend(crew, &group.documents);
        self.rest(crew, &group.rows);
    }

    fn queries_keys_values(&self, crew: Crew, all: &Range<usize>) {
        let s = self.shape;
        let (d, w, rw) = (s.width, s.qkv_width(), s.q_width() + s.kv_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (below, row) = (self.level + r, self.own + r);
            // SAFETY: one worker's buffers; one block of rows a task.
            unsafe {
                let scratch = &mut self.workers.part(worker, 1)[0];
                project_qkv(
                    self.qkv.part(row * w, rows * w),
                    (s.qk_norm && self.keep).then(|| self.raw.part(row * rw, rows * rw)),
                    self.x.read(below * d, rows * d),
                    &mut scratch.normed,
                    s,
                    self.at,
                    self.packed,
                    self.weights,
                    &self.batch.positions[r..r + rows],
                    self.table,
                    self.batch.keys(r, rows),
                );
            }
        });
    }

    fn attend(&self, crew: Crew, documents: &Range<usize>) {
        let (s, starts) = (self.shape, &self.batch.starts);
        let (w, a, heads) = (s.qkv_width(), s.q_width(), s.heads);
        crew.each(documents.len() * s.kv_heads, |worker, task| {
            let (doc, head) = (documents.start + task / s.kv_heads, task % s.kv_heads);
            let g = HeadGroup::new(s, head, (starts[doc + 1] - starts[doc]) as usize);
            if g.rows == 0 {
                return;
            }
            let row = self.own + starts[doc] as usize;
            let column = head * g.group * g.head_dim;
            // SAFETY: one worker's buffers; tasks write disjoint heads of disjoint rows; qkv is not written meanwhile.
            unsafe {
                let scratch = &mut self.workers.part(worker, 1)[0].attention;
                let qkv = self.qkv.read(row * w, g.rows * w);
                let out = self.att.block(row * a + column, g.rows, a, g.group * g.head_dim);
                let lse = self.lse.block(row * heads + head * g.group, g.rows, heads, g.group);
                attention::forward(scratch, g, qkv, out, Some(lse));
            }
        });
    }

    fn rest(&self, crew: Crew, all: &Range<usize>) {
        let s = self.shape;
        let (d, a, iw) = (s.width, s.q_width(), s.inner_width());
        let count = blocks(crew, all);
        crew.each(count, |worker, task| {
            let (r, rows) = block(all, count, task);
            let (below, row) = (self.level + r, self.own + r);
            // SAFETY: one worker's buffers; one block of rows a task. Without keeping, x's rows are read before they
            // are overwritten: the two slices are not alive together.
            unsafe {
                let w = &mut self.workers.part(worker, 1)[0];
                let mid = self.mid.part(row * d, rows * d);
                let att = self.att.read(row * a, rows * a);
                let x = self.x.read(below * d, rows * d);
                let keys = self.batch.keys(r, rows);
                project_out(mid, x, att, s, self.at, self.packed, self.weights, keys);
                feed_norm(&mut w.normed, x, mid, s, self.at, self.weights);
                let inner =
                    if self.keep { self.inner.part(row * iw, rows * iw) } else { &mut w.inner[..rows * iw] };
                let mut scratch = FeedScratch { normed: &mut w.normed, inner, act: &mut w.act, keys };
                if self.again {
                    feed_inner(rows, &mut scratch, s, self.at, self.packed, self.weights);
                    return;
                }
                let y = self.x.part((self.above + r) * d, rows * d);
                feed_forward(y, mid, rows, scratch, s, self.at, self.packed, self.weights);
            }
        });
    }
}

/// Groups consecutive documents to at most about a block of rows each: where documents allow it, equal groups and as many for
/// every thread.
pub(super) fn group_documents(starts: &[u32], groups: &mut Vec<Group>) {
    groups.clear();
    let all = starts.last().map_or(0, |end| *end as usize);
    let count = all.div_ceil(ROW_BLOCK).next_multiple_of(threads());
    let mut first = 0;
    for doc in 0..starts.len() - 1 {
        let end = starts[doc + 1] as usize;
        if end * count >= all * (groups.len() + 1) || doc + 2 == starts.len() {
            groups.push(Group { documents: first..doc + 1, rows: starts[first] as usize..end });
            first = doc + 1;
        }
    }
}

/// More threads than this share the loads of so many.
const MOST_THREADS: usize = 64;

/// Whether threads that take a piece of so many rows each, in order, end at about the same time.
pub(super) fn balanced(pieces: impl Iterator<Item = usize>) -> bool {
    let mut loads = [0; MOST_THREADS];
    let loads = &mut loads[..threads().min(MOST_THREADS)];
    for rows in pieces {
        if let Some(least) = loads.iter_mut().min() {
            *least += rows;
        }
    }
    let (most, all) = (loads.iter().max().copied().unwrap_or(0), loads.iter().sum::<usize>());
    most * loads.len() * 10 <= all * 11
}

/// One group of all documents of several consecutive groups.
pub(super) fn joined(groups: &[Group]) -> Group {
    let (first, last) = (&groups[0], &groups[groups.len() - 1]);
    Group { documents: first.documents.start..last.documents.end, rows: first.rows.start..last.rows.end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Team;

    /// Rows of each group of documents of these lengths.
    fn rows(threads: usize, lengths: &[u32]) -> Vec<usize> {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        let mut groups = Vec::new();
        Team::new(threads).expect("threads").install(|| group_documents(&starts, &mut groups));
        assert!(groups.windows(2).all(|g| g[0].documents.end == g[1].documents.start));
        assert_eq!(groups.last().map_or(0, |g| g.documents.end), lengths.len());
        groups.iter().map(|g| g.rows.len()).collect()
    }

    #[test]
    fn groups_are_equal_and_as_many_for_every_thread() {
        assert_eq!(rows(2, &[64; 8]), [128; 4]);
        assert_eq!(rows(2, &[256; 3]), [256; 3]);
        assert_eq!(rows(2, &[13; 64]), [104; 8]);
        assert_eq!(rows(3, &[10; 15]), [50; 3]);
        assert_eq!(rows(1, &[7, 0, 9, 0]), [16, 0]);
        assert_eq!(rows(4, &[]), [0; 0]);
    }
}
