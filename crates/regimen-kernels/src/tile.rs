//! The register tile: `C[MR, 16·NV] = C₀ + A·B`, one chain of fused multiply-adds in k order per element.
//!
//! All matrix products of the crate end here, so this file is what makes them equal bit for bit however they are
//! blocked: a chain starts at the value already in C (or at +0) and adds k = 0, 1, 2, … with one rounding each.

use crate::simd::{LANES, Simd};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;

/// Operands of one tile. Element `A(i, p)` is at `a[i·a_row + p]` (or `a[i + p·a_row]` when transposed); vector v of
/// row p of B is at `b[v·b_vec + p·b_row]`.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub a: *const f32,
    pub a_row: usize,
    pub b: *const f32,
    pub b_vec: usize,
    pub b_row: usize,
    pub k: usize,
    /// Where the chains start; null for +0.
    pub from: *const f32,
    pub from_row: usize,
    pub c: *mut f32,
    pub c_row: usize,
    /// Columns of the only vector when `PART`.
    pub part: usize,
}

/// Keeps the compiler from mixing the loads of two steps of k, which would spill the accumulators.
#[inline(always)]
fn in_order() {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction; it only forbids moving memory accesses across this point.
    unsafe {
        std::arch::asm!("", options(nostack, preserves_flags));
    }
}

/// # Safety
/// All operands must be valid for the tile's extent; C must not overlap A or B.
#[inline(always)]
pub(crate) unsafe fn body<V: Simd, const MR: usize, const NV: usize, const AT: bool, const PART: bool>(
    t: &Tile,
) {
    // SAFETY: every address below is inside the operands promised by the caller.
    unsafe {
        let mut acc = [[V::zero(); NV]; MR];
        if !t.from.is_null() {
            for (i, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    let p = t.from.add(i * t.from_row + v * LANES);
                    *x = if PART { V::load_part(p, t.part) } else { V::load(p) };
                }
            }
        }
        let mut rows = [t.a; MR];
        if !AT {
            for (i, row) in rows.iter_mut().enumerate() {
                *row = t.a.add(i * t.a_row);
            }
        }
        let mut a = t.a;
        let mut b = t.b;
        let mut p = 0;
        macro_rules! one_k {
            ($u:expr) => {{
                let mut bv = [V::zero(); NV];
                for (v, x) in bv.iter_mut().enumerate() {
                    let at = b.add(v * t.b_vec);
                    *x = if PART { V::load_part(at, t.part) } else { V::load(at) };
                }
                for i in 0..MR {
                    let x = V::splat(if AT { *a.add(i) } else { *rows[i].add(p + $u) });
                    for v in 0..NV {
                        acc[i][v] = x.fma(bv[v], acc[i][v]);
                    }
                }
                if AT {
                    a = a.add(t.a_row);
                }
                b = b.add(t.b_row);
                in_order();
            }};
        }
        while p + 4 <= t.k {
            one_k!(0);
            one_k!(1);
            one_k!(2);
            one_k!(3);
            p += 4;
        }
        while p < t.k {
            one_k!(0);
            p += 1;
        }
        for (i, row) in acc.iter().enumerate() {
            for (v, x) in row.iter().enumerate() {
                let p = t.c.add(i * t.c_row + v * LANES);
                if PART {
                    x.store_part(p, t.part);
                } else {
                    x.store(p);
                }
            }
        }
    }
}

/// Runs the tile of `rows` rows and `vectors` vectors.
/// # Safety
/// As [`body`]; `rows` ≤ `V::TILE_ROWS`, `vectors` ∈ {1, 2, 4, 8} (with one row 1..=8) and at most `V::tile_vectors(rows)`.
#[inline(always)]
pub(crate) unsafe fn run<V: Simd, const AT: bool>(rows: usize, vectors: usize, t: &Tile) {
    macro_rules! pick {
        ($(($mr:literal, $nv:literal)),*) => {
            match (rows, vectors) {
                // SAFETY: promised by the caller.
                $(($mr, $nv) => unsafe { V::tile::<$mr, $nv, AT, false>(t) },)*
                _ => unreachable!("no such register tile"),
            }
        };
    }
    macro_rules! pick_part {
        ($($mr:literal),*) => {
            match rows {
                // SAFETY: promised by the caller.
                $($mr => unsafe { V::tile::<$mr, 1, AT, true>(t) },)*
                _ => unreachable!("no such register tile"),
            }
        };
    }
    if vectors == 1 && t.part < LANES {
        pick_part!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
        return;
    }
    pick!(
        (1, 8),
        (2, 8),
        (1, 7),
        (1, 6),
        (1, 5),
        (1, 3),
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
        (5, 4),
        (6, 4),
        (1, 2),
        (2, 2),
        (3, 2),
        (4, 2),
        (5, 2),
        (6, 2),
        (7, 2),
        (8, 2),
        (9, 2),
        (10, 2),
        (11, 2),
        (12, 2),
        (13, 2),
        (14, 2),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (6, 1),
        (7, 1),
        (8, 1),
        (9, 1),
        (10, 1),
        (11, 1),
        (12, 1),
        (13, 1),
        (14, 1)
    );
}
