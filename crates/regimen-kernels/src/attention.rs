//! Causal attention inside one document for the query heads of one key-value head.
//!
//! Scores, the weighted sum of values and all gradients are matrix products (one chain per element); the softmax of a
//! row sums 64 strided lanes over the row's own length. A row therefore has the same bits alone (decoding) and
//! among others (training).

use crate::gemm::{Operands, product};
use crate::math::{exp, ln};
use crate::par::Shared;
use crate::simd::{LANES, Simd, at, fold4, largest, put, simd, total};

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
    let strip = strip_rows(rows);
    for i0 in (0..rows).step_by(strip) {
        let m = strip.min(rows - i0);
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

simd!(
    /// One query row (a new token) of all `heads` heads: as [`attend`], head by head the same chains, but side by side.
    /// Head h's keys and values are those of key-value head `h / group`, `each` floats apart. `scores` is scratch of
    /// heads·padded(seen).
    pub(crate) fn attend_one(out: &mut [f32], q: &[f32], heads: usize, group: usize, seen: usize, head_dim: usize,
        keys: &[f32], values: &[f32], each: usize, scores: &mut [f32]) => attend_one_body);

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "slices with their widths")]
fn attend_one_body<V: Simd>(
    out: &mut [f32],
    q: &[f32],
    heads: usize,
    group: usize,
    seen: usize,
    head_dim: usize,
    keys: &[f32],
    values: &[f32],
    each: usize,
    scores: &mut [f32],
) {
    let scale = 1.0 / (head_dim as f32).sqrt();
    let wide = padded(seen);
    assert!(q.len() >= heads * head_dim && out.len() >= heads * head_dim && scores.len() >= heads * wide);
    assert!(keys.len() >= (heads / group - 1) * each + wide * head_dim);
    assert!(values.len() >= (heads / group - 1) * each + seen * head_dim);
    for h in 0..heads {
        let o = Operands {
            a: q[h * head_dim..].as_ptr(),
            a_row: head_dim,
            b: keys[h / group * each..].as_ptr(),
            b_vec: head_dim * LANES,
            b_row: LANES,
            from: std::ptr::null(),
            from_row: 0,
            c: scores[h * wide..].as_mut_ptr(),
            c_row: wide,
        };
        // SAFETY: extents checked above.
        unsafe { product::<V, false>(1, wide, head_dim, &o) };
    }
    let mut h = 0;
    while h < heads {
        // eight chains or more beside each other hide the latency of one
        let beside = (8 * LANES).div_ceil(head_dim).min(heads - h);
        let beside = 1 << beside.ilog2().min(3);
        let mut invs = [0.0f32; 8];
        for i in h..h + beside {
            let row = &mut scores[i * wide..(i + 1) * wide];
            row[seen..].fill(f32::NEG_INFINITY);
            invs[i - h] = 1.0 / softmax_row::<V>(row, scale).1;
        }
        let w = Weighted { scores, wide, seen, values, each, group, head_dim, first: h };
        match beside {
            8 => weighted::<V, 8>(out, &w, &invs),
            4 => weighted::<V, 4>(out, &w, &invs),
            2 => weighted::<V, 2>(out, &w, &invs),
            _ => weighted::<V, 1>(out, &w, &invs),
        }
        h += beside;
    }
}

struct Weighted<'a> {
    scores: &'a [f32],
    wide: usize,
    seen: usize,
    values: &'a [f32],
    each: usize,
    group: usize,
    head_dim: usize,
    first: usize,
}

