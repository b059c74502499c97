//! The weight gradients of one layer over a chunk of rows: the tasks that add them.

use super::chunk::Chunk;
use super::parts::{Bias, Matrix, Parts};
use crate::norm::{bias_grad, norm_backward, norm_weight_grad};
use crate::par::Shared;
use crate::plan::NormAt;
use crate::shape::Norm;
use crate::simd::LANES;
use crate::strips::{STRIP, TASK_STRIPS, tn_strips};

/// Columns of a norm's gradient that a task computes.
const NORM_COLUMNS: usize = 2 * LANES;

/// What of a norm is trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrainedNorm {
    weight: Option<usize>,
    bias: Option<usize>,
}

impl TrainedNorm {
    pub fn new(at: NormAt, frozen: &impl Fn(usize) -> bool) -> Option<TrainedNorm> {
        let weight = (!frozen(at.weight)).then_some(at.weight);
        let bias = at.bias.filter(|b| !frozen(*b));
        (weight.is_some() || bias.is_some()).then_some(TrainedNorm { weight, bias })
    }

    /// Adds columns `first..first + width` of the gradients over the rows of dy.
    /// # Safety
    /// No other task may write these columns of the norm.
    pub unsafe fn add(
        self,
        out: Shared<'_>,
        (first, width): (usize, usize),
        dy: &[f32],
        x: &[f32],
        d: usize,
        stats: &[[f32; 2]],
    ) {
        // SAFETY: promised by the caller.
        let part = |start: usize| unsafe { out.part(start + first, width) };
        match (self.weight.map(part), self.bias.map(part)) {
            (Some(dw), db) => norm_weight_grad(dw, db, dy, x, d, first, stats),
            (None, Some(db)) => bias_grad(db, dy, d, first),
            (None, None) => {}
        }
    }
}

/// A task of the weight gradients.
pub(super) enum Weigh {
    /// Rows i..i + m of a matrix.
    Matrix(Matrix, usize, usize),
    Norm(usize, TrainedNorm, usize),
    Bias(Bias),
    HeadNorm(usize, usize, usize),
}

/// The tasks of a layer's weight gradients.
pub(super) fn list(tasks: &mut Vec<Weigh>, parts: &Parts, width: usize) {
    let high = TASK_STRIPS * STRIP;
    tasks.clear();
    for p in &parts.matrices {
        tasks.extend((0..p.width).step_by(high).map(|i| Weigh::Matrix(*p, i, high.min(p.width - i))));
    }
    tasks.extend(parts.head_norms.iter().map(|h| Weigh::HeadNorm(h.0, h.1, h.2)));
    for (which, at) in &parts.norms {
        tasks.extend((0..width).step_by(NORM_COLUMNS).map(|first| Weigh::Norm(*which, *at, first)));
    }
    tasks.extend(parts.biases.iter().map(|b| Weigh::Bias(*b)));
}

impl Chunk<'_> {
    /// Adds the chunk's part to some weights' gradients.
    /// # Safety
    /// Nobody else may work on this task for `out` at the same time.
    pub unsafe fn weigh(&self, task: &Weigh, out: Shared<'_>) {
        let (s, n, cap) = (self.shape, self.rows.len(), self.cap);
        let d = s.width;
        // SAFETY: every task has its own part of the gradients; the chunk's buffers are only read now.
        unsafe {
            match *task {
                Weigh::Matrix(p, i, m) => {
                    let ((left, strip), (right, panel)) = (p.left, p.right);
                    let strips = (strip + i / STRIP) * cap * LANES;
                    let strips = self.strips[left].read(strips, m.div_ceil(STRIP) * cap * LANES);
                    let panels = panel * cap * LANES;
                    let panels = self.panels[right].read(panels, p.k.div_ceil(LANES) * cap * LANES);
                    tn_strips(out.part(p.start + i * p.k, m * p.k), m, p.k, strips, panels, cap, n);
                }
                Weigh::Norm(which, at, first) => {
                    let width = NORM_COLUMNS.min(d - first);
                    let of_mid = which == 0 && !s.parallel;
                    let (x, level) = if of_mid { (self.mid, self.own) } else { (self.x, self.level) };
                    let from = (level + self.rows.start) * d;
                    let (dy, stats) = (self.dnormed[which].read(0, n * d), self.stats[which].read(0, n));
                    at.add(out, (first, width), dy, &x[from..from + n * d], d, stats);
                }
                Weigh::Bias(b) => {
                    for (i, column) in (0..b.width).step_by(STRIP).enumerate() {
                        let width = STRIP.min(b.width - column);
                        let strip = self.strips[b.product].read((b.strip + i) * cap * LANES, n * LANES);
                        bias_grad(out.part(b.start + column, width), strip, LANES, 0);
                    }
                }
                Weigh::HeadNorm(column, width, start) => {
                    self.head_norm_grad(column, width, out.part(start, s.head_dim));
                }
            }
        }
    }

    /// The weight of a per-head norm: sums over rows, then heads, in order.
    fn head_norm_grad(&self, column: usize, width: usize, dw: &mut [f32]) {
        let (s, n) = (self.shape, self.rows.len());
        let (hd, row) = (s.head_dim, s.q_width() + s.kv_width());
        let raw = &self.raw[(self.own + self.rows.start) * row..];
        // SAFETY: only read now.
        let dqk = unsafe { self.dqk.read(0, n * row) };
        let mut unused = vec![0.0; hd];
        let mut stats = [[0.0; 2]];
        for r in 0..n {
            for h in 0..width / hd {
                let from = r * row + column + h * hd;
                let (x, dy) = (&raw[from..from + hd], &dqk[from..from + hd]);
                norm_backward(&mut unused, None, dy, x, hd, dy, s.norm_eps, Norm::Rms, &mut stats);
                norm_weight_grad(dw, None, dy, x, hd, 0, &stats);
            }
        }
    }
}
