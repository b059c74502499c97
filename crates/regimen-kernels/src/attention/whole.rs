//! Attention over a whole batch of documents.

use super::{AttentionScratch, HeadGroup, Saved, backward, forward};
use crate::par::{self, Shared};

/// Query heads, key-value heads (a divisor) and their width. Rows of q, k, v together are
/// `(heads + 2·kv_heads)·head_dim` floats: all q, then all k, then all v.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl Heads {
    pub(crate) fn group(&self, head: usize, rows: usize) -> HeadGroup {
        let (group, q, kv) =
            (self.heads / self.kv_heads, self.heads * self.head_dim, self.kv_heads * self.head_dim);
        HeadGroup {
            rows,
            row: q + 2 * kv,
            q_at: head * group * self.head_dim,
            k_at: q + head * self.head_dim,
            v_at: q + kv + head * self.head_dim,
            group,
            head_dim: self.head_dim,
        }
    }
}

/// The documents and key-value heads of a batch, one a task.
fn each(h: Heads, starts: &[u32], task: impl Fn(&mut AttentionScratch, HeadGroup, usize, usize) + Sync) {
    let mut scratch: Vec<AttentionScratch> = Vec::new();
    scratch.resize_with(par::threads(), AttentionScratch::default);
    let scratch = Shared::new(&mut scratch);
    par::each(starts.len().saturating_sub(1) * h.kv_heads, |worker, i| {
        let (doc, head) = (i / h.kv_heads, i % h.kv_heads);
        let g = h.group(head, (starts[doc + 1] - starts[doc]) as usize);
        if g.rows > 0 {
            // SAFETY: one worker's buffers.
            task(unsafe { &mut scratch.part(worker, 1)[0] }, g, starts[doc] as usize, head);
        }
    });
}

/// out[rows, heads·head_dim] = causal attention inside each document of qkv[rows, ·]; `lse[rows, heads]` gets each row's
/// log Σ exp. Documents start at `starts`, whose last element is the number of rows.
pub fn causal(out: &mut [f32], lse: &mut [f32], qkv: &[f32], starts: &[u32], h: Heads) {
    let (a, w) = (h.heads * h.head_dim, (h.heads + 2 * h.kv_heads) * h.head_dim);
    let (out, lse) = (Shared::new(out), Shared::new(lse));
    each(h, starts, |scratch, g, start, head| {
        let column = head * g.group;
        // SAFETY: tasks write disjoint heads of disjoint rows.
        let (out, lse) = unsafe {
            (
                out.block(start * a + column * g.head_dim, g.rows, a, g.group * g.head_dim),
                lse.block(start * h.heads + column, g.rows, h.heads, g.group),
            )
        };
        forward(scratch, g, &qkv[start * w..(start + g.rows) * w], out, Some(lse));
    });
}

/// dqkv[rows, ·] from dout[rows, heads·head_dim] and what [`causal`] was given and gave.
pub fn causal_backward(
    dqkv: &mut [f32],
    dout: &[f32],
    qkv: &[f32],
    out: &[f32],
    lse: &[f32],
    starts: &[u32],
    h: Heads,
) {
    let (a, w) = (h.heads * h.head_dim, (h.heads + 2 * h.kv_heads) * h.head_dim);
    let dqkv = Shared::new(dqkv);
    each(h, starts, |scratch, g, start, head| {
        let column = head * g.group;
        let saved = Saved {
            qkv: &qkv[start * w..(start + g.rows) * w],
            out: &out[start * a + column * g.head_dim..],
            out_row: a,
            lse: &lse[start * h.heads + column..],
            lse_row: h.heads,
        };
        // SAFETY: tasks write disjoint heads of disjoint rows.
        let dqkv = unsafe { g.blocks(dqkv, start * w) };
        backward(scratch, g, saved, &dout[start * a + column * g.head_dim..], dqkv);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    /// Plain attention in f64.
    fn plain(qkv: &[f64], starts: &[u32], h: Heads) -> Vec<f64> {
        let w = (h.heads + 2 * h.kv_heads) * h.head_dim;
        let mut out = Vec::new();
        for doc in starts.windows(2) {
            for i in doc[0] as usize..doc[1] as usize {
                for head in 0..h.heads {
                    let g = h.group(head / (h.heads / h.kv_heads), 1);
                    let q = &qkv[i * w + head * h.head_dim..][..h.head_dim];
                    let score = |j: usize| {
                        let k = &qkv[j * w + g.k_at..][..h.head_dim];
                        (q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() / (h.head_dim as f64).sqrt()).exp()
                    };
                    let seen = doc[0] as usize..=i;
                    let sum: f64 = seen.clone().map(score).sum();
                    for d in 0..h.head_dim {
                        out.push(seen.clone().map(|j| score(j) / sum * qkv[j * w + g.v_at + d]).sum());
                    }
                }
            }
        }
        out
    }

    #[test]
    fn whole_attention_matches_f64_and_its_slopes() {
        let h = Heads { heads: 4, kv_heads: 2, head_dim: 20 };
        let starts = [0, 5, 5, 50];
        let (a, w) = (80, 160);
        let qkv = noise(50 * w, 1);
        let dout = noise(50 * a, 2);
        let (mut out, mut lse, mut dqkv) = (vec![0.0; 50 * a], vec![0.0; 50 * 4], vec![0.0; 50 * w]);
        causal(&mut out, &mut lse, &qkv, &starts, h);
        causal_backward(&mut dqkv, &dout, &qkv, &out, &lse, &starts, h);
        let wide: Vec<f64> = qkv.iter().map(|x| f64::from(*x)).collect();
        for (x, want) in out.iter().zip(plain(&wide, &starts, h)) {
            assert!((f64::from(*x) - want).abs() < 1e-6);
        }
        let loss = |x: &[f64]| -> f64 {
            plain(x, &starts, h).iter().zip(&dout).map(|(o, d)| o * f64::from(*d)).sum()
        };
        for at in (0..50 * w).step_by(331) {
            let mut moved = wide.clone();
            moved[at] += 1e-5;
            let up = loss(&moved);
            moved[at] -= 2e-5;
            let slope = (up - loss(&moved)) / 2e-5;
            assert!(
                (f64::from(dqkv[at]) - slope).abs() < 1e-6 + 1e-4 * slope.abs(),
                "{at}: {} {slope}",
                dqkv[at]
            );
        }
    }
}
