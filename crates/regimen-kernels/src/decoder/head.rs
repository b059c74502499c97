//! The vocabulary head: log-probabilities and logits of picked rows, and their gradients.

use super::chunk::write_panels;
use super::{Decoder, Pick, Upstream, grow};
use crate::block::pack_head;
use crate::buffer::spaced;
use crate::cross_entropy::{BLOCK, RowGrad, RowStats, row_backward, row_stats};
use crate::gemm::{From, ROW_BLOCK, rows_by_packed, spread};
use crate::grads::{Grads, clear};
use crate::par::{self, Block, Shared};
use crate::simd::LANES;
use crate::span::span;
use crate::strips::{self, STRIP, TASK_STRIPS, tn_strips, write_strips};
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
        let apart = spaced(v);
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
        gather(&mut p.rows, &self.hidden, d, picks.len(), |i| picks[i].position);
        p.stats.clear();
        p.stats.resize(picks.len(), RowStats::EMPTY);
        grow(&mut p.logp, picks.len());
        grow(&mut p.entropy, picks.len());
        if p.logits_kept {
            grow(&mut p.logits, picks.len() * apart);
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
                    unsafe { logits.block(r * apart + first, rows, apart, width) }
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
        gather(&mut p.position_rows, &self.hidden, d, positions.len(), |i| positions[i]);
        grow(&mut p.position_logits, positions.len() * v);
        crate::gemm::by_packed(
            &mut p.position_logits[..positions.len() * v],
            &p.position_rows[..positions.len() * d],
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
            None => clear(&mut self.flow.dhidden[..n * d]),
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
            self.rows_backward(dlogits, v, &rows[..positions.len() * d], |i| positions[i], grads);
            self.picks.position_rows = rows;
            self.picks.positions = positions;
        }
    }

    fn picks_backward(&mut self, weights: Weights<'_>, up: &Upstream, grads: &mut Grads) {
        let (d, v) = (self.shape.width, self.shape.vocab);
        let apart = spaced(v);
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
        grow(&mut logits, if kept { count } else { chunk.min(count) } * apart);
        for c0 in (0..count).step_by(chunk) {
            let here = chunk.min(count - c0);
            let (rows_in, stats, head, temperature) =
                (&self.picks.rows, &self.picks.stats, &self.head, self.picks.temperature);
            let first = if kept { c0 * apart } else { 0 };
            let here_logits = first..first + here * apart;
            let out = Shared::new(&mut logits[here_logits.clone()]);
            par::blocks(here, HEAD_ROWS, |r, rows| {
                let _part = span("head");
                // SAFETY: one block of rows a task.
                let out = unsafe { out.part(r * apart, rows * apart) };
                if !kept {
                    rows_by_packed(
                        Block::new(out, rows, apart, v),
                        From::Zero,
                        &rows_in[(c0 + r) * d..],
                        d,
                        head,
                        0,
                    );
                }
                for (i, row) in out.chunks_exact_mut(apart).enumerate() {
                    let pick = c0 + r + i;
                    let g = RowGrad {
                        stats: stats[pick],
                        target: list[pick].target as usize,
                        temperature,
                        dlogp: up.dlogp.map_or(0.0, |g| g[pick]),
                        dentropy: up.dentropy.map_or(0.0, |g| g[pick]),
                    };
                    row_backward(&mut row[..v], 0, g);
                }
            });
            let rows = std::mem::take(&mut self.picks.rows);
            let position = |i: usize| list[c0 + i].position;
            self.rows_backward(&logits[here_logits], apart, &rows[c0 * d..(c0 + here) * d], position, grads);
            self.picks.rows = rows;
        }
        self.picks.logits = logits;
        self.picks.logits_kept = false;
        self.picks.list = list;
    }

    /// From dlogits[rows, vocab], rows `apart`, of hidden rows x[rows, width]: adds to `flow.dhidden` and to the head's
    /// gradient.
    fn rows_backward(
        &mut self,
        dlogits: &[f32],
        apart: usize,
        x: &[f32],
        position: impl Fn(usize) -> u32 + Sync,
        grads: &mut Grads,
    ) {
        let (d, v) = (self.shape.width, self.shape.vocab);
        let count = x.len() / d;
        let mut dx = std::mem::take(&mut self.flow.dpicks);
        grow(&mut dx, count * d);
        spread(&mut dx[..count * d], dlogits, apart, count, &self.head_backward, false);
        scatter(&mut self.flow.dhidden, &dx[..count * d], d, position);
        self.flow.dpicks = dx;
        if self.is_frozen(self.plan.head) {
            return;
        }
        let cap = strips::apart(count);
        let (left, right) = (v.div_ceil(STRIP) * LANES * cap, d.div_ceil(LANES) * LANES * cap);
        grow(&mut self.flow.room, left + right);
        let (strips, panels) = self.flow.room[..left + right].split_at_mut(left);
        let (to_strips, to_panels) = (Shared::new(strips), Shared::new(panels));
        par::blocks(count, HEAD_ROWS, |r, rows| {
            write_strips(to_strips, cap, r, &dlogits[r * apart..(r + rows) * apart], apart, 0, v);
            write_panels(to_panels, &x[r * d..(r + rows) * d], d, d, r, cap);
        });
        let (strips, panels) = self.flow.room[..left + right].split_at(left);
        let out = Shared::new(grads.head_mut(self.plan.head, v * d));
        par::blocks(v, TASK_STRIPS * STRIP, |i, m| {
            // SAFETY: one block of rows of the weights a task.
            let c = unsafe { out.part(i * d, m * d) };
            tn_strips(c, m, d, &strips[i / STRIP * cap * LANES..], panels, cap, count);
        });
    }
}

/// Copies rows of x to `out`, which may be longer.
fn gather(out: &mut Vec<f32>, x: &[f32], d: usize, count: usize, position: impl Fn(usize) -> u32 + Sync) {
    grow(out, count * d);
    let out = Shared::new(out);
    par::blocks(count, ROW_BLOCK, |first, rows| {
        // SAFETY: one block of rows a task.
        let out = unsafe { out.part(first * d, rows * d) };
        for (i, row) in out.chunks_exact_mut(d).enumerate() {
            row.copy_from_slice(&x[position(first + i) as usize * d..][..d]);
        }
    });
}

/// Adds rows of `d` floats to the rows of `out` at their positions, in order where a position comes twice.
fn scatter(out: &mut [f32], rows: &[f32], d: usize, position: impl Fn(usize) -> u32 + Sync) {
    let (count, out) = (rows.len() / d, Shared::new(out));
    let apart = (1..count).all(|i| position(i - 1) < position(i));
    par::blocks(count, if apart { ROW_BLOCK } else { count.max(1) }, |first, high| {
        for (i, row) in rows[first * d..(first + high) * d].chunks_exact(d).enumerate() {
            // SAFETY: no position is in two blocks.
            let into = unsafe { out.part(position(first + i) as usize * d, d) };
            into.iter_mut().zip(row).for_each(|(a, b)| *a += b);
        }
    });
}
