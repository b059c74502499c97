//! The global gradient norm.

use crate::par::{self, Shared};
use crate::simd::{Simd, simd};

/// Elements of a partial sum: fixed, so that the result does not depend on threads.
const CHUNK: usize = 1 << 15;

/// Partial sums at once.
const SUMS: usize = 256;

/// √Σ g², summed in f64 over fixed chunks in order.
pub fn global_norm(grads: &[f32]) -> f64 {
    let mut total = 0.0;
    let mut sums = [0.0f64; SUMS];
    for grads in grads.chunks(SUMS * CHUNK) {
        let count = grads.len().div_ceil(CHUNK);
        let shared = Shared::new(&mut sums);
        par::each(count, |_, task| {
            let chunk = &grads[task * CHUNK..grads.len().min((task + 1) * CHUNK)];
            // SAFETY: one sum a task.
            let sum = unsafe { shared.part(task, 1) };
            sum[0] = squares(chunk);
        });
        total = sums[..count].iter().fold(total, |total, sum| total + sum);
    }
    total.sqrt()
}

simd!(
    /// Σ x² by eight strided sums. Compiled for each level; the operations are the same everywhere.
    fn squares(x: &[f32]) -> f64 => squares_body in "gradient norm"
);

#[inline(always)]
fn squares_body<V: Simd>(x: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (whole, rest) = x.as_chunks::<8>();
    for eight in whole {
        for (sum, v) in lanes.iter_mut().zip(eight) {
            *sum += f64::from(*v) * f64::from(*v);
        }
    }
    for (sum, v) in lanes.iter_mut().zip(rest) {
        *sum += f64::from(*v) * f64::from(*v);
    }
    ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Team;

    #[test]
    fn norm_is_right_and_does_not_depend_on_threads() {
        let g: Vec<f32> = (0..200_003).map(|i| (i as f32 * 0.7).sin()).collect();
        let want = g.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        let norms = [1, 2, 3].map(|threads| {
            let team = Team::new(threads).unwrap();
            team.install(|| global_norm(&g))
        });
        assert!((norms[0] - want).abs() < 1e-9 * want);
        assert!(norms.iter().all(|n| *n == norms[0]));
        assert_eq!(global_norm(&[]), 0.0);
    }
}
