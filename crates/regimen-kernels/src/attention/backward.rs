//! The gradient of attention, from the probabilities computed again by the stored log-sum-exp.

use super::{AttentionScratch, HeadGroup, SCORES, copy_rows_body, pack_keys_body, padded, strip_rows};
use crate::gemm::{Operands, product};
use crate::math::exp;
use crate::par::Block;
use crate::simd::{LANES, Simd, at, fold4, put, simd, total};

/// What the forward pass left, from the document's first row and (but for qkv) the group's first column.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    pub qkv: &'a [f32],
    pub out: &'a [f32],
    /// Row stride of the output and of its gradient.
    pub out_row: usize,
    pub lse: &'a [f32],
    pub lse_row: usize,
}

simd!(
    /// Backward for one document and key-value head: writes the group's columns of dq, dk and dv.
    pub(crate) fn backward(s: &mut AttentionScratch, g: HeadGroup, saved: Saved, dout: &[f32],
        dqkv: [Block<'_>; 3]) => backward_body in "attention");

#[inline(always)]
fn backward_body<V: Simd>(
    s: &mut AttentionScratch,
    g: HeadGroup,
    saved: Saved,
    dout: &[f32],
    dqkv: [Block<'_>; 3],
) {
    let Saved { qkv, out, out_row, lse, lse_row } = saved;
    let (t, hd) = (g.rows, g.head_dim);
    if t == 0 {
        return;
    }
    let scale = 1.0 / (hd as f32).sqrt();
    s.reserve(t, hd, true);
    let strip = strip_rows(t);
    let query_block = (SCORES / padded(t) / strip).clamp(1, t.div_ceil(strip)) * strip;
    assert!(s.scores.len().min(s.dscores.len()) >= query_block * padded(t));
    pack_keys_body::<V>(&mut s.k_panels, &qkv[g.k_at..], g.row, t, hd);
    pack_keys_body::<V>(&mut s.v_panels, &qkv[g.v_at..], g.row, t, hd);
    copy_rows_body::<V>(&mut s.k_rows[..t * hd], qkv, g.row, g.k_at, hd);
    s.dk[..t * hd].fill(0.0);
    s.dv[..t * hd].fill(0.0);
    let last = (t - 1) * g.row;
    assert!(qkv.len() >= last + g.q_at + g.group * hd);
    let width = g.group * hd;
    assert!(dout.len() >= (t - 1) * out_row + width && out.len() >= (t - 1) * out_row + width);
    let [mut dq, mut dk, mut dv] = dqkv;
    assert!(dq.rows() >= t && dq.width() >= width && dk.rows() >= t && dv.rows() >= t);
    for h in 0..g.group {
        let mut dq = dq.columns(h * hd, hd);
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
                // each row's Σ o·do, all together: what ends a row is a long chain
                let mut levels = [0.0; LANES];
                for (i, level) in (i0..i0 + m).zip(&mut levels) {
                    let (o_row, do_row) = (&out[i * out_row..][..hd], &dout[i * out_row..][..hd]);
                    *level = total(fold4!(hd, V::zero(), |acc, d| at::<V>(o_row, d).fma(at(do_row, d), acc)));
                }
                for (i, level) in (i0..i0 + m).zip(levels) {
                    let (p, ds) =
                        (&mut s.scores[(i - b0) * wide..][..wide], &mut s.dscores[(i - b0) * wide..][..wide]);
                    let (level, shift) = (V::splat(level), V::splat(-lse[i * lse_row + h]));
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
                let o = Operands {
                    a: s.dscores[at_strip..].as_ptr(),
                    a_row: wide,
                    b: s.k_rows.as_ptr(),
                    b_vec: LANES,
                    b_row: hd,
                    from: std::ptr::null(),
                    from_row: 0,
                    c: dq.address(i0),
                    c_row: dq.row_stride(),
                };
                // SAFETY: as above; `m` rows of the block from i0.
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
        dk.row(i).copy_from_slice(&s.dk[i * hd..(i + 1) * hd]);
        dv.row(i).copy_from_slice(&s.dv[i * hd..(i + 1) * hd]);
    }
}
