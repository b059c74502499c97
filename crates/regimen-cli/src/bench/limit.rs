//! How fast a training step could be if it were nothing but its matrix products, on the kernels' own products.

use regimen_core::run::Clock;
use regimen_kernels::gemm::{PackedMatrix, by_packed};
use regimen_kernels::strips::{Strips, tn_packed};

use super::Size;
use super::products::{Kind, Product, causal_attention, linear, square_attention};
use super::summary::median;
use super::tokens::Lcg;

/// Each product is measured at least this often and this long.
const TIMES: usize = 5;
const SECONDS: f64 = 0.1;
/// The side of the large product: in cache as packed, and enough work for all threads.
const LARGE: usize = 960;

/// The limits of a training step.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Operations a second of the products with weights, at the shapes of the step.
    pub rate: f64,
    /// Operations a second of a large product.
    pub large_rate: f64,
    /// Seconds of the step's products at their own shapes; attention over the causal half, at the same rate.
    pub products: f64,
    /// Seconds of the step's operations at the rate of a large product; attention over the whole square.
    pub large: f64,
}

/// Measures them.
pub fn run(size: Size) -> Limit {
    let (shape, tokens) = (size.shape(), size.step_tokens());
    let products = linear(&shape, tokens);
    let flops: f64 = products.iter().map(|p| p.flops() * p.times as f64).sum();
    let seconds: f64 = products.iter().map(|p| seconds_of(p) * p.times as f64).sum();
    let large = Product { kind: Kind::Nt, m: LARGE, n: LARGE, k: LARGE, times: 1 };
    let (rate, large_rate) = (flops / seconds, large.flops() / seconds_of(&large));
    let (half, square) = (
        causal_attention(&shape, size.batch(), size.context()),
        square_attention(&shape, size.batch(), size.context()),
    );
    Limit { rate, large_rate, products: seconds + half / rate, large: (flops + square) / large_rate }
}

/// The median time of one product. Packing is not part of it.
fn seconds_of(p: &Product) -> f64 {
    let Product { kind, m, n, k, .. } = *p;
    let mut lcg = Lcg::new(1);
    let mut numbers = |len: usize| (0..len).map(|_| lcg.draw(2001) as f32 * 1e-3 - 1.0).collect::<Vec<f32>>();
    let (a, b, mut c) = (numbers(m * k), numbers(n * k), vec![0.0; m * n]);
    let mut packed = PackedMatrix::default();
    match kind {
        Kind::Nt => packed.weights(&b, n, k),
        Kind::Nn | Kind::Tn => packed.plain(&b, k, n),
    }
    if kind == Kind::Tn {
        let mut strips = Strips::default();
        strips.fill(&a, k, m);
        return median_time(|| tn_packed(&mut c, &strips, &packed));
    }
    median_time(|| by_packed(&mut c, &a, m, &packed, false))
}

fn median_time(mut once: impl FnMut()) -> f64 {
    once();
    let (all, mut times) = (Clock::start(), Vec::new());
    while times.len() < TIMES || all.seconds() < SECONDS {
        let clock = Clock::start();
        once();
        times.push(clock.seconds());
    }
    median(&times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_positive_time() {
        for kind in [Kind::Nt, Kind::Nn, Kind::Tn] {
            let seconds = seconds_of(&Product { kind, m: 64, n: 48, k: 32, times: 1 });
            assert!(seconds.is_finite() && seconds >= 0.0, "{kind:?} {seconds}");
        }
    }
}
