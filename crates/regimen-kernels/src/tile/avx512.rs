//! The register tiles of m × 32, in assembly: the compiler spills accumulators here, and this loop is where
//! most of a training step is spent.
//!
//! Per step of k: two loads of B, one broadcast and two fused multiply-adds a row. Rows are addressed from a base for
//! every three of them (+0, +1, +2 strides), which leaves enough general registers. Four steps a turn, so that
//! less is counted and added beside the multiply-adds.

use std::arch::asm;
use std::arch::x86_64::{__m512, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};

use super::Tile;

/// Rows for which there is a kernel here.
pub(crate) const fn has(rows: usize) -> bool {
    rows >= 7 && rows <= 14
}

/// Two vectors of B, with what is read next on its way: the next two panels (weights come from the outer caches), or rows
/// ten further in these.
macro_rules! vectors {
    (then panels) => {
        "vmovups {b0}, [{b}]\nvmovups {b1}, [{b} + {bv}]\nprefetcht1 [{b} + 2*{bv}]\nprefetcht1 [{b} + {bv3}]"
    };
    (then rows) => {
        "vmovups {b0}, [{b}]\nvmovups {b1}, [{b} + {bv}]\nprefetcht0 [{b} + 640]\nprefetcht0 [{b} + {bv} + 640]"
    };
}

/// One row of the tile at one k: the element of A at `address + offset`.
macro_rules! row {
    ($c0:ident $c1:ident, $address:expr, $offset:literal) => {
        concat!(
            "vbroadcastss {x}, dword ptr [",
            $address,
            " + ",
            $offset,
            "]\nvfmadd231ps {",
            stringify!($c0),
            "}, {x}, {b0}\nvfmadd231ps {",
            stringify!($c1),
            "}, {x}, {b1}"
        )
    };
}

macro_rules! kernel {
    ($name:ident, $rows:literal, $($i:literal $c0:ident $c1:ident $address:literal),*) => {
        /// # Safety
        /// As `tile::body`, with k > 0, on a CPU with AVX-512F.
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(t: &Tile) {
            // SAFETY: all addresses lie inside the operands (caller); the assembly only reads memory and writes the
            // registers it names.
            unsafe {
                let mut acc = start::<$rows>(t);
                // named for their type: without one the compiler has printed a byte register here
                let (_b0, _b1, _x): (__m512, __m512, __m512);
                let stride = t.a_row * 4;
                asm!(
                    "sub {k}, 4",
                    "jb 3f",
                    "2:",
                    vectors!(then panels),
                    $(row!($c0 $c1, $address, 0),)*
                    "add {b}, {br}",
                    vectors!(then panels),
                    $(row!($c0 $c1, $address, 4),)*
                    "add {b}, {br}",
                    vectors!(then panels),
                    $(row!($c0 $c1, $address, 8),)*
                    "add {b}, {br}",
                    vectors!(then panels),
                    $(row!($c0 $c1, $address, 12),)*
                    "add {b}, {br}",
                    "add {a0}, 16",
                    "add {a1}, 16",
                    "add {a2}, 16",
                    "add {a3}, 16",
                    "add {a4}, 16",
                    "sub {k}, 4",
                    "jae 2b",
                    "3:",
                    "add {k}, 4",
                    "jz 5f",
                    "4:",
                    vectors!(then panels),
                    $(row!($c0 $c1, $address, 0),)*
                    "add {b}, {br}",
                    "add {a0}, 4",
                    "add {a1}, 4",
                    "add {a2}, 4",
                    "add {a3}, 4",
                    "add {a4}, 4",
                    "dec {k}",
                    "jnz 4b",
                    "5:",
                    $(
                        $c0 = inout(zmm_reg) acc[$i][0],
                        $c1 = inout(zmm_reg) acc[$i][1],
                    )*
                    b0 = out(zmm_reg) _b0,
                    b1 = out(zmm_reg) _b1,
                    x = out(zmm_reg) _x,
                    a0 = inout(reg) t.a => _,
                    a1 = inout(reg) t.a.wrapping_byte_add(3 * stride) => _,
                    a2 = inout(reg) t.a.wrapping_byte_add(6 * stride) => _,
                    a3 = inout(reg) t.a.wrapping_byte_add(9 * stride) => _,
                    a4 = inout(reg) t.a.wrapping_byte_add(12 * stride) => _,
                    s = in(reg) stride,
                    b = inout(reg) t.b => _,
                    bv = in(reg) t.b_vec * 4,
                    bv3 = in(reg) t.b_vec * 12,
                    br = in(reg) t.b_row * 4,
                    k = inout(reg) t.k => _,
                    options(readonly, nostack),
                );
                finish(t, &acc);
            }
        }
    };
}

