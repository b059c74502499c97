//! Causal attention inside documents, one document and key-value head (with its query heads) at a time.
//!
//! Scores, the weighted sum of values and all gradients are matrix products (one chain per element); the softmax of a
//! row sums 64 strided lanes over the row's own length. A row therefore has the same bits alone (decoding) and
//! among others (training).

mod backward;
mod one;
mod whole;

pub(crate) use backward::{Saved, backward};
pub(crate) use one::attend_one;
pub use whole::{Heads, causal, causal_backward};

use crate::buffer::grow;
use crate::gemm::{Operands, product};
use crate::math::{exp, ln};
use crate::par::{Block, Shared};
use crate::shape::Shape;
use crate::simd::{LANES, Simd, at, fold4, joined, largest, put, simd};
use crate::span::span;

/// Rows of scores computed at once: at most a register tile's.
const STRIP: usize = 14;
/// Scores that are held at once in the backward pass, beside as many gradients.
const SCORES: usize = 1 << 16;

/// Rows of a strip such that all strips are about equal.
fn strip_rows(rows: usize) -> usize {
    rows.div_ceil(rows.div_ceil(STRIP))
}

pub(crate) const fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// Keys and values of the head as the products want them: keys as panels `[pos / 16][head_dim][16]`, values as rows
/// of `head_dim`.
#[derive(Clone, Copy)]
pub(crate) struct KeysValues<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

