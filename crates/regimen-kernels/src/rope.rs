//! Rotary positions, rotate-half form (Su et al. 2021): pairs are (i, i + rotary/2) of a head.

use crate::math::cos_sin;
use crate::simd::{LANES, Simd, at, put, simd};

/// cos and sin of every position so far: rows of `pairs` cosines and `pairs` sines.
#[derive(Clone, Debug, Default)]
pub struct RopeTable {
    inv_freq: Vec<f32>,
    rows: Vec<f32>,
}

impl RopeTable {
    /// A table for these frequencies (radians a position), one a pair; scaled variants give their own.
    pub fn new(inv_freq: &[f32]) -> RopeTable {
        RopeTable { inv_freq: inv_freq.to_vec(), rows: Vec::new() }
    }

    /// Makes the rows of positions below `positions`. The angle is the f32 product, as in transformers.
    pub fn reach(&mut self, positions: usize) {
        let pairs = self.inv_freq.len();
        let have = if pairs == 0 { positions } else { self.rows.len() / (2 * pairs) };
        for p in have..positions {
            let angle = |f: &f32| cos_sin(f64::from(p as f32 * f));
            self.rows.extend(self.inv_freq.iter().map(|f| angle(f).0 as f32));
            self.rows.extend(self.inv_freq.iter().map(|f| angle(f).1 as f32));
        }
    }

    fn at(&self, position: usize) -> &[f32] {
        let row = 2 * self.inv_freq.len();
        &self.rows[position * row..(position + 1) * row]
    }
}

simd!(
    /// Turns the first `heads` heads of each row of x (row stride `row`) to the row's position, or back
    /// (`inverse`, which is also the gradient).
    pub fn rope(x: &mut [f32], row: usize, heads: usize, head_dim: usize, positions: &[u32], table: &RopeTable,
        inverse: bool) => rope_body in "rope");

#[inline(always)]
fn rope_body<V: Simd>(
    x: &mut [f32],
    row: usize,
    heads: usize,
    head_dim: usize,
    positions: &[u32],
    table: &RopeTable,
    inverse: bool,
) {
    let pairs = table.inv_freq.len();
    let sign = V::splat(if inverse { -1.0 } else { 1.0 });
    for (r, &position) in positions.iter().enumerate() {
        let cos_sin = table.at(position as usize);
        let turned = &mut x[r * row..r * row + heads * head_dim];
        if 2 * pairs == LANES {
            turn_by_eight(turned, head_dim, at::<V>(cos_sin, 0), sign);
            continue;
        }
        let (cos, sin) = cos_sin.split_at(pairs);
        for i in (0..pairs).step_by(LANES) {
            let (c, s) = (at::<V>(cos, i), at::<V>(sin, i).mul(sign));
            for head in turned.chunks_exact_mut(head_dim) {
                let (a, b) = head[..2 * pairs].split_at_mut(pairs);
                let (x, y) = (at::<V>(a, i), at::<V>(b, i));
                put(a, i, x.mul(c).sub(y.mul(s)));
                put(b, i, y.mul(c).add(x.mul(s)));
            }
        }
    }
}

/// Turns the heads of one row by eight pairs, both halves of a head in one vector; `cos_sin` are the cosines, then the sines. The
/// same bits: x·c + y·(−s) is x·c − y·s.
#[inline(always)]
fn turn_by_eight<V: Simd>(turned: &mut [f32], head_dim: usize, cos_sin: V, sign: V) {
    let sin_cos = cos_sin.swap_halves();
    let cos = V::halves(cos_sin, sin_cos);
    let sin = V::halves(sin_cos.mul(V::splat(-1.0)), cos_sin).mul(sign);
    for head in turned.chunks_exact_mut(head_dim) {
        let xy = at::<V>(head, 0);
        put(head, 0, xy.mul(cos).add(xy.swap_halves().mul(sin)));
    }
}
