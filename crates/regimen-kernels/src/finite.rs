//! A NaN or an infinity among many numbers.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::par;
use crate::simd::{Simd, at, fold4, simd, total};

/// Elements that a task looks at.
const CHUNK: usize = 1 << 16;

/// The first value that is NaN or infinite.
pub fn first_not_finite(values: &[f32]) -> Option<f32> {
    let found = AtomicBool::new(false);
    par::each(values.len().div_ceil(CHUNK), |_, task| {
        let chunk = &values[task * CHUNK..values.len().min((task + 1) * CHUNK)];
        if !all_finite(chunk) {
            found.store(true, Ordering::Relaxed);
        }
    });
    if found.into_inner() { values.iter().copied().find(|v| !v.is_finite()) } else { None }
}

simd!(fn all_finite(x: &[f32]) -> bool => all_finite_body in "checking");

/// 0 · x is NaN where x is NaN or infinite, and ±0 elsewhere.
#[inline(always)]
fn all_finite_body<V: Simd>(x: &[f32]) -> bool {
    total(fold4!(x.len(), V::zero(), |acc, i| at::<V>(x, i).fma(V::zero(), acc))) == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_value_is_found_wherever_it_is() {
        let mut values = vec![f32::MAX; 3 * CHUNK + 5];
        assert_eq!(first_not_finite(&values), None);
        assert_eq!(first_not_finite(&[]), None);
        for i in [0, 1, 17, CHUNK - 1, CHUNK, 3 * CHUNK + 4] {
            for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
                values[i] = bad;
                let found = first_not_finite(&values);
                assert!(found.is_some_and(|f| f.to_bits() == bad.to_bits()), "{i}: {found:?}");
                values[i] = -f32::MIN_POSITIVE;
            }
        }
    }
}
