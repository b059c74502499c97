//! Attention of one new token, for decoding.

use super::{padded, softmax_rows};
use crate::gemm::{Operands, product};
use crate::simd::{LANES, Simd, put, simd};

simd!(
    /// One query row (a new token) of all `heads` heads: as [`super::attend`], head by head the same chains, but side by side.
    /// Head h's keys and values are those of key-value head `h / group`, `each` floats apart. `scores` is scratch of
    /// heads·padded(seen).
    pub(crate) fn attend_one(out: &mut [f32], q: &[f32], heads: usize, group: usize, seen: usize, head_dim: usize,
        keys: &[f32], values: &[f32], each: usize, scores: &mut [f32]) => attend_one_body in "attention");

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
    for kv in 0..heads / group {
        let o = Operands {
            a: q[kv * group * head_dim..].as_ptr(),
            a_row: head_dim,
            b: keys[kv * each..].as_ptr(),
            b_vec: head_dim * LANES,
            b_row: LANES,
            from: std::ptr::null(),
            from_row: 0,
            c: scores[kv * group * wide..].as_mut_ptr(),
            c_row: wide,
        };
        // SAFETY: extents checked above.
        unsafe { product::<V, false>(group, wide, head_dim, &o) };
    }
    let mut h = 0;
    while h < heads {
        // eight chains or more beside each other hide the latency of one
        let beside = (8 * LANES).div_ceil(head_dim).min(heads - h);
        let beside = 1 << beside.ilog2().min(3);
        let mut invs = [0.0f32; 8];
        let rows = &mut scores[h * wide..(h + beside) * wide];
        for row in rows.chunks_exact_mut(wide) {
            row[seen..].fill(f32::NEG_INFINITY);
        }
        let (_, sums) = softmax_rows::<V>(rows, beside, scale);
        for (inv, sum) in invs.iter_mut().zip(&sums[..beside]) {
            *inv = 1.0 / sum;
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