macro_rules! kernel_transposed {
    ($name:ident, $rows:literal, $($i:literal $c0:ident $c1:ident),*) => {
        /// # Safety
        /// As `tile::body`, with k > 0, on a CPU with AVX-512F.
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(t: &Tile) {
            // SAFETY: all addresses lie inside the operands (caller); the assembly only reads memory and writes the
            // registers it names.
            unsafe {
                let mut acc = start::<$rows>(t);
                // named for their type: without one the compiler has printed a byte register here
                let (_b0, _b1, _x): (__m512, __m512, __m512);
                asm!(
                    "sub {k}, 4",
                    "jb 3f",
                    "2:",
                    vectors!(then rows),
                    $(row!($c0 $c1, concat!("{a} + 4*", $i), 0),)*
                    "add {b}, {br}",
                    vectors!(then rows),
                    $(row!($c0 $c1, concat!("{a} + {s} + 4*", $i), 0),)*
                    "add {b}, {br}",
                    vectors!(then rows),
                    $(row!($c0 $c1, concat!("{a} + 2*{s} + 4*", $i), 0),)*
                    "add {b}, {br}",
                    vectors!(then rows),
                    $(row!($c0 $c1, concat!("{a} + {s3} + 4*", $i), 0),)*
                    "add {b}, {br}",
                    "lea {a}, [{a} + 4*{s}]",
                    "sub {k}, 4",
                    "jae 2b",
                    "3:",
                    "add {k}, 4",
                    "jz 5f",
                    "4:",
                    vectors!(then rows),
                    $(row!($c0 $c1, concat!("{a} + 4*", $i), 0),)*
                    "add {a}, {s}",
                    "add {b}, {br}",
                    "dec {k}",
                    "jnz 4b",
                    "5:",
                    $(
                        $c0 = inout(zmm_reg) acc[$i][0],
                        $c1 = inout(zmm_reg) acc[$i][1],
                    )*
                    b0 = out(zmm_reg) _b0,
                    b1 = out(zmm_reg) _b1,
                    x = out(zmm_reg) _x,
                    a = inout(reg) t.a => _,
                    s = in(reg) t.a_row * 4,
                    s3 = in(reg) t.a_row * 12,
                    b = inout(reg) t.b => _,
                    bv = in(reg) t.b_vec * 4,
                    br = in(reg) t.b_row * 4,
                    k = inout(reg) t.k => _,
                    options(readonly, nostack),
                );
                finish(t, &acc);
            }
        }
    };
}

/// # Safety
/// As `tile::body`.
#[inline(always)]
unsafe fn start<const MR: usize>(t: &Tile) -> [[__m512; 2]; MR] {
    // SAFETY: rows of the operands promised by the caller; AVX-512F by the callers' target feature.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); 2]; MR];
        if !t.from.is_null() {
            for (i, row) in acc.iter_mut().enumerate() {
                let p = t.from.add(i * t.from_row);
                *row = [_mm512_loadu_ps(p), _mm512_loadu_ps(p.add(16))];
            }
        }
        acc
    }
}

/// # Safety
/// As `tile::body`.
#[inline(always)]
unsafe fn finish<const MR: usize>(t: &Tile, acc: &[[__m512; 2]; MR]) {
    for (i, row) in acc.iter().enumerate() {
        // SAFETY: as in `start`.
        unsafe {
            let p = t.c.add(i * t.c_row);
            _mm512_storeu_ps(p, row[0]);
            _mm512_storeu_ps(p.add(16), row[1]);
        }
    }
}

