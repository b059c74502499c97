//! Feed-forward nonlinearities over rows, with the gate's product; forward and backward.

use crate::math::{normal_cdf, normal_pdf, sigmoid, tanh};
use crate::shape::Activation;
use crate::simd::{LANES, Simd, at, put, simd};

const TANH_A: f32 = 0.797_884_6;
const TANH_B: f32 = 0.044_715;

simd!(
    /// h[rows, f] from `inner`: [rows, 2f] (gate, up) when gated, else [rows, f]. Rows of h are `h_row` apart.
    pub fn activation(h: &mut [f32], h_row: usize, inner: &[f32], f: usize, kind: Activation)
        => activation_body in "activation");

#[inline(always)]
fn activation_body<V: Simd>(h: &mut [f32], h_row: usize, inner: &[f32], f: usize, kind: Activation) {
    if kind.gated() {
        for (r, inner) in inner.chunks_exact(2 * f).enumerate() {
            let h = &mut h[r * h_row..r * h_row + f];
            let (gate, up) = inner.split_at(f);
            for i in (0..f).step_by(LANES) {
                let g = at::<V>(gate, i);
                put(h, i, g.mul(sigmoid(g)).mul(at(up, i)));
            }
        }
        return;
    }
    for (r, inner) in inner.chunks_exact(f).enumerate() {
        let h = &mut h[r * h_row..r * h_row + f];
        for i in (0..f).step_by(LANES) {
            put(h, i, plain(at::<V>(inner, i), kind));
        }
    }
}

#[inline(always)]
fn plain<V: Simd>(x: V, kind: Activation) -> V {
    match kind {
        Activation::SwiGlu => x.mul(sigmoid(x)),
        Activation::Gelu => x.mul(normal_cdf(x)),
        Activation::GeluTanh => {
            let u = x.mul(V::splat(TANH_A)).mul(x.mul(x).fma(V::splat(TANH_B), V::splat(1.0)));
            x.mul(V::splat(0.5)).mul(V::splat(1.0).add(tanh(u)))
        }
        Activation::Relu2 => {
            let r = x.max(V::zero());
            r.mul(r)
        }
    }
}

#[inline(always)]
fn slope<V: Simd>(x: V, kind: Activation) -> V {
    let one = V::splat(1.0);
    match kind {
        Activation::SwiGlu => {
            let s = sigmoid(x);
            s.mul(one.add(x.mul(one.sub(s))))
        }
        Activation::Gelu => x.fma(normal_pdf(x), normal_cdf(x)),
        Activation::GeluTanh => {
            let x2 = x.mul(x);
            let t = tanh(x.mul(V::splat(TANH_A)).mul(x2.fma(V::splat(TANH_B), one)));
            let du = V::splat(TANH_A).mul(x2.fma(V::splat(3.0 * TANH_B), one));
            let half = V::splat(0.5);
            half.mul(one.add(t)).add(half.mul(x).mul(one.sub(t.mul(t))).mul(du))
        }
        Activation::Relu2 => V::splat(2.0).mul(x.max(V::zero())),
    }
}

simd!(
    /// Given dh[rows, f], writes the gradient of `inner` (as in [`activation`]) and turns dh into the activation h
    /// itself (which the weight gradient of the down projection needs). Rows of the gradient of `inner` and of dh are `apart`.
    pub fn activation_backward(dinner: &mut [f32], inner: &[f32], dh: &mut [f32], apart: [usize; 2], f: usize,
        kind: Activation) => activation_backward_body in "activation");

#[inline(always)]
fn activation_backward_body<V: Simd>(
    dinner: &mut [f32],
    inner: &[f32],
    dh: &mut [f32],
    [dinner_row, dh_row]: [usize; 2],
    f: usize,
    kind: Activation,
) {
    let one = V::splat(1.0);
    let width = if kind.gated() { 2 * f } else { f };
    for (r, inner) in inner.chunks_exact(width).enumerate() {
        let dh = &mut dh[r * dh_row..r * dh_row + f];
        let dinner = &mut dinner[r * dinner_row..r * dinner_row + width];
        if !kind.gated() {
            for i in (0..f).step_by(LANES) {
                let (x, d) = (at::<V>(inner, i), at::<V>(dh, i));
                put(dh, i, plain(x, kind));
                put(dinner, i, d.mul(slope(x, kind)));
            }
            continue;
        }
        let ((gate, up), (dgate, dup)) = (inner.split_at(f), dinner.split_at_mut(f));
        for i in (0..f).step_by(LANES) {
            // from the outer cache, in two streams that the processor does not foresee: a row ahead
            V::prefetch(gate.as_ptr().wrapping_add(2 * f + i));
            V::prefetch(up.as_ptr().wrapping_add(2 * f + i));
            let (g, u, d) = (at::<V>(gate, i), at::<V>(up, i), at::<V>(dh, i));
            let s = sigmoid(g);
            let silu = g.mul(s);
            put(dh, i, silu.mul(u));
            put(dup, i, d.mul(silu));
            put(dgate, i, d.mul(u).mul(s.mul(one.add(g.mul(one.sub(s))))));
        }
    }
}