simd!(
    /// Row i of `out` = softmax(q[i]·K / √head_dim)·V for queries (row stride `q_row`) at positions `first`.. that see
    /// all positions up to their own. `scores` is scratch of 14·padded(first + rows) floats. With `lse`, a block of
    /// one column, log Σ exp of the rows goes there.
    pub(crate) fn attend(out: Block<'_>, q: &[f32], q_row: usize, first: usize, kv: KeysValues, scores: &mut [f32],
        lse: Option<Block<'_>>) => attend_body);

#[inline(always)]
fn attend_body<V: Simd>(
    mut out: Block<'_>,
    q: &[f32],
    q_row: usize,
    first: usize,
    kv: KeysValues,
    scores: &mut [f32],
    mut lse: Option<Block<'_>>,
) {
    let (rows, head_dim) = (out.rows(), out.width());
    let scale = 1.0 / (head_dim as f32).sqrt();
    assert!(q.len() >= (rows - 1) * q_row + head_dim && kv.values.len() >= (first + rows) * head_dim);
    assert!(kv.keys.len() >= padded(first + rows) * head_dim);
    let strip = strip_rows(rows);
    for i0 in (0..rows).step_by(strip) {
        let m = strip.min(rows - i0);
        let seen = first + i0 + m;
        let wide = padded(seen);
        assert!(scores.len() >= m * wide);
        let o = Operands {
            a: q[i0 * q_row..].as_ptr(),
            a_row: q_row,
            b: kv.keys.as_ptr(),
            b_vec: head_dim * LANES,
            b_row: LANES,
            from: std::ptr::null(),
            from_row: 0,
            c: scores.as_mut_ptr(),
            c_row: wide,
        };
        // SAFETY: extents checked above.
        unsafe { product::<V, false>(m, wide, head_dim, &o) };
        for i in 0..m {
            scores[i * wide + first + i0 + i + 1..(i + 1) * wide].fill(f32::NEG_INFINITY);
        }
        let (maxima, sums) = softmax_rows::<V>(&mut scores[..m * wide], m, scale);
        if let Some(lse) = lse.as_mut() {
            // all rows together: one logarithm is a long chain
            let logs: [f64; LANES] = std::array::from_fn(|i| ln(f64::from(sums[i])));
            for i in 0..m {
                lse.row(i0 + i)[0] = (f64::from(maxima[i]) * f64::from(scale) + logs[i]) as f32;
            }
        }
        let o = Operands {
            a: scores.as_ptr(),
            a_row: wide,
            b: kv.values.as_ptr(),
            b_vec: LANES,
            b_row: head_dim,
            from: std::ptr::null(),
            from_row: 0,
            c: out.address(i0),
            c_row: out.row_stride(),
        };
        // SAFETY: `m` rows of the block from i0; the rest checked above.
        unsafe { product::<V, false>(m, head_dim, seen, &o) };
        for (i, sum) in sums.iter().enumerate().take(m) {
            let inv = V::splat(1.0 / sum);
            let row = out.row(i0 + i);
            for j in (0..head_dim).step_by(LANES) {
                let y = at::<V>(row, j).mul(inv);
                put(row, j, y);
            }
        }
    }
}

/// Turns `m` rows of scores (at most 16, beside each other in memory) into exp((s − max)·scale); gives the largest score
/// and the sum of each row. Positions not seen are −∞.
#[inline(always)]
fn softmax_rows<V: Simd>(scores: &mut [f32], m: usize, scale: f32) -> ([f32; LANES], [f32; LANES]) {
    let (n, s) = (scores.len() / m, V::splat(scale));
    let (mut maxima, mut sums, mut parts) = ([0.0; LANES], [1.0; LANES], [V::zero(); LANES]);
    // row after row of each kind: what ends a row is a long chain, and these overlap
    for (row, max) in scores.chunks_exact(n).zip(&mut maxima) {
        *max = largest(fold4!(n, V::splat(f32::NEG_INFINITY), |acc, i| at::<V>(row, i).max(acc)));
    }
    for ((row, max), part) in scores.chunks_exact_mut(n).zip(&maxima).zip(&mut parts) {
        let max = V::splat(*max);
        *part = joined(fold4!(n, V::zero(), |acc, i| {
            let p = exp(at::<V>(row, i).sub(max).mul(s));
            put(row, i, p);
            acc.add(p)
        }));
    }
    for (sum, part) in sums.iter_mut().zip(parts).take(m) {
        *sum = part.sum();
    }
    (maxima, sums)
}

simd!(
    /// Packs rows of keys (row stride `row`) as panels `[pos / 16][head_dim][16]`, zero padded.
    pub(crate) fn pack_keys(panels: &mut [f32], keys: &[f32], row: usize, positions: usize, head_dim: usize)
        => pack_keys_body);

#[inline(always)]
fn pack_keys_body<V: Simd>(panels: &mut [f32], keys: &[f32], row: usize, positions: usize, head_dim: usize) {
    assert!(keys.len() >= (positions - 1) * row + head_dim && panels.len() >= padded(positions) * head_dim);
    for p0 in (0..positions).step_by(LANES) {
        let n = LANES.min(positions - p0);
        let panel = &mut panels[p0 * head_dim..(p0 + LANES) * head_dim];
        let whole = if n == LANES { head_dim / LANES * LANES } else { 0 };
        for d in (0..whole).step_by(LANES) {
            // SAFETY: rows p0..p0 + 16 of the keys, columns d..d + 16; both inside (checked above).
            unsafe {
                V::transpose(keys.as_ptr().add(p0 * row + d), row, panel.as_mut_ptr().add(d * LANES), LANES)
            };
        }
        for d in whole..head_dim {
            for j in 0..LANES {
                panel[d * LANES + j] = if j < n { keys[(p0 + j) * row + d] } else { 0.0 };
            }
        }
    }
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch {
    k_panels: Vec<f32>,
    v_panels: Vec<f32>,
    k_rows: Vec<f32>,
    v_rows: Vec<f32>,
    scores: Vec<f32>,
    dscores: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl AttentionScratch {
    /// Room for documents of up to `t` rows: every worker has it, whoever gets the longest.
    pub fn reserve(&mut self, t: usize, head_dim: usize, backward: bool) {
        let wide = padded(t);
        grow(&mut self.k_panels, wide * head_dim);
        if !backward {
            grow(&mut self.v_rows, t * head_dim);
            grow(&mut self.scores, STRIP * wide);
            return;
        }
        grow(&mut self.v_panels, wide * head_dim);
        let scores = ((t + STRIP) * wide).min(SCORES.max(STRIP * wide));
        for (buffer, len) in [(&mut self.scores, scores), (&mut self.dscores, scores)] {
            grow(buffer, len);
        }
        for buffer in [&mut self.k_rows, &mut self.dk, &mut self.dv] {
            grow(buffer, t * head_dim);
        }
    }
}

/// One document's rows of q, k, v for one key-value head: q at column `q_at` (its `group` query heads beside each
/// other), k at `k_at`, v at `v_at`, in rows of `row` floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadGroup {
    pub rows: usize,
    pub row: usize,
    pub q_at: usize,
    pub k_at: usize,
    pub v_at: usize,
    pub group: usize,
    pub head_dim: usize,
}

impl HeadGroup {
    /// Key-value head `head` of a shape.
    pub fn new(s: &Shape, head: usize, rows: usize) -> HeadGroup {
        Heads { heads: s.heads, kv_heads: s.kv_heads, head_dim: s.head_dim }.group(head, rows)
    }

    /// The group's columns of q, k and v in rows of a shared matrix from `start`.
    /// # Safety
    /// No other part in use at the same time may overlap them.
    pub unsafe fn blocks<'a>(&self, qkv: Shared<'a>, start: usize) -> [Block<'a>; 3] {
        let parts =
            [(self.q_at, self.group * self.head_dim), (self.k_at, self.head_dim), (self.v_at, self.head_dim)];
        // SAFETY: promised by the caller; q, k and v are different columns.
        parts.map(|(at, width)| unsafe { qkv.block(start + at, self.rows, self.row, width) })
    }
}

simd!(fn copy_rows(out: &mut [f32], x: &[f32], row: usize, column: usize, width: usize) => copy_rows_body);

#[inline(always)]
fn copy_rows_body<V: Simd>(out: &mut [f32], x: &[f32], row: usize, column: usize, width: usize) {
    for r in 0..out.len() / width {
        let (out, x) = (&mut out[r * width..(r + 1) * width], &x[r * row + column..r * row + column + width]);
        for i in (0..width).step_by(LANES) {
            put(out, i, at::<V>(x, i));
        }
    }
}

/// Forward for one document and key-value head. `qkv` starts at the document's first row; `out` is the group's columns,
/// `lse` a column a query head.
pub(crate) fn forward(
    s: &mut AttentionScratch,
    g: HeadGroup,
    qkv: &[f32],
    mut out: Block<'_>,
    mut lse: Option<Block<'_>>,
) {
    let _part = span("attention");
    let (t, hd) = (g.rows, g.head_dim);
    if t == 0 {
        return;
    }
    s.reserve(t, hd, false);
    pack_keys(&mut s.k_panels, &qkv[g.k_at..], g.row, t, hd);
    copy_rows(&mut s.v_rows[..t * hd], qkv, g.row, g.v_at, hd);
    let kv = KeysValues { keys: &s.k_panels, values: &s.v_rows };
    for h in 0..g.group {
        let lse = lse.as_mut().map(|lse| lse.columns(h, 1));
        attend(out.columns(h * hd, hd), &qkv[g.q_at + h * hd..], g.row, 0, kv, &mut s.scores, lse);
    }
}
