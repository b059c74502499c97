//! How a batch is cut for the backward pass.

use std::ops::Range;

use super::Group;
use super::layer::{balanced, joined};
use crate::par::threads;

/// Chunks of consecutive groups of documents, each of which goes down through a layer at once.
#[derive(Default)]
pub(super) struct Cut {
    /// Groups of each chunk.
    pub chunks: Vec<Range<usize>>,
    /// Every chunk is one thread's, side by side with the others'; else all threads share one chunk after the other.
    pub alone: bool,
}

/// What a thread may hold on the way down.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// Rows, about.
    pub rows: usize,
    /// Floats a row.
    pub row: usize,
    /// Gradients of the largest layer's weights: floats that chunks hand on from thread to thread.
    pub weights: usize,
}

impl Cut {
    /// Cuts groups into chunks of about a thread's share of rows, as many for every thread where the groups allow it. Threads
    /// share chunks where they do not, and where gradients that are handed on would be more than what a chunk holds.
    pub fn renew(&mut self, groups: &[Group], share: Share) {
        let all: usize = groups.iter().map(|g| g.rows.len()).sum();
        let group = all.div_ceil(groups.len().max(1)).max(1);
        let each = (share.rows / group).max(1) * group;
        let some = all.div_ceil(each).next_multiple_of(threads());
        let few_weights = threads() == 1 || share.weights <= each * share.row;
        self.alone = few_weights
            && [some, groups.len()].into_iter().any(|count| {
                self.cut(groups, all, count);
                balanced(self.chunks.iter().map(|chunk| rows(groups, chunk)))
            });
        if !self.alone {
            self.cut(groups, all, all.div_ceil(each * threads()));
        }
    }

    /// At most `count` chunks, as equal as the groups allow.
    fn cut(&mut self, groups: &[Group], all: usize, count: usize) {
        self.chunks.clear();
        let (mut first, mut held) = (0, 0);
        for (i, g) in groups.iter().enumerate() {
            held += g.rows.len();
            if held * count >= all * (self.chunks.len() + 1) || i + 1 == groups.len() {
                self.chunks.push(first..i + 1);
                first = i + 1;
            }
        }
    }

    /// Chunks that are under way at the same time.
    pub fn slots(&self) -> usize {
        if self.alone { threads().min(self.chunks.len()) } else { 1 }
    }

    /// Rows of the longest chunk.
    pub fn most(&self, groups: &[Group]) -> usize {
        self.chunks.iter().map(|chunk| rows(groups, chunk)).max().unwrap_or(0)
    }
}

fn rows(groups: &[Group], chunk: &Range<usize>) -> usize {
    joined(&groups[chunk.clone()]).rows.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Team;

    /// Rows of each chunk, and whether each is a thread's own.
    fn cut(threads: usize, rows: &[usize], share: Share) -> (Vec<usize>, bool) {
        let mut start = 0;
        let group = |(i, rows): (usize, &usize)| {
            start += rows;
            Group { documents: i..i + 1, rows: start - rows..start }
        };
        let groups: Vec<Group> = rows.iter().enumerate().map(group).collect();
        let mut cut = Cut::default();
        Team::new(threads).expect("threads").install(|| cut.renew(&groups, share));
        assert_eq!(cut.chunks.first().map(|c| c.start), Some(0));
        assert!(cut.chunks.windows(2).all(|c| c[0].end == c[1].start));
        assert_eq!(cut.chunks.last().map(|c| c.end), Some(groups.len()));
        (cut.chunks.iter().map(|c| super::rows(&groups, c)).collect(), cut.alone)
    }

    #[test]
    fn every_thread_has_as_many_chunks_of_its_own() {
        let share = Share { rows: 256, row: 100, weights: 20_000 };
        assert_eq!(cut(2, &[128; 16], share), (vec![256; 8], true));
        assert_eq!(cut(3, &[128; 12], share), (vec![256; 6], true));
        assert_eq!(cut(4, &[128; 12], share), (vec![128; 12], true));
        let uneven = [160, 120, 120, 120, 120, 160, 120, 120, 120, 120];
        assert_eq!(cut(2, &uneven, Share { rows: 128, weights: 10_000, ..share }), (uneven.to_vec(), true));
    }

    #[test]
    fn threads_share_chunks_of_uneven_groups_and_under_many_weights() {
        let share = Share { rows: 256, row: 100, weights: 20_000 };
        assert_eq!(cut(2, &[128, 900, 128], share), (vec![1028, 128], false));
        assert_eq!(cut(2, &[128; 16], Share { weights: 30_000, ..share }), (vec![512; 4], false));
        assert_eq!(cut(1, &[128; 16], Share { weights: 30_000, ..share }), (vec![256; 8], true));
    }
}
