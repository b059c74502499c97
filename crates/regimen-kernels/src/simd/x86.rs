//! The x86-64 vectors: one `zmm` register, or a pair of `ymm`.
//!
//! SAFETY of every `unsafe` block here: the intrinsics need AVX-512 or AVX2+FMA. Values of these types are made
//! only below `simd!`, which checked the CPU first; pointers are promised by the callers of the trait.

use std::arch::x86_64::{
    __m256, __m512, __m512i, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0,
    _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_ps, _mm_max_ps, _mm_max_ss, _mm_movehl_ps, _mm_prefetch,
    _mm_shuffle_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_andnot_ps, _mm256_blendv_ps,
    _mm256_castps128_ps256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtps_epi32,
    _mm256_div_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_sqrt_ps,
    _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_abs_ps, _mm512_add_epi32,
    _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps512_ps256, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtps_epi32, _mm512_div_ps, _mm512_extractf32x8_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_shuffle_f32x4, _mm512_slli_epi32, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{LANES, Simd};
use crate::tile::Tile;

#[derive(Clone, Copy)]
pub(crate) struct V512(__m512);

#[inline(always)]
fn mask(n: usize) -> u16 {
    if n >= LANES { u16::MAX } else { (1u16 << n) - 1 }
}

impl Simd for V512 {
    const TILE_ROWS: usize = 14;
    #[inline(always)]
    fn tile_vectors(rows: usize) -> usize {
        match rows {
            0..=2 => 8,
            3..=6 => 4,
            _ => 2,
        }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(mask(n), p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { _mm512_storeu_ps(p, self.0) };
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, mask(n), self.0) };
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, o.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { _mm512_abs_ps(self.0) })
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let n: __m512i = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(n)))
        }
    }
    #[inline(always)]
    fn select_lt(self, o: Self, yes: Self, no: Self) -> Self {
        unsafe { Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, o.0), no.0, yes.0)) }
    }
    #[inline(always)]
    fn swap_halves(self) -> Self {
        Self(unsafe { _mm512_shuffle_f32x4::<0x4e>(self.0, self.0) })
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { sum8(_mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0))) }
    }
    #[inline(always)]
    fn hmax(self) -> f32 {
        unsafe { max8(_mm256_max_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0))) }
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
    #[inline(always)]
    unsafe fn tile<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        unsafe fn go<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
            unsafe { crate::tile::body::<V512, MR, NV, AT, PART>(t) };
        }
        if !PART && NV == 2 && crate::tile::avx512::has(MR) && t.k > 0 {
            unsafe { crate::tile::avx512::run::<AT>(MR, t) };
        } else {
            unsafe { go::<MR, NV, AT, PART>(t) };
        }
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
        unsafe {
            let mut r = [_mm512_set1_ps(0.0); LANES];
            for (i, x) in r.iter_mut().enumerate() {
                *x = _mm512_loadu_ps(src.add(i * lds));
            }
            // 4×4 blocks inside the 128-bit lanes: s[4g + c], lane L = column 4L + c of rows 4g..4g + 3
            let mut s = r;
            for g in 0..4 {
                let (a, b, c, d) = (r[4 * g], r[4 * g + 1], r[4 * g + 2], r[4 * g + 3]);
                let (t0, t1) =
                    (_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(a, b)));
                let (t2, t3) =
                    (_mm512_castps_pd(_mm512_unpacklo_ps(c, d)), _mm512_castps_pd(_mm512_unpackhi_ps(c, d)));
                s[4 * g] = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
                s[4 * g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
                s[4 * g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
                s[4 * g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
            }
            // then 4×4 of the lanes themselves
            for c in 0..4 {
                let even0 = _mm512_shuffle_f32x4::<0x88>(s[c], s[4 + c]);
                let even1 = _mm512_shuffle_f32x4::<0x88>(s[8 + c], s[12 + c]);
                let odd0 = _mm512_shuffle_f32x4::<0xdd>(s[c], s[4 + c]);
                let odd1 = _mm512_shuffle_f32x4::<0xdd>(s[8 + c], s[12 + c]);
                _mm512_storeu_ps(dst.add(c * ldd), _mm512_shuffle_f32x4::<0x88>(even0, even1));
                _mm512_storeu_ps(dst.add((4 + c) * ldd), _mm512_shuffle_f32x4::<0x88>(odd0, odd1));
                _mm512_storeu_ps(dst.add((8 + c) * ldd), _mm512_shuffle_f32x4::<0xdd>(even0, even1));
                _mm512_storeu_ps(dst.add((12 + c) * ldd), _mm512_shuffle_f32x4::<0xdd>(odd0, odd1));
            }
        }
    }
}

