//! Packing weight matrices into panels, several at once.

use crate::buffer::Scratch;
use crate::gemm::{PackedMatrix, pack_panel_nn, pack_panel_nt};
use crate::half::{Half, widen};
use crate::par::{self, Shared};
use crate::simd::LANES;
use crate::span::span;
use crate::weights::{Matrix, Weights};

/// How a matrix of 16 bits is packed. One of f32 stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// In 16 bits, which every product widens: for what stays packed.
    AsItIs,
    /// Widened: for what is used at once and packed over.
    Wide,
}

/// A matrix to pack: from `w[n, k]`, transposed for y = x·Wᵀ or as it is for dx = dy·W.
pub(crate) struct Job<'a> {
    copy: Copying<'a>,
    n: usize,
    k: usize,
    backward: bool,
}

enum Copying<'a> {
    Full(Shared<'a>, &'a [f32]),
    Widened(Shared<'a>, Half, &'a [u16]),
    Half(Shared<'a, u16>, &'a [u16]),
}

/// Packs the matrix of `[n, k]` weights at `start`.
pub(crate) fn job<'a>(
    out: &'a mut PackedMatrix,
    weights: Weights<'a>,
    start: usize,
    [n, k]: [usize; 2],
    backward: bool,
    held: Held,
) -> Job<'a> {
    let [columns, depth] = if backward { [k, n] } else { [n, k] };
    let copy = match weights.matrix(start..start + n * k) {
        Matrix::Full(w) => Copying::Full(out.resize(columns, depth), w),
        Matrix::Half(half, w) if held == Held::Wide => Copying::Widened(out.resize(columns, depth), half, w),
        Matrix::Half(half, w) => Copying::Half(out.resize_half(columns, depth, half), w),
    };
    Job { copy, n, k, backward }
}

impl Job<'_> {
    fn panels(&self) -> usize {
        if self.backward { self.k.div_ceil(LANES) } else { self.n.div_ceil(LANES) }
    }

    fn run(&self, panel: usize) {
        let (n, k) = (self.n, self.k);
        let len = LANES * if self.backward { n } else { k };
        // SAFETY: one panel a task.
        unsafe {
            match (&self.copy, self.backward) {
                (Copying::Full(out, w), true) => pack_panel_nn(out.part(panel * len, len), w, k, n, panel),
                (Copying::Full(out, w), false) => pack_panel_nt(out.part(panel * len, len), w, n, k, panel),
                (Copying::Half(out, w), true) => pack_panel_nn(out.part(panel * len, len), w, k, n, panel),
                (Copying::Half(out, w), false) => half_panel_nt(out.part(panel * len, len), w, n, k, panel),
                (Copying::Widened(out, half, w), true) => {
                    wide_panel_nn(out.part(panel * len, len), *half, w, k, panel);
                }
                (Copying::Widened(out, half, w), false) => {
                    wide_panel_nt(out.part(panel * len, len), *half, w, n, k, panel);
                }
            }
        }
    }
}

/// Packs matrices, all threads together.
pub(crate) fn run(jobs: &[Job]) {
    let total: usize = jobs.iter().map(Job::panels).sum();
    const GROUP: usize = 4;
    par::each(total.div_ceil(GROUP), |_, task| {
        let _part = span("packing");
        for mut panel in task * GROUP..total.min((task + 1) * GROUP) {
            for job in jobs {
                if panel < job.panels() {
                    job.run(panel);
                    break;
                }
                panel -= job.panels();
            }
        }
    });
}

/// One panel of the transposed `w[n, k]`.
fn half_panel_nt(out: &mut [u16], w: &[u16], n: usize, k: usize, panel: usize) {
    let rows = panel_rows(w, n, k, panel);
    if rows.len() < LANES * k {
        out.fill(0);
    }
    for (j, row) in rows.chunks_exact(k).enumerate() {
        row.iter().zip(out[j..].iter_mut().step_by(LANES)).for_each(|(w, out)| *out = *w);
    }
}

/// The same, widened: the rows first, for f32 has the fast transpose.
fn wide_panel_nt(out: &mut [f32], half: Half, w: &[u16], n: usize, k: usize, panel: usize) {
    let rows = panel_rows(w, n, k, panel);
    let mut scratch = Scratch::take(rows.len());
    let wide = &mut scratch.floats()[..rows.len()];
    widen(wide, half, rows);
    pack_panel_nt(out, wide, rows.len() / k, k, 0);
}

/// One panel of `b[·, n]`, widened.
fn wide_panel_nn(out: &mut [f32], half: Half, b: &[u16], n: usize, panel: usize) {
    let columns = LANES.min(n - panel * LANES);
    for (out, row) in out.chunks_exact_mut(LANES).zip(b.chunks_exact(n)) {
        widen(&mut out[..columns], half, &row[panel * LANES..]);
        out[columns..].fill(0.0);
    }
}

/// The rows of `w[n, k]` that are a panel's columns.
fn panel_rows(w: &[u16], n: usize, k: usize, panel: usize) -> &[u16] {
    &w[panel * LANES * k..n.min((panel + 1) * LANES) * k]
}
