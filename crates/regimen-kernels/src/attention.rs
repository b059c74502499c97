//! Causal attention inside one document for the query heads of one key-value head.
//!
//! Scores, the weighted sum of values and all gradients are matrix products (one chain per element); the softmax of a
//! row sums 64 strided lanes over the row's own length. A row therefore has the same bits alone (decoding) and
//! among others (training).

use crate::gemm::{Operands, product};
use crate::math::{exp, ln};
use crate::norm::sum_of;
use crate::simd::{LANES, Simd, at, put, simd};

/// Query rows that are handled together in the backward pass.
const QUERY_BLOCK: usize = 56;

/// Rows of scores computed at once in the forward pass: a register tile's.
const STRIP: usize = 14;

pub(crate) const fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// Keys and values of the head as the products want them: keys as panels `[pos / 16][head_dim][16]`, values as rows.
#[derive(Clone, Copy)]
pub(crate) struct KeysValues<'a> {
    pub k_panels: &'a [f32],
    pub v_rows: &'a [f32],
    pub v_row: usize,
}

simd!(
    /// out[i] = softmax(q[i]·K / √head_dim)·V for queries at positions `first..first + rows` that see all positions up
    /// to their own. `q` and `out` have their own row strides. `scores` is scratch of 14·padded(first + rows)
    /// floats. With `lse`, log Σ exp of row i goes to `lse[i·lse_row]`.
    pub(crate) fn attend(out: &mut [f32], out_row: usize, q: &[f32], q_row: usize, rows: usize, first: usize,
        head_dim: usize, kv: KeysValues, scores: &mut [f32], lse: Option<(&mut [f32], usize)>) => attend_body);

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "slices with their widths")]
fn attend_body<V: Simd>(
    out: &mut [f32],
    out_row: usize,
    q: &[f32],
    q_row: usize,
    rows: usize,
    first: usize,
    head_dim: usize,
    kv: KeysValues,
    scores: &mut [f32],
    mut lse: Option<(&mut [f32], usize)>,
) {
    let scale = 1.0 / (head_dim as f32).sqrt();
    assert!(q.len() >= (rows - 1) * q_row + head_dim && out.len() >= (rows - 1) * out_row + head_dim);
    assert!(kv.k_panels.len() >= padded(first + rows) * head_dim);
    assert!(kv.v_rows.len() >= (first + rows - 1) * kv.v_row + head_dim);
    for i0 in (0..rows).step_by(STRIP) {
        let m = STRIP.min(rows - i0);
        let seen = first + i0 + m;
        let wide = padded(seen);
        assert!(scores.len() >= m * wide);
        let o = Operands {
            a: q[i0 * q_row..].as_ptr(),
            a_row: q_row,
            b: kv.k_panels.as_ptr(),
            b_vec: head_dim * LANES,
            b_row: LANES,
            from: std::ptr::null(),
            from_row: 0,
            c: scores.as_mut_ptr(),
            c_row: wide,
        };
        // SAFETY: extents checked above.
        unsafe { product::<V, false>(m, wide, head_dim, &o) };
        let mut sums = [0.0f32; STRIP];
        for i in 0..m {
            let row = &mut scores[i * wide..(i + 1) * wide];
            row[first + i0 + i + 1..].fill(f32::NEG_INFINITY);
            let (max, sum) = softmax_row::<V>(row, scale);
            sums[i] = sum;
            if let Some((lse, stride)) = lse.as_mut() {
                lse[(i0 + i) * *stride] = (f64::from(max) * f64::from(scale) + ln(f64::from(sum))) as f32;
            }
        }
        let o = Operands {
            a: scores.as_ptr(),
            a_row: wide,
            b: kv.v_rows.as_ptr(),
            b_vec: LANES,
            b_row: kv.v_row,
            from: std::ptr::null(),
            from_row: 0,
            c: out[i0 * out_row..].as_mut_ptr(),
            c_row: out_row,
        };
        // SAFETY: extents checked above.
        unsafe { product::<V, false>(m, head_dim, seen, &o) };
        for i in 0..m {
            let inv = V::splat(1.0 / sums[i]);
            let row = &mut out[(i0 + i) * out_row..(i0 + i) * out_row + head_dim];
            for j in (0..head_dim).step_by(LANES) {
                let y = at::<V>(row, j).mul(inv);
                put(row, j, y);
            }
        }
    }
}

