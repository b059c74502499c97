//! Sixteen lanes in an array: every machine, and what the other levels are compared with.

use super::{LANES, Simd};
use crate::tile::Tile;

/// Sixteen lanes without intrinsics.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn zip(self, o: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self;
        for (x, y) in out.0.iter_mut().zip(o.0) {
            *x = f(*x, y);
        }
        out
    }
}

impl Simd for Plain {
    const TILE_ROWS: usize = 6;
    fn tile_vectors(rows: usize) -> usize {
        if rows == 1 { 2 } else { 1 }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: 16 floats are readable (caller).
        Self(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let mut out = [0.0; LANES];
        for (i, x) in out.iter_mut().enumerate().take(n) {
            // SAFETY: `n` floats are readable (caller).
            *x = unsafe { *p.add(i) };
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: 16 floats are writable (caller).
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        for (i, x) in self.0.iter().enumerate().take(n) {
            // SAFETY: `n` floats are writable (caller).
            unsafe { *p.add(i) = *x };
        }
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        self.zip(o, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        self.zip(o, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        self.zip(o, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        self.zip(o, |x, y| x / y)
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        let mut out = c;
        for i in 0..LANES {
            out.0[i] = self.0[i].mul_add(b.0[i], c.0[i]);
        }
        out
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        self.zip(o, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        self.zip(o, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        Self(self.0.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32)))
    }
    #[inline(always)]
    fn select_lt(self, o: Self, yes: Self, no: Self) -> Self {
        let mut out = no;
        for i in 0..LANES {
            out.0[i] = if self.0[i] < o.0[i] { yes.0[i] } else { no.0[i] };
        }
        out
    }
    #[inline(always)]
    fn swap_halves(self) -> Self {
        Self(std::array::from_fn(|i| self.0[(i + LANES / 2) % LANES]))
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        self.0
    }
    #[inline]
    unsafe fn tile<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
        if MR <= Self::TILE_ROWS {
            // SAFETY: promised by the caller.
            unsafe { crate::tile::body::<Self, MR, NV, AT, PART>(t) };
        }
    }
}