#[rustfmt::skip]
kernel!(rows_7, 7,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}"
);
#[rustfmt::skip]
kernel!(rows_8, 8,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}"
);
#[rustfmt::skip]
kernel!(rows_9, 9,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}"
);
#[rustfmt::skip]
kernel!(rows_10, 10,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}",
    9 c9 v9 "{a3}"
);
#[rustfmt::skip]
kernel!(rows_11, 11,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}",
    9 c9 v9 "{a3}",
    10 c10 v10 "{a3} + {s}"
);
#[rustfmt::skip]
kernel!(rows_12, 12,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}",
    9 c9 v9 "{a3}",
    10 c10 v10 "{a3} + {s}",
    11 c11 v11 "{a3} + 2*{s}"
);
#[rustfmt::skip]
kernel!(rows_13, 13,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}",
    9 c9 v9 "{a3}",
    10 c10 v10 "{a3} + {s}",
    11 c11 v11 "{a3} + 2*{s}",
    12 c12 v12 "{a4}"
);
#[rustfmt::skip]
kernel!(rows_14, 14,
    0 c0 v0 "{a0}",
    1 c1 v1 "{a0} + {s}",
    2 c2 v2 "{a0} + 2*{s}",
    3 c3 v3 "{a1}",
    4 c4 v4 "{a1} + {s}",
    5 c5 v5 "{a1} + 2*{s}",
    6 c6 v6 "{a2}",
    7 c7 v7 "{a2} + {s}",
    8 c8 v8 "{a2} + 2*{s}",
    9 c9 v9 "{a3}",
    10 c10 v10 "{a3} + {s}",
    11 c11 v11 "{a3} + 2*{s}",
    12 c12 v12 "{a4}",
    13 c13 v13 "{a4} + {s}"
);

#[rustfmt::skip]
kernel_transposed!(columns_7, 7, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6);
#[rustfmt::skip]
kernel_transposed!(columns_8, 8, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7);
#[rustfmt::skip]
kernel_transposed!(columns_9, 9, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8);
#[rustfmt::skip]
kernel_transposed!(columns_10, 10, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8, 9 c9 v9);
#[rustfmt::skip]
kernel_transposed!(columns_11, 11, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8, 9 c9 v9, 10 c10 v10);
#[rustfmt::skip]
kernel_transposed!(columns_12, 12, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8, 9 c9 v9, 10 c10 v10, 11 c11 v11);
#[rustfmt::skip]
kernel_transposed!(columns_13, 13, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8, 9 c9 v9, 10 c10 v10, 11 c11 v11, 12 c12 v12);
#[rustfmt::skip]
kernel_transposed!(columns_14, 14, 0 c0 v0, 1 c1 v1, 2 c2 v2, 3 c3 v3, 4 c4 v4, 5 c5 v5, 6 c6 v6, 7 c7 v7, 8 c8 v8, 9 c9 v9, 10 c10 v10, 11 c11 v11, 12 c12 v12, 13 c13 v13);

/// Runs the tile.
/// # Safety
/// As `tile::body`; `has(rows)`; a CPU with AVX-512F.
#[inline(always)]
pub(crate) unsafe fn run<const AT: bool>(rows: usize, t: &Tile) {
    // SAFETY: promised by the caller.
    unsafe {
        match (AT, rows) {
            (false, 7) => rows_7(t),
            (true, 7) => columns_7(t),
            (false, 8) => rows_8(t),
            (true, 8) => columns_8(t),
            (false, 9) => rows_9(t),
            (true, 9) => columns_9(t),
            (false, 10) => rows_10(t),
            (true, 10) => columns_10(t),
            (false, 11) => rows_11(t),
            (true, 11) => columns_11(t),
            (false, 12) => rows_12(t),
            (true, 12) => columns_12(t),
            (false, 13) => rows_13(t),
            (true, 13) => columns_13(t),
            (false, _) => rows_14(t),
            (true, _) => columns_14(t),
        }
    }
}