/// Turns scores into exp((s − max)·scale); gives the largest score and the sum. Positions not seen are −∞.
#[inline(always)]
fn softmax_row<V: Simd>(row: &mut [f32], scale: f32) -> (f32, f32) {
    let mut maxima = [V::splat(f32::NEG_INFINITY); 4];
    for (v, i) in (0..row.len()).step_by(LANES).enumerate() {
        maxima[v % 4] = at::<V>(row, i).max(maxima[v % 4]);
    }
    let max = maxima[0].max(maxima[1]).max(maxima[2].max(maxima[3])).hmax();
    let (m, s) = (V::splat(max), V::splat(scale));
    let mut sums = [V::zero(); 4];
    for (v, i) in (0..row.len()).step_by(LANES).enumerate() {
        let p = exp(at::<V>(row, i).sub(m).mul(s));
        sums[v % 4] = sums[v % 4].add(p);
        put(row, i, p);
    }
    (max, sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum())
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
            unsafe { V::transpose(keys.as_ptr().add(p0 * row + d), row, panel.as_mut_ptr().add(d * LANES), LANES) };
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

fn grow(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        v.resize(len, 0.0);
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

fn copy_rows(out: &mut [f32], x: &[f32], row: usize, column: usize, width: usize) {
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks(row)) {
        out.copy_from_slice(&x[column..column + width]);
    }
}

/// Forward for one document and key-value head. `qkv` starts at the document's first row; `out` (row stride
/// `out_row`) at its first row and the group's first column; `lse` (row stride `lse_row`) likewise.
pub(crate) fn forward(
    s: &mut AttentionScratch,
    g: HeadGroup,
    qkv: &[f32],
    out: &mut [f32],
    out_row: usize,
    mut lse: Option<(&mut [f32], usize)>,
) {
    let (t, hd) = (g.rows, g.head_dim);
    if t == 0 {
        return;
    }
    grow(&mut s.k_panels, padded(t) * hd);
    grow(&mut s.v_rows, t * hd);
    grow(&mut s.scores, STRIP * padded(t));
    pack_keys(&mut s.k_panels, &qkv[g.k_at..], g.row, t, hd);
    copy_rows(&mut s.v_rows[..t * hd], qkv, g.row, g.v_at, hd);
    let kv = KeysValues { k_panels: &s.k_panels, v_rows: &s.v_rows, v_row: hd };
    for h in 0..g.group {
        let lse = lse.as_mut().map(|(lse, stride)| (&mut lse[h..], *stride));
        attend(&mut out[h * hd..], out_row, &qkv[g.q_at + h * hd..], g.row, t, 0, hd, kv, &mut s.scores, lse);
    }
}

simd!(
    /// Backward for one document and key-value head: writes the head's columns of `dqkv` (as `qkv`). `out` and
    /// `dout` have row stride `out_row`, `lse` row stride `lse_row`; all start at the group's first column.
    pub(crate) fn backward(s: &mut AttentionScratch, g: HeadGroup, qkv: &[f32], out: &[f32], dout: &[f32],
        out_row: usize, lse: &[f32], lse_row: usize, dqkv: crate::par::Shared<'_>, dqkv_at: usize) => backward_body);

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "slices with their widths")]
fn backward_body<V: Simd>(
    s: &mut AttentionScratch,
    g: HeadGroup,
    qkv: &[f32],
    out: &[f32],
    dout: &[f32],
    out_row: usize,
    lse: &[f32],
    lse_row: usize,
    dqkv: crate::par::Shared<'_>,
    dqkv_at: usize,
) {
    let (t, hd) = (g.rows, g.head_dim);
    if t == 0 {
        return;
    }
    let scale = 1.0 / (hd as f32).sqrt();
    grow(&mut s.k_panels, padded(t) * hd);
    grow(&mut s.v_panels, padded(t) * hd);
    grow(&mut s.k_rows, t * hd);
    grow(&mut s.scores, QUERY_BLOCK * padded(t));
    grow(&mut s.dscores, QUERY_BLOCK * padded(t));
    grow(&mut s.dk, t * hd);
    grow(&mut s.dv, t * hd);
    pack_keys_body::<V>(&mut s.k_panels, &qkv[g.k_at..], g.row, t, hd);
    pack_keys_body::<V>(&mut s.v_panels, &qkv[g.v_at..], g.row, t, hd);
    copy_rows(&mut s.k_rows[..t * hd], qkv, g.row, g.k_at, hd);
    s.dk[..t * hd].fill(0.0);
    s.dv[..t * hd].fill(0.0);
    let last = (t - 1) * g.row;
    assert!(qkv.len() >= last + g.q_at + g.group * hd);
    assert!(dout.len() >= (t - 1) * out_row + g.group * hd && out.len() >= (t - 1) * out_row + g.group * hd);
    for h in 0..g.group {
        let q = &qkv[g.q_at + h * hd..];
        let (out, dout) = (&out[h * hd..], &dout[h * hd..]);
        for b0 in (0..t).step_by(QUERY_BLOCK) {
            let block = QUERY_BLOCK.min(t - b0);
            let wide = padded(b0 + block);
            for i0 in (b0..b0 + block).step_by(STRIP) {
                let m = STRIP.min(b0 + block - i0);
                let seen = padded(i0 + m);
                let at_strip = (i0 - b0) * wide;
                let o = Operands {
                    a: q[i0 * g.row..].as_ptr(),
                    a_row: g.row,
                    b: s.k_panels.as_ptr(),
                    b_vec: hd * LANES,
                    b_row: LANES,
                    from: std::ptr::null(),
                    from_row: 0,
                    c: s.scores[at_strip..].as_mut_ptr(),
                    c_row: wide,
                };
                // SAFETY: `m` rows of q and `seen` columns of scores lie inside (buffers grown above).
                unsafe { product::<V, false>(m, seen, hd, &o) };
                let o = Operands {
                    a: dout[i0 * out_row..].as_ptr(),
                    a_row: out_row,
                    b: s.v_panels.as_ptr(),
                    c: s.dscores[at_strip..].as_mut_ptr(),
                    ..o
                };
                // SAFETY: as above.
                unsafe { product::<V, false>(m, seen, hd, &o) };
                for i in i0..i0 + m {
                    let (p, ds) = (&mut s.scores[(i - b0) * wide..][..wide], &mut s.dscores[(i - b0) * wide..][..wide]);
                    let (o_row, do_row) = (&out[i * out_row..][..hd], &dout[i * out_row..][..hd]);
                    let level = V::splat(sum_of::<V>(hd, |acc, d| at::<V>(o_row, d).fma(at(do_row, d), acc)));
                    let shift = V::splat(-lse[i * lse_row + h]);
                    p[i + 1..].fill(f32::NEG_INFINITY);
                    ds[i + 1..].fill(0.0);
                    for j in (0..wide).step_by(LANES) {
                        let prob = exp(at::<V>(p, j).fma(V::splat(scale), shift));
                        put(p, j, prob);
                        let d = prob.mul(at::<V>(ds, j).sub(level)).mul(V::splat(scale));
                        put(ds, j, d);
                    }
                }
                // dQ = dS·K
                // SAFETY: columns of this group and rows of this document: one task's part.
                let dq = unsafe { dqkv.part(dqkv_at + i0 * g.row + g.q_at + h * hd, (m - 1) * g.row + hd) };
                let o = Operands {
                    a: s.dscores[at_strip..].as_ptr(),
                    a_row: wide,
                    b: s.k_rows.as_ptr(),
                    b_vec: LANES,
                    b_row: hd,
                    from: std::ptr::null(),
                    from_row: 0,
                    c: dq.as_mut_ptr(),
                    c_row: g.row,
                };
                // SAFETY: as above.
                unsafe { product::<V, false>(m, hd, i0 + m, &o) };
            }
            // dV += Pᵀ·dO, dK += dSᵀ·Q: chains over the queries in order
            let keys = b0 + block;
            let o = Operands {
                a: s.scores.as_ptr(),
                a_row: wide,
                b: dout[b0 * out_row..].as_ptr(),
                b_vec: LANES,
                b_row: out_row,
                from: s.dv.as_ptr(),
                from_row: hd,
                c: s.dv.as_mut_ptr(),
                c_row: hd,
            };
            // SAFETY: `keys` rows of dv, `block` rows of dout and of the scores lie inside.
            unsafe { product::<V, true>(keys, hd, block, &o) };
            let o = Operands {
                a: s.dscores.as_ptr(),
                b: q[b0 * g.row..].as_ptr(),
                b_row: g.row,
                from: s.dk.as_ptr(),
                c: s.dk.as_mut_ptr(),
                ..o
            };
            // SAFETY: as above.
            unsafe { product::<V, true>(keys, hd, block, &o) };
        }
    }
    for i in 0..t {
        // SAFETY: columns of this group and rows of this document: one task's part.
        unsafe {
            dqkv.part(dqkv_at + i * g.row + g.k_at, hd).copy_from_slice(&s.dk[i * hd..(i + 1) * hd]);
            dqkv.part(dqkv_at + i * g.row + g.v_at, hd).copy_from_slice(&s.dv[i * hd..(i + 1) * hd]);
        }
    }
}
