//! Sixteen f32 lanes, the same bits on every instruction set.
//!
//! Every operation is a correctly rounded IEEE operation on 16 lanes: one `zmm` register with AVX-512, two `ymm`
//! with AVX2+FMA, four quarters with NEON, an array elsewhere. Code that is generic over [`Simd`] therefore gives the same bits at every
//! [`Level`]; the order of every sum is fixed by the lane, never by the register width.

use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::V128;
pub(crate) use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{V256, V512};

use crate::tile::Tile;

/// Lanes of a vector, at every level.
pub(crate) const LANES: usize = 16;

/// Which instructions the kernels use. All levels give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512F (with VL, BW, DQ).
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON, which every 64-bit ARM processor has.
    Neon,
    /// No intrinsics; `f32::mul_add`.
    Portable,
}

const UNKNOWN: u8 = u8::MAX;
static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);

impl Level {
    /// All levels, the best first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

/// The level in use: the best of this CPU, unless [`force_level`] chose another.
pub fn level() -> Level {
    if let Some(level) = Level::ALL.get(usize::from(LEVEL.load(Ordering::Relaxed))) {
        return *level;
    }
    let best = best_level();
    LEVEL.store(best as u8, Ordering::Relaxed);
    best
}

/// The best level this CPU has.
pub fn best_level() -> Level {
    Level::ALL.into_iter().find(|l| supported(*l)).unwrap_or(Level::Portable)
}

/// Whether this CPU has the instructions of `level`.
pub fn supported(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        match level {
            Level::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("fma")
            }
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Level::Neon => false,
            Level::Portable => true,
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        level == Level::Portable || (level == Level::Neon && cfg!(target_arch = "aarch64"))
    }
}

/// Uses `level` from now on in the whole process; false (and no change) when this CPU lacks it. For tests and
/// for measuring: results do not depend on it.
pub fn force_level(level: Level) -> bool {
    let can = supported(level);
    if can {
        LEVEL.store(level as u8, Ordering::Relaxed);
    }
    can
}

/// Sixteen f32 lanes. Values exist only below [`simd!`], after the CPU was checked.
pub(crate) trait Simd: Copy {
    /// Rows of the largest register tile.
    const TILE_ROWS: usize;
    /// Vectors in a register tile of `rows` rows (so that enough chains run beside each other).
    fn tile_vectors(rows: usize) -> usize;

    fn splat(x: f32) -> Self;
    /// # Safety
    /// `p` must be readable for 16 floats.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// `p` must be readable for `n` floats; the other lanes are +0.
    unsafe fn load_part(p: *const f32, n: usize) -> Self;
    /// # Safety
    /// `p` must be writable for 16 floats.
    unsafe fn store(self, p: *mut f32);
    /// # Safety
    /// `p` must be writable for `n` floats; only these are touched.
    unsafe fn store_part(self, p: *mut f32, n: usize);
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    fn div(self, o: Self) -> Self;
    /// `self · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// The larger; `o` where a lane is NaN.
    fn max(self, o: Self) -> Self;
    /// The smaller; `o` where a lane is NaN.
    fn min(self, o: Self) -> Self;
    fn sqrt(self) -> Self;
    /// To the nearest integer, ties to even.
    fn round(self) -> Self;
    fn abs(self) -> Self;
    /// 2^self for integral lanes in −126..=127.
    fn pow2(self) -> Self;
    /// Per lane `self < o ? yes : no`.
    fn select_lt(self, o: Self, yes: Self, no: Self) -> Self;
    /// Lanes 0–7 and 8–15 exchanged.
    fn swap_halves(self) -> Self;
    fn lanes(self) -> [f32; LANES];
    /// Asks for the cache line at `p`, which need not be readable.
    #[inline(always)]
    fn prefetch(_p: *const f32) {}

    /// Runs a register tile with this level's instructions.
    /// # Safety
    /// As [`crate::tile::body`].
    unsafe fn tile<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile);

    /// Writes the transpose of the 16×16 block at `src` (row stride `lds`) to `dst` (row stride `ldd`).
    /// # Safety
    /// Both blocks must be valid and must not overlap.
    #[inline(always)]
    unsafe fn transpose(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
        for i in 0..LANES {
            for j in 0..LANES {
                // SAFETY: inside the blocks promised by the caller.
                unsafe { *dst.add(j * ldd + i) = *src.add(i * lds + j) };
            }
        }
    }

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// Lanes 0–7 of `low` and 8–15 of `high`.
    #[inline(always)]
    fn halves(low: Self, high: Self) -> Self {
        const INDEX: [f32; LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
        // SAFETY: sixteen floats.
        unsafe { Self::load(INDEX.as_ptr()) }.select_lt(Self::splat(8.0), low, high)
    }

    /// Sum of the lanes by a fixed tree: lanes 8 apart, then 4, 2, 1.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut l = self.lanes();
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                l[i] += l[i + half];
            }
            half /= 2;
        }
        l[0]
    }

    /// Largest lane.
    #[inline(always)]
    fn hmax(self) -> f32 {
        let mut l = self.lanes();
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                l[i] = if l[i] > l[i + half] { l[i] } else { l[i + half] };
            }
            half /= 2;
        }
        l[0]
    }
}

