//! RMSNorm and LayerNorm over rows, forward and backward.

use crate::shape::Norm;
use crate::simd::{LANES, Simd, at, fold4, put, simd, total};

/// Per row: (mean, 1 / std); the mean is 0 for RMSNorm.
#[inline(always)]
fn row_stats<V: Simd>(x: &[f32], eps: f32, kind: Norm) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = match kind {
        Norm::Rms => 0.0,
        Norm::Layer => total(fold4!(x.len(), V::zero(), |acc, i| acc.add(at(x, i)))) / n,
    };
    let whole = x.len() / LANES * LANES;
    let m = V::splat(mean);
    let mut squares = total(fold4!(whole, V::zero(), |acc, i| {
        let c = at::<V>(x, i).sub(m);
        c.fma(c, acc)
    }));
    for v in &x[whole..] {
        squares = (v - mean).mul_add(v - mean, squares);
    }
    (mean, 1.0 / (squares / n + eps).sqrt())
}

simd!(
    /// out[rows, d] = norm(x) · weight (+ bias).
    pub fn norm(out: &mut [f32], x: &[f32], d: usize, weight: &[f32], bias: Option<&[f32]>, eps: f32, kind: Norm)
        => norm_body in "norm");

#[inline(always)]
fn norm_body<V: Simd>(
    out: &mut [f32],
    x: &[f32],
    d: usize,
    w: &[f32],
    b: Option<&[f32]>,
    eps: f32,
    kind: Norm,
) {
    for r in 0..x.len() / d {
        let (out, x) = (&mut out[r * d..(r + 1) * d], &x[r * d..(r + 1) * d]);
        let (mean, rstd) = row_stats::<V>(x, eps, kind);
        let (mean, rstd) = (V::splat(mean), V::splat(rstd));
        for i in (0..d).step_by(LANES) {
            let hat = at::<V>(x, i).sub(mean).mul(rstd);
            let y = match b {
                Some(b) => hat.fma(at(w, i), at(b, i)),
                None => hat.mul(at(w, i)),
            };
            put(out, i, y);
        }
    }
}

simd!(
    /// dx[rows, d] = base + ∂norm/∂xᵀ · dy; `base` is the gradient that flows past the norm (the residual). Writes
    /// each row's mean and 1/std for [`norm_weight_grad`].
    pub fn norm_backward(dx: &mut [f32], base: Option<&[f32]>, dy: &[f32], x: &[f32], d: usize, weight: &[f32],
        eps: f32, kind: Norm, stats: &mut [[f32; 2]]) => norm_backward_body in "norm");

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "slices with their widths")]
fn norm_backward_body<V: Simd>(
    dx: &mut [f32],
    base: Option<&[f32]>,
    dy: &[f32],
    x: &[f32],
    d: usize,
    w: &[f32],
    eps: f32,
    kind: Norm,
    stats: &mut [[f32; 2]],
) {
    let n = d as f32;
    for (r, stat) in stats.iter_mut().enumerate() {
        let (x, dy, dx) = (&x[r * d..(r + 1) * d], &dy[r * d..(r + 1) * d], &mut dx[r * d..(r + 1) * d]);
        let (mean, rstd) = row_stats::<V>(x, eps, kind);
        *stat = [mean, rstd];
        let (m, s) = (V::splat(mean), V::splat(rstd));
        // lanes beyond the row have dy = w = 0, so x̂ there does not count
        let along = total(fold4!(d, V::zero(), |acc, i| {
            at::<V>(dy, i).mul(at(w, i)).fma(at::<V>(x, i).sub(m).mul(s), acc)
        })) / n;
        let level = match kind {
            Norm::Rms => 0.0,
            Norm::Layer => total(fold4!(d, V::zero(), |acc, i| at::<V>(dy, i).fma(at(w, i), acc))) / n,
        };
        let (along, level) = (V::splat(along), V::splat(level));
        for i in (0..d).step_by(LANES) {
            let hat = at::<V>(x, i).sub(m).mul(s);
            let g = at::<V>(dy, i).mul(at(w, i)).sub(level).sub(hat.mul(along)).mul(s);
            put(
                dx,
                i,
                match base {
                    Some(base) => at::<V>(&base[r * d..(r + 1) * d], i).add(g),
                    None => g,
                },
            );
        }
    }
}

simd!(
    /// Columns `first..first + dw.len()`: dw += Σ over rows, in order, of dy·x̂, and db += Σ dy.
    pub fn norm_weight_grad(dw: &mut [f32], db: Option<&mut [f32]>, dy: &[f32], x: &[f32], d: usize, first: usize,
        stats: &[[f32; 2]]) => norm_weight_grad_body in "norm");

#[inline(always)]
fn norm_weight_grad_body<V: Simd>(
    dw: &mut [f32],
    mut db: Option<&mut [f32]>,
    dy: &[f32],
    x: &[f32],
    d: usize,
    first: usize,
    stats: &[[f32; 2]],
) {
    let width = dw.len();
    for i in (0..width).step_by(LANES) {
        let mut acc = at::<V>(dw, i);
        let mut bias = db.as_deref().map_or(V::zero(), |b| at(b, i));
        for (r, [mean, rstd]) in stats.iter().enumerate() {
            let row = r * d + first;
            let g = at::<V>(&dy[row..row + width], i);
            let hat = at::<V>(&x[row..row + width], i).sub(V::splat(*mean)).mul(V::splat(*rstd));
            acc = g.fma(hat, acc);
            bias = bias.add(g);
        }
        put(dw, i, acc);
        if let Some(b) = db.as_deref_mut() {
            put(b, i, bias);
        }
    }
}

simd!(
    /// db[columns] += Σ over rows, in order, of dy[row, first + column].
    pub fn bias_grad(db: &mut [f32], dy: &[f32], row: usize, first: usize) => bias_grad_body in "norm");

#[inline(always)]
fn bias_grad_body<V: Simd>(db: &mut [f32], dy: &[f32], row: usize, first: usize) {
    let width = db.len();
    for i in (0..width).step_by(LANES) {
        let mut acc = at::<V>(db, i);
        for r in dy.chunks_exact(row) {
            acc = acc.add(at(&r[first..first + width], i));
        }
        put(db, i, acc);
    }
}
