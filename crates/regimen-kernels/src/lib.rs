//! kernels
mod gemm_tests;
pub mod gemm;
mod math;
mod par;
mod shape;
mod simd;
mod tile;
pub use shape::{Activation, Entry, Layout, Norm, Shape};
pub use simd::{Level, best_level, force_level, level, supported};