/// The vector at `x[i..]`, +0 beyond the end.
#[inline(always)]
pub(crate) fn at<V: Simd>(x: &[f32], i: usize) -> V {
    if i + LANES <= x.len() {
        // SAFETY: the 16 floats are inside the slice.
        unsafe { V::load(x.as_ptr().add(i)) }
    } else {
        let n = x.len().saturating_sub(i);
        // SAFETY: `n` floats are inside the slice; with n == 0 the pointer is not read.
        unsafe { V::load_part(x.as_ptr().wrapping_add(i), n) }
    }
}

/// `fold4!(n, start, |acc, i| term)`: folds the term over the vectors at 0, 16, 32, … below `n` into four strided
/// accumulators, the fixed order of every sum (and maximum) of the crate. A macro because a closure would not get the
/// instruction set of the function around it.
macro_rules! fold4 {
    ($n:expr, $start:expr, |$acc:ident, $i:ident| $term:expr) => {{
        let n: usize = $n;
        let [mut a, mut b, mut c, mut d] = [$start; 4];
        macro_rules! step {
            ($into:ident, $at:expr) => {{
                let ($acc, $i) = ($into, $at);
                $into = $term;
            }};
        }
        let mut at = 0;
        while at + 3 * $crate::simd::LANES < n {
            step!(a, at);
            step!(b, at + $crate::simd::LANES);
            step!(c, at + 2 * $crate::simd::LANES);
            step!(d, at + 3 * $crate::simd::LANES);
            at += 4 * $crate::simd::LANES;
        }
        if at < n {
            step!(a, at);
        }
        if at + $crate::simd::LANES < n {
            step!(b, at + $crate::simd::LANES);
        }
        if at + 2 * $crate::simd::LANES < n {
            step!(c, at + 2 * $crate::simd::LANES);
        }
        [a, b, c, d]
    }};
}
pub(crate) use fold4;

/// [`fold4!`]'s accumulators as one vector of sums.
#[inline(always)]
pub(crate) fn joined<V: Simd>(a: [V; 4]) -> V {
    a[0].add(a[1]).add(a[2].add(a[3]))
}

/// The sum of [`fold4!`]'s accumulators.
#[inline(always)]
pub(crate) fn total<V: Simd>(a: [V; 4]) -> f32 {
    joined(a).sum()
}

/// The largest lane of [`fold4!`]'s accumulators.
#[inline(always)]
pub(crate) fn largest<V: Simd>(a: [V; 4]) -> f32 {
    a[0].max(a[1]).max(a[2].max(a[3])).hmax()
}

/// Writes the vector to `x[i..]`, dropping lanes beyond the end.
#[inline(always)]
pub(crate) fn put<V: Simd>(x: &mut [f32], i: usize, v: V) {
    if i + LANES <= x.len() {
        // SAFETY: the 16 floats are inside the slice.
        unsafe { v.store(x.as_mut_ptr().add(i)) }
    } else {
        let n = x.len().saturating_sub(i);
        // SAFETY: `n` floats are inside the slice; with n == 0 the pointer is not written.
        unsafe { v.store_part(x.as_mut_ptr().wrapping_add(i), n) }
    }
}

/// Defines `fn name(args) -> out` that runs `body::<V>` with the instructions of the level in use. `body` must be
/// `#[inline(always)]` and generic over [`Simd`]. `in "part"` names the part of the work that it is to
/// [`crate::span()`].
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? => $body:ident
        $(in $part:literal)?) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "slices with their widths")]
        $vis fn $name($($arg: $ty),*) $(-> $out)? {
            $(let _part = $crate::span::span($part);)?
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments, reason = "as above")]
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                fn on_avx512($($arg: $ty),*) $(-> $out)? {
                    $body::<$crate::simd::V512>($($arg),*)
                }
                #[allow(clippy::too_many_arguments, reason = "as above")]
                #[target_feature(enable = "avx2,fma")]
                fn on_avx2($($arg: $ty),*) $(-> $out)? {
                    $body::<$crate::simd::V256>($($arg),*)
                }
                match $crate::simd::level() {
                    // SAFETY: `level` gives only what `supported` found on this CPU.
                    $crate::simd::Level::Avx512 => return unsafe { on_avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { on_avx2($($arg),*) },
                    _ => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            if $crate::simd::level() == $crate::simd::Level::Neon {
                return $body::<$crate::simd::V128>($($arg),*);
            }
            $body::<$crate::simd::Plain>($($arg),*)
        }
    };
}
pub(crate) use simd;
