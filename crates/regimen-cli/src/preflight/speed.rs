//! How fast this machine multiplies matrices, measured in a moment.

use regimen_core::run::Clock;
use regimen_kernels::gemm;

/// A square product of this side stays in the outer cache and keeps all threads busy.
const SIDE: usize = 512;

/// Long enough for the clock and for the processor's turbo to settle.
const SECONDS: f64 = 0.05;

/// Floating-point operations a second of a matrix product on all threads.
pub fn flops_per_second() -> f64 {
    let (a, b) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
    let mut c = vec![0f32; SIDE * SIDE];
    let mut once = || gemm::nt(&mut c, &a, &b, SIDE, SIDE, SIDE, false);
    once();
    let clock = Clock::start();
    let mut done = 0u32;
    while clock.seconds() < SECONDS {
        once();
        done += 1;
    }
    f64::from(done) * 2.0 * (SIDE as f64).powi(3) / clock.seconds()
}