/// The rest of the fixed tree: lanes 4 apart, then 2, then 1.
#[inline(always)]
unsafe fn sum8(x: __m256) -> f32 {
    unsafe {
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
    }
}

#[inline(always)]
unsafe fn max8(x: __m256) -> f32 {
    unsafe {
        let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps::<1>(x, x)))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct V256(__m256, __m256);

/// Rows 8 − n.. of this table mask the first n lanes of a `ymm`.
static PART: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

macro_rules! pairwise {
    ($($name:ident = $op:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            unsafe { Self($op(self.0, o.0), $op(self.1, o.1)) }
        }
    )* };
}

impl Simd for V256 {
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
        let v = unsafe { _mm256_set1_ps(x) };
        Self(v, v)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let (lo, hi) = (n.min(8), n.saturating_sub(8).min(8));
        unsafe {
            let a = _mm256_loadu_si256(PART.as_ptr().add(8 - lo).cast());
            let b = _mm256_loadu_si256(PART.as_ptr().add(8 - hi).cast());
            Self(_mm256_maskload_ps(p, a), _mm256_maskload_ps(p.wrapping_add(8), b))
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        let (lo, hi) = (n.min(8), n.saturating_sub(8).min(8));
        unsafe {
            let a = _mm256_loadu_si256(PART.as_ptr().add(8 - lo).cast());
            let b = _mm256_loadu_si256(PART.as_ptr().add(8 - hi).cast());
            _mm256_maskstore_ps(p, a, self.0);
            _mm256_maskstore_ps(p.wrapping_add(8), b, self.1);
        }
    }
    pairwise!(
        add = _mm256_add_ps,
        sub = _mm256_sub_ps,
        mul = _mm256_mul_ps,
        div = _mm256_div_ps,
        max = _mm256_max_ps,
        min = _mm256_min_ps
    );
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        unsafe { Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        unsafe {
            Self(
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0),
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.1),
            )
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
        }
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let one = |x| {
                let n = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(n))
            };
            Self(one(self.0), one(self.1))
        }
    }
    #[inline(always)]
    fn select_lt(self, o: Self, yes: Self, no: Self) -> Self {
        unsafe {
            Self(
                _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, o.0)),
                _mm256_blendv_ps(no.1, yes.1, _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, o.1)),
            )
        }
    }
    #[inline(always)]
    fn swap_halves(self) -> Self {
        Self(self.1, self.0)
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { sum8(_mm256_add_ps(self.0, self.1)) }
    }
    #[inline(always)]
    fn hmax(self) -> f32 {
        unsafe { max8(_mm256_max_ps(self.0, self.1)) }
    }
    #[inline(always)]
    fn lanes(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        unsafe { self.store(out.as_mut_ptr()) };
        out
    }
    #[inline(always)]
    unsafe fn tile<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn go<const MR: usize, const NV: usize, const AT: bool, const PART: bool>(t: &Tile) {
            unsafe { crate::tile::body::<V256, MR, NV, AT, PART>(t) };
        }
        if MR <= Self::TILE_ROWS {
            unsafe { go::<MR, NV, AT, PART>(t) };
        }
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
        for i in (0..LANES).step_by(8) {
            for j in (0..LANES).step_by(8) {
                unsafe { transpose8(src.add(i * lds + j), lds, dst.add(j * ldd + i), ldd) };
            }
        }
    }
}

/// Transposes an 8×8 block.
#[inline(always)]
unsafe fn transpose8(src: *const f32, lds: usize, dst: *mut f32, ldd: usize) {
    unsafe {
        for j in [0, 4] {
            let at = |i: usize| src.add(i * lds + j);
            let (a, b) = (two_rows(at(0), at(4)), two_rows(at(1), at(5)));
            let (c, d) = (two_rows(at(2), at(6)), two_rows(at(3), at(7)));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            _mm256_storeu_ps(dst.add(j * ldd), _mm256_shuffle_ps::<0x44>(ab, cd));
            _mm256_storeu_ps(dst.add((j + 1) * ldd), _mm256_shuffle_ps::<0xee>(ab, cd));
            let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            _mm256_storeu_ps(dst.add((j + 2) * ldd), _mm256_shuffle_ps::<0x44>(ab, cd));
            _mm256_storeu_ps(dst.add((j + 3) * ldd), _mm256_shuffle_ps::<0xee>(ab, cd));
        }
    }
}

/// Four floats of one row in the lower half, four of another in the upper.
#[inline(always)]
unsafe fn two_rows(low: *const f32, high: *const f32) -> __m256 {
    unsafe { _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high)) }
}
