//! The vocabulary head: log-probabilities and logits of picked rows, and their gradients.

use super::chunk::write_panels;
use super::{Decoder, Pick, Upstream, grow};
use crate::block::pack_head;
use crate::cross_entropy::{BLOCK, RowGrad, RowStats, row_backward, row_stats};
use crate::gemm::{From, ROW_BLOCK, rows_by_packed};
use crate::grads::Grads;
use crate::par::{self, Block, Shared};
use crate::simd::LANES;
use crate::span::span;
use crate::strips::{STRIP, TASK_STRIPS, apart, tn_strips, write_strips};
use crate::weights::Weights;

/// Columns of the vocabulary that a task holds at once.
const VOCAB_CHUNK: usize = 4 * BLOCK;
/// Rows of logits of a task: fewer than elsewhere, they are wide.
const HEAD_ROWS: usize = ROW_BLOCK / 2;

impl Decoder {
    /// log p of every pick's target under softmax(logits / temperature) and, if wanted, the entropies (empty
    /// otherwise). Never holds more than 32 MiB of logits beside one chunk a thread.
    pub fn logprobs<'w>(
        &mut self,
        weights: impl Into<Weights<'w>>,
        picks: &[Pick],
        temperature: f32,
        want_entropy: bool,
    ) -> (&[f32], &[f32]) {
        let (n, d, v) = (self.batch.len(), self.shape.width, self.shape.vocab);
        assert!(
            picks.iter().all(|p| (p.position as usize) < n && (p.target as usize) < v),
            "picks lie in the batch"
        );
        pack_head(&mut self.head, weights.into(), self.plan.head, v, d, false);
        let p = &mut self.picks;
        p.list.clear();
        p.list.extend_from_slice(picks);
        p.temperature = temperature;
        p.logits_kept = picks.len() * v <= self.limits.logits;
        gather(&mut p.rows, &self.hidden, d, picks.iter().map(|p| p.position));
        p.stats.clear();
        p.stats.resize(picks.len(), RowStats::EMPTY);
        grow(&mut p.logp, picks.len());
        grow(&mut p.entropy, picks.len());
        if p.logits_kept {
            grow(&mut p.logits, picks.len() * v);
        }
        let (kept, rows_in, head) = (p.logits_kept, &p.rows, &self.head);
        let (logits, stats, logp, entropy) = (
            Shared::new(&mut p.logits),
            Shared::new(&mut p.stats),
            Shared::new(&mut p.logp),
            Shared::new(&mut p.entropy),
        );
        let workers = Shared::new(&mut self.workers);
        par::each(picks.len().div_ceil(HEAD_ROWS), |worker, task| {
            let (r, rows) = (task * HEAD_ROWS, HEAD_ROWS.min(picks.len() - task * HEAD_ROWS));
            // SAFETY: one worker's buffers; one block of rows a task.
            let (w, stats, logp, entropy) = unsafe {
                (
                    &mut workers.part(worker, 1)[0],
                    stats.part(r, rows),
                    logp.part(r, rows),
                    entropy.part(r, rows),
                )
            };
            let _part = span("head");
            let x = &rows_in[r * d..(r + rows) * d];
            for first in (0..v).step_by(VOCAB_CHUNK) {
                let width = VOCAB_CHUNK.min(v - first);
                let mut out = if kept {
                    // SAFETY: one block of rows a task.
                    unsafe { logits.block(r * v + first, rows, v, width) }
                } else {
                    grow(&mut w.logits, rows * width);
                    Block::new(&mut w.logits, rows, width, width)
                };
                rows_by_packed(out.columns(0, width), From::Zero, x, d, head, first);
                for (i, stat) in stats.iter_mut().enumerate() {
                    let row = out.row(i);
                    row_stats(stat, row, temperature);
                    let target = picks[r + i].target as usize;
                    if (first..first + width).contains(&target) {
                        logp[i] = row[target - first] / temperature;
                    }
                }
            }
            for ((stat, logp), entropy) in stats.iter().zip(logp).zip(entropy) {
                *logp = stat.logprob(*logp);
                *entropy = stat.entropy();
            }
        });
        let count = picks.len();
        (&self.picks.logp[..count], if want_entropy { &self.picks.entropy[..count] } else { &[] })
    }

    /// Logits of the hidden states at flat indices `positions`, [positions, vocab].
    pub fn logits<'w>(&mut self, weights: impl Into<Weights<'w>>, positions: &[u32]) -> &[f32] {
        let (d, v) = (self.shape.width, self.shape.vocab);
        pack_head(&mut self.head, weights.into(), self.plan.head, v, d, false);
        let p = &mut self.picks;
        p.positions.clear();
        p.positions.extend_from_slice(positions);
        gather(&mut p.position_rows, &self.hidden, d, positions.iter().copied());
        grow(&mut p.position_logits, positions.len() * v);
        crate::gemm::by_packed(
            &mut p.position_logits[..positions.len() * v],
            &p.position_rows,
            positions.len(),
            &self.head,
            false,
        );
        &p.position_logits[..positions.len() * v]
    }

    /// Writes d(loss)/d(hidden) to `flow.dhidden` and adds the head's weight gradient.
    pub(super) fn head_backward(&mut self, weights: Weights<'_>, up: &Upstream, grads: &mut Grads) {
        let (n, d, v) = (self.batch.len(), self.shape.width, self.shape.vocab);
        grow(&mut self.flow.dhidden, n * d);
        match up.dhidden {
            Some(given) => {
                assert_eq!(given.len(), n * d, "dhidden is [ids, width]");
                self.flow.dhidden[..n * d].copy_from_slice(given);
            }
            None => self.flow.dhidden[..n * d].fill(0.0),
        }
        let with_picks = (up.dlogp.is_some() || up.dentropy.is_some()) && !self.picks.list.is_empty();
        let with_logits = up.dlogits.is_some() && !self.picks.positions.is_empty();
        if !(with_picks || with_logits) {
            return;
        }
        let mut backward_head = std::mem::take(&mut self.head_backward);
        pack_head(&mut backward_head, weights, self.plan.head, v, d, true);
        self.head_backward = backward_head;
        if with_picks {
            self.picks_backward(weights, up, grads);
        }
        if let (true, Some(dlogits)) = (with_logits, up.dlogits) {
            let positions = std::mem::take(&mut self.picks.positions);
            assert_eq!(dlogits.len(), positions.len() * v, "dlogits is [positions, vocab]");
            let rows = std::mem::take(&mut self.picks.position_rows);
            self.rows_backward(dlogits, &rows, positions.iter().copied(), grads);
            self.picks.position_rows = rows;
            self.picks.positions = positions;
        }
    }

    fn picks_backward(&mut self, weights: Weights<'_>, up: &Upstream, grads: &mut Grads) {
        let (d, v) = (self.shape.width, self.shape.vocab);
        let list = std::mem::take(&mut self.picks.list);
        let count = list.len();
        for given in [up.dlogp, up.dentropy].into_iter().flatten() {
            assert_eq!(given.len(), count, "one gradient a pick");
        }
        let kept = self.picks.logits_kept;
        if !kept {
            pack_head(&mut self.head, weights, self.plan.head, v, d, false);
        }
        let chunk = (self.limits.logit_chunk / v / HEAD_ROWS * HEAD_ROWS).max(HEAD_ROWS);
        let mut logits = std::mem::take(&mut self.picks.logits);
        grow(&mut logits, if kept { count } else { chunk.min(count) } * v);
        for c0 in (0..count).step_by(chunk) {
            let here = chunk.min(count - c0);
            let (rows_in, stats, head, temperature) =
                (&self.picks.rows, &self.picks.stats, &self.head, self.picks.temperature);
            let first = if kept { c0 * v } else { 0 };
            let here_logits = &mut logits[first..first + here * v];
            let out = Shared::new(here_logits);
            par::each(here.div_ceil(HEAD_ROWS), |_, task| {
                let (r, rows) = (task * HEAD_ROWS, HEAD_ROWS.min(here - task * HEAD_ROWS));
                let _part = span("head");
                // SAFETY: one block of rows a task.
                let out = unsafe { out.part(r * v, rows * v) };
                if !kept {
                    rows_by_packed(
                        Block::new(out, rows, v, v),
                        From::Zero,
                        &rows_in[(c0 + r) * d..],
                        d,
                        head,
                        0,
                    );
                }
                for (i, row) in out.chunks_exact_mut(v).enumerate() {
                    let pick = c0 + r + i;
                    let g = RowGrad {
                        stats: stats[pick],
                        target: list[pick].target as usize,
                        temperature,
                        dlogp: up.dlogp.map_or(0.0, |g| g[pick]),
                        dentropy: up.dentropy.map_or(0.0, |g| g[pick]),
                    };
                    row_backward(row, 0, g);
                }
            });
            let rows = std::mem::take(&mut self.picks.rows);
            let positions = list[c0..c0 + here].iter().map(|p| p.position);
            self.rows_backward(
                &logits[first..first + here * v],
                &rows[c0 * d..(c0 + here) * d],
                positions,
                grads,
            );
            self.picks.rows = rows;
        }
        self.picks.logits = logits;
        self.picks.logits_kept = false;
        self.picks.list = list;
    }

    /// From dlogits[rows, vocab] of hidden rows x[rows, width]: adds to `flow.dhidden` and to the head's gradient.
    fn rows_backward(
        &mut self,
        dlogits: &[f32],
        x: &[f32],
        positions: impl ExactSizeIterator<Item = u32>,
        grads: &mut Grads,
    ) {
        let (d, v, count) = (self.shape.width, self.shape.vocab, positions.len());
        let mut dx = std::mem::take(&mut self.flow.dpicks);
        grow(&mut dx, count * d);
        crate::gemm::by_packed(&mut dx[..count * d], dlogits, count, &self.head_backward, false);
        for (row, position) in dx.chunks_exact(d).zip(positions) {
            let into = &mut self.flow.dhidden[position as usize * d..][..d];
            into.iter_mut().zip(row).for_each(|(a, b)| *a += b);
        }
        self.flow.dpicks = dx;
        if self.is_frozen(self.plan.head) {
            return;
        }
        let cap = apart(count);
        let (left, right) = (v.div_ceil(STRIP) * LANES * cap, d.div_ceil(LANES) * LANES * cap);
        grow(&mut self.flow.room, left + right);
        let (strips, panels) = self.flow.room[..left + right].split_at_mut(left);
        let (to_strips, to_panels) = (Shared::new(strips), Shared::new(panels));
        par::each(count.div_ceil(HEAD_ROWS), |_, task| {
            let (r, rows) = (task * HEAD_ROWS, HEAD_ROWS.min(count - task * HEAD_ROWS));
            write_strips(to_strips, cap, r, &dlogits[r * v..(r + rows) * v], v, 0, v);
            write_panels(to_panels, &x[r * d..(r + rows) * d], d, d, r, cap);
        });
        let (strips, panels) = self.flow.room[..left + right].split_at(left);
        let out = Shared::new(grads.head_mut(self.plan.head, v * d));
        let high = TASK_STRIPS * STRIP;
        par::each(v.div_ceil(high), |_, task| {
            let (i, m) = (task * high, high.min(v - task * high));
            // SAFETY: one block of rows of the weights a task.
            let c = unsafe { out.part(i * d, m * d) };
            tn_strips(c, m, d, &strips[i / STRIP * cap * LANES..], panels, cap, count);
        });
    }
}

fn gather(out: &mut Vec<f32>, x: &[f32], d: usize, positions: impl Iterator<Item = u32>) {
    out.clear();
    for p in positions {
        out.extend_from_slice(&x[p as usize * d..][..d]);
    }
}
