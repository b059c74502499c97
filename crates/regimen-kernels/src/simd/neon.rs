//! The vectors of 64-bit ARM: four quarters of four lanes.
//!
//! SAFETY of every `unsafe` block here: NEON is part of every 64-bit ARM processor that this target runs on; pointers
//! are promised by the callers of the trait.

use std::arch::aarch64::{
    float32x4_t, vabsq_f32, vaddq_f32, vaddq_s32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvtnq_s32_f32, vdivq_f32,
    vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vget_high_f32, vget_lane_f32, vget_low_f32, vld1q_f32, vmulq_f32,
    vreinterpretq_f32_f64, vreinterpretq_f32_s32, vreinterpretq_f64_f32, vrndnq_f32, vshlq_n_s32, vsqrtq_f32,
    vst1q_f32, vsubq_f32, vtrn1q_f32, vtrn1q_f64, vtrn2q_f32, vtrn2q_f64,
};

use super::{LANES, Simd};
use crate::tile::Tile;

/// Lanes of a quarter.
const QUARTER: usize = 4;

// fields, not an array: loops over quarters cost the compiler minutes
#[derive(Clone, Copy)]
pub(crate) struct V128(float32x4_t, float32x4_t, float32x4_t, float32x4_t);

macro_rules! each {
    ($(fn $name:ident = $op:ident),*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            unsafe { Self($op(self.0), $op(self.1), $op(self.2), $op(self.3)) }
        }
    )* };
}

macro_rules! pairwise {
    ($(fn $name:ident = $op:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            unsafe { Self($op(self.0, o.0), $op(self.1, o.1), $op(self.2, o.2), $op(self.3, o.3)) }
        }
    )* };
}

/// `a` where it is larger, else `b`, as the x86 instruction has it; NEON's own maximum treats NaN and −0 otherwise.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

#[inline(always)]
unsafe fn smaller(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
}

/// 2^x for integral lanes.
#[inline(always)]
unsafe fn power(x: float32x4_t) -> float32x4_t {
    unsafe {
        let n = vaddq_s32(vcvtnq_s32_f32(x), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(n))
    }
}

impl Simd for V128 {
    // 24 accumulators, four vectors of B and the rows' values in 32 registers
    const TILE_ROWS: usize = 6;
    #[inline(always)]
    fn tile_vectors(rows: usize) -> usize {
        match rows {
            1 => 4,
            2 | 3 => 2,
            _ => 1,
        }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        let v = unsafe { vdupq_n_f32(x) };
        Self(v, v, v, v)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let mut lanes = [0.0f32; LANES];
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n.min(LANES));
            Self::load(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            vst1q_f32(p, self.0);
            vst1q_f32(p.add(4), self.1);
            vst1q_f32(p.add(8), self.2);
            vst1q_f32(p.add(12), self.3);
        }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe { std::ptr::copy_nonoverlapping(self.lanes().as_ptr(), p, n.min(LANES)) };
    }
    pairwise!(
        fn add = vaddq_f32,
        fn sub = vsubq_f32,
        fn mul = vmulq_f32,
        fn div = vdivq_f32,
        fn max = larger,
        fn min = smaller
    );
    each!(fn sqrt = vsqrtq_f32, fn round = vrndnq_f32, fn abs = vabsq_f32, fn pow2 = power);
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        unsafe {
            Self(
                vfmaq_f32(c.0, self.0, b.0),
                vfmaq_f32(c.1, self.1, b.1),
                vfmaq_f32(c.2, self.2, b.2),
                vfmaq_f32(c.3, self.3, b.3),
            )
        }
    }
    #[inline(always)]
    fn select_lt(self, o: Self, yes: Self, no: Self) -> Self {
        unsafe {
            Self(
                vbslq_f32(vcltq_f32(self.0, o.0), yes.0, no.0),
                vbslq_f32(vcltq_f32(self.1, o.1), yes.1, no.1),
                vbslq_f32(vcltq_f32(self.2, o.2), yes.2, no.2),
                vbslq_f32(vcltq_f32(self.3, o.3), yes.3, no.3),
            )
        }
    }
    #[inline(always)]
    fn swap_halves(self) -> Self {
        Self(self.2, self.3, self.0, self.1)
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        unsafe { self.store(out.as_mut_ptr()) };
        out
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let four = vaddq_f32(vaddq_f32(self.0, self.2), vaddq_f32(self.1, self.3));
            let (low, high) = (vget_low_f32(four), vget_high_f32(four));
            (vget_lane_f32::<0>(low) + vget_lane_f32::<0>(high))
                + (vget_lane_f32::<1>(low) + vget_lane_f32::<1>(high))
        }
    }
    #[inline(always)]
    fn hmax(self) -> f32 {
        let max = |x: f32, y: f32| if x > y { x } else { y };
        unsafe {
            let four = larger(larger(self.0, self.2), larger(self.1, self.3));
            let (low, high) = (vget_low_f32(four), vget_high_f32(four));
            max(
                max(vget_lane_f32::<0>(low), vget_lane_f32::<0>(high)),
                max(vget_lane_f32::<1>(low), vget_lane_f32::<1>(high)),
            )
        }
    }
    #[inline]
    unsafe fn tile<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
        if MR <= Self::TILE_ROWS {
            unsafe { crate::tile::body::<Self, MR, NV, AT, PART>(t) };
        }
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
        for i in (0..LANES).step_by(QUARTER) {
            for j in (0..LANES).step_by(QUARTER) {
                unsafe { transpose4(src.add(i * lds + j), lds, dst.add(j * ldd + i), ldd) };
            }
        }
    }
}

/// Transposes a 4×4 block.
#[inline(always)]
unsafe fn transpose4(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
    unsafe {
        let (a, b) = (vld1q_f32(src), vld1q_f32(src.add(lds)));
        let (c, d) = (vld1q_f32(src.add(2 * lds)), vld1q_f32(src.add(3 * lds)));
        // columns 0 and 2, then 1 and 3
        for (j, low, high) in
            [(0, vtrn1q_f32(a, b), vtrn1q_f32(c, d)), (1, vtrn2q_f32(a, b), vtrn2q_f32(c, d))]
        {
            let (low, high) = (vreinterpretq_f64_f32(low), vreinterpretq_f64_f32(high));
            vst1q_f32(dst.add(j * ldd), vreinterpretq_f32_f64(vtrn1q_f64(low, high)));
            vst1q_f32(dst.add((j + 2) * ldd), vreinterpretq_f32_f64(vtrn2q_f64(low, high)));
        }
    }
}
