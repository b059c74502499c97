//! AdamW with decoupled decay (Loshchilov & Hutter 2019), in the order of PyTorch's `torch.optim.AdamW`.

use crate::par::{self, Shared};
use crate::simd::{LANES, Simd, at, put, simd};

/// One step's hyper-parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, multiplied by `lr`.
    pub weight_decay: f32,
}

/// Elements a task updates.
const CHUNK: usize = 1 << 15;

/// One step over flat slices of one length. `step` counts from 1; gradients are multiplied by `scale` (clipping).
pub fn adamw(
    params: &mut [f32],
    grads: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    step: u64,
    scale: f32,
    hp: &AdamW,
) {
    let n = params.len();
    assert!(
        grads.len() == n && m.len() == n && v.len() == n,
        "parameters, gradients and moments have one length"
    );
    let step = step.min(i32::MAX as u64) as i32;
    let correction1 = 1.0 - f64::from(hp.beta1).powi(step);
    let correction2 = 1.0 - f64::from(hp.beta2).powi(step);
    let c = Constants {
        keep: (1.0 - f64::from(hp.lr) * f64::from(hp.weight_decay)) as f32,
        fresh1: (1.0 - f64::from(hp.beta1)) as f32,
        beta2: hp.beta2,
        fresh2: (1.0 - f64::from(hp.beta2)) as f32,
        root2: correction2.sqrt() as f32,
        eps: hp.eps,
        size: (f64::from(hp.lr) / correction1) as f32,
        scale,
    };
    let (p, m, v) = (Shared::new(params), Shared::new(m), Shared::new(v));
    par::each(n.div_ceil(CHUNK), |_, task| {
        let (at, len) = (task * CHUNK, CHUNK.min(n - task * CHUNK));
        // SAFETY: one chunk a task.
        let (p, m, v) = unsafe { (p.part(at, len), m.part(at, len), v.part(at, len)) };
        chunk(p, &grads[at..at + len], m, v, c);
    });
}

#[derive(Clone, Copy)]
struct Constants {
    keep: f32,
    fresh1: f32,
    beta2: f32,
    fresh2: f32,
    root2: f32,
    eps: f32,
    size: f32,
    scale: f32,
}

simd!(fn chunk(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: Constants) => chunk_body in "adamw");

#[inline(always)]
fn chunk_body<V: Simd>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: Constants) {
    let (keep, fresh1, beta2, fresh2) =
        (V::splat(c.keep), V::splat(c.fresh1), V::splat(c.beta2), V::splat(c.fresh2));
    let (root2, eps, size, scale) =
        (V::splat(c.root2), V::splat(c.eps), V::splat(-c.size), V::splat(c.scale));
    for i in (0..p.len()).step_by(LANES) {
        let grad = at::<V>(g, i).mul(scale);
        let first = at::<V>(m, i);
        let first = grad.sub(first).fma(fresh1, first);
        let second = grad.mul(grad).fma(fresh2, at::<V>(v, i).mul(beta2));
        let down = second.sqrt().div(root2).add(eps);
        put(m, i, first);
        put(v, i, second);
        put(p, i, first.div(down).fma(size, at::<V>(p, i).mul(keep)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula of `torch.optim.AdamW`, in f64.
    #[test]
    fn steps_follow_the_formula() {
        let hp = AdamW { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 };
        let n = 100_001;
        let mut p: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        let (mut m, mut v) = (vec![0.0f32; n], vec![0.0f32; n]);
        let mut want: Vec<[f64; 3]> = p.iter().map(|x| [f64::from(*x), 0.0, 0.0]).collect();
        for step in 1..=5u32 {
            let g: Vec<f32> = (0..n).map(|i| (i as f32 * 0.11 + step as f32).cos() * 2.0).collect();
            adamw(&mut p, &g, &mut m, &mut v, u64::from(step), 0.5, &hp);
            for (w, g) in want.iter_mut().zip(&g) {
                let g = f64::from(*g) * 0.5;
                w[0] *= 1.0 - 1e-2 * 0.1;
                w[1] = 0.9 * w[1] + 0.1 * g;
                w[2] = 0.95 * w[2] + 0.05 * g * g;
                let (first, second) =
                    (w[1] / (1.0 - 0.9f64.powi(step as i32)), w[2] / (1.0 - 0.95f64.powi(step as i32)));
                w[0] -= 1e-2 * first / (second.sqrt() + 1e-8);
            }
        }
        for (x, w) in p.iter().zip(&want) {
            assert!((f64::from(*x) - w[0]).abs() < 1e-6, "{x} {}", w[0]);
        }
    }
}