/// Σ p·V of `H` heads beside each other, 16 columns (or 32, when H ≤ 4) at a time.
#[inline(always)]
fn weighted<V: Simd, const H: usize>(out: &mut [f32], w: &Weighted, invs: &[f32; 8]) {
    let hd = w.head_dim;
    let mut d = 0;
    while d < hd {
        let two = H <= 4 && d + 2 * LANES <= hd;
        let part = LANES.min(hd - d);
        let mut acc = [[V::zero(); 2]; H];
        for j in 0..w.seen {
            for (i, acc) in acc.iter_mut().enumerate() {
                let h = w.first + i;
                // SAFETY: score j of head h; columns d.. of value j of its key-value head (checked by the caller).
                unsafe {
                    let p = V::splat(*w.scores.get_unchecked(h * w.wide + j));
                    let v = w.values.as_ptr().add(h / w.group * w.each + j * hd + d);
                    if two {
                        acc[0] = p.fma(V::load(v), acc[0]);
                        acc[1] = p.fma(V::load(v.add(LANES)), acc[1]);
                    } else {
                        acc[0] = p.fma(V::load_part(v, part), acc[0]);
                    }
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            let inv = V::splat(invs[i]);
            let out = &mut out[(w.first + i) * hd..(w.first + i + 1) * hd];
            put(out, d, acc[0].mul(inv));
            if two {
                put(out, d + LANES, acc[1].mul(inv));
            }
        }
        d += if two { 2 * LANES } else { LANES };
    }
}

/// Turns scores into exp((s − max)·scale); gives the largest score and the sum. Positions not seen are −∞.
#[inline(always)]
fn softmax_row<V: Simd>(row: &mut [f32], scale: f32) -> (f32, f32) {
    let n = row.len();
    let max = largest(fold4!(n, V::splat(f32::NEG_INFINITY), |acc, i| at::<V>(row, i).max(acc)));
    let (m, s) = (V::splat(max), V::splat(scale));
    let sums = fold4!(n, V::zero(), |acc, i| {
        let p = exp(at::<V>(row, i).sub(m).mul(s));
        put(row, i, p);
        acc.add(p)
    });
    (max, total(sums))
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
        out_row: usize, lse: &[f32], lse_row: usize, dqkv: Shared<'_>, dqkv_at: usize) => backward_body);

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
    dqkv: Shared<'_>,
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
    let strip = strip_rows(t);
    let query_block = (SCORES / padded(t) / strip).clamp(1, t.div_ceil(strip)) * strip;
    grow(&mut s.scores, query_block * padded(t));
    grow(&mut s.dscores, query_block * padded(t));
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
        for b0 in (0..t).step_by(query_block) {
            let block = query_block.min(t - b0);
            let wide = padded(b0 + block);
            for i0 in (b0..b0 + block).step_by(strip) {
                let m = strip.min(b0 + block - i0);
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
                    let (p, ds) =
                        (&mut s.scores[(i - b0) * wide..][..wide], &mut s.dscores[(i - b0) * wide..][..wide]);
                    let (o_row, do_row) = (&out[i * out_row..][..hd], &dout[i * out_row..][..hd]);
                    let level = V::splat(total(
                        fold4!(hd, V::zero(), |acc, d| at::<V>(o_row, d).fma(at(do_row, d), acc))
                    ));
                    let shift = V::splat(-lse[i * lse_row + h]);
                    // a key of a strip is seen by queries of the same strip and later ones: zeros up to there
                    let seen = padded(i + 1);
                    p[i + 1..seen].fill(f32::NEG_INFINITY);
                    for j in (0..seen).step_by(LANES) {
                        let prob = exp(at::<V>(p, j).fma(V::splat(scale), shift));
                        put(p, j, prob);
                        let d = prob.mul(at::<V>(ds, j).sub(level)).mul(V::splat(scale));
                        put(ds, j, d);
                    }
                    let end = (i0 + m).max(seen).min(wide);
                    p[seen..end].fill(0.0);
                    ds[seen..end].fill(0.0);
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
            // dV += Pᵀ·dO, dK += dSᵀ·Q: chains over the queries in order, from the first that sees a key of the strip
            for j0 in (0..b0 + block).step_by(strip) {
                let m = strip.min(b0 + block - j0);
                let (from, into) = (j0.max(b0), (s.dv[j0 * hd..].as_mut_ptr(), s.dk[j0 * hd..].as_mut_ptr()));
                let depth = b0 + block - from;
                let o = Operands {
                    a: s.scores[(from - b0) * wide + j0..].as_ptr(),
                    a_row: wide,
                    b: dout[from * out_row..].as_ptr(),
                    b_vec: LANES,
                    b_row: out_row,
                    from: into.0,
                    from_row: hd,
                    c: into.0,
                    c_row: hd,
                };
                // SAFETY: `m` rows of dv, `depth` rows of dout and of the scores lie inside.
                unsafe { product::<V, true>(m, hd, depth, &o) };
                let o = Operands {
                    a: s.dscores[(from - b0) * wide + j0..].as_ptr(),
                    b: q[from * g.row..].as_ptr(),
                    b_row: g.row,
                    from: into.1,
                    c: into.1,
                    ..o
                };
                // SAFETY: as above.
                unsafe { product::<V, true>(m, hd, depth, &o) };
            }
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
