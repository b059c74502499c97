#![cfg(test)]
use crate::gemm::{nn, nt};
use crate::simd::{Level, best_level, force_level};
use crate::strips::tn;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((x >> 40) as f32 / (1u64 << 24) as f32) - 0.5
        })
        .collect()
}

fn chain(c: f32, k: usize, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> f32 {
    (0..k).fold(c, |acc, p| a(p).mul_add(b(p), acc))
}

#[test]
fn every_product_is_one_chain_in_k_order_at_every_level() {
    for level in Level::ALL {
        if !force_level(level) {
            continue;
        }
        for (m, n, k) in [
            (1, 1, 1),
            (1, 200, 33),
            (2, 130, 16),
            (3, 64, 20),
            (5, 80, 40),
            (9, 47, 31),
            (14, 32, 64),
            (16, 33, 7),
            (117, 51, 300),
            (30, 16, 600),
        ] {
            let (x, w, c0) = (noise(m * k, 1), noise(n * k, 2), noise(m * n, 3));
            for accumulate in [false, true] {
                let mut c = c0.clone();
                nt(&mut c, &x, &w, m, n, k, accumulate);
                for i in 0..m {
                    for j in 0..n {
                        let want = chain(
                            if accumulate { c0[i * n + j] } else { 0.0 },
                            k,
                            |p| x[i * k + p],
                            |p| w[j * k + p],
                        );
                        assert_eq!(c[i * n + j], want, "nt {level:?} {m} {n} {k} at {i} {j}");
                    }
                }
                let mut c = c0.clone();
                nn(&mut c, &x, &w, m, n, k, accumulate);
                for i in 0..m {
                    for j in 0..n {
                        let want = chain(
                            if accumulate { c0[i * n + j] } else { 0.0 },
                            k,
                            |p| x[i * k + p],
                            |p| w[p * n + j],
                        );
                        assert_eq!(c[i * n + j], want, "nn {level:?} {m} {n} {k} at {i} {j}");
                    }
                }
            }
            let rows = k;
            let (dy, x, c0) = (noise(rows * m, 4), noise(rows * n, 5), noise(m * n, 6));
            let mut c = c0.clone();
            tn(&mut c, &dy, &x, rows, m, n);
            for i in 0..m {
                for j in 0..n {
                    let want = chain(c0[i * n + j], rows, |p| dy[p * m + i], |p| x[p * n + j]);
                    assert_eq!(c[i * n + j], want, "tn {level:?} {m} {n} {k} at {i} {j}");
                }
            }
        }
    }
    force_level(best_level());
}
