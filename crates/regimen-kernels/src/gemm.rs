//! Matrix products. Every element of C is one chain of fused multiply-adds in k order, from C's old value when
//! accumulating and from 0 otherwise: results do not depend on blocking, threads, batch or instruction set.

use std::sync::LazyLock;

use crate::buffer::{Scratch, grow};
use crate::half::{Half, widen_body};
use crate::par::{self, Block, Columns, Shared};
use crate::simd::{LANES, Simd, simd};
use crate::tile::{self, Tile};

/// Rows of C that a task computes at once: A and C stay in the second-level cache.
pub(crate) const ROW_BLOCK: usize = 128;

/// The right-hand matrix B[k, n] of a product, in panels of 16 columns: `panel[n / 16][k][16]`, zero padded.
#[derive(Clone, Debug, Default)]
pub struct PackedMatrix {
    data: Vec<f32>,
    /// Instead of `data`: the same panels in 16 bits.
    half: Option<(Half, Vec<u16>)>,
    k: usize,
    n: usize,
}

impl PackedMatrix {
    /// Packs weights `w[n, k]` for y = x·Wᵀ.
    pub fn weights(&mut self, w: &[f32], n: usize, k: usize) {
        assert_eq!(w.len(), n * k, "weights are [n, k]");
        let out = self.resize(n, k);
        par::each(n.div_ceil(LANES), |_, panel| {
            // SAFETY: one panel a task.
            pack_panel_nt(unsafe { out.part(panel * k * LANES, k * LANES) }, w, n, k, panel);
        });
    }

    /// Packs `b[k, n]` for C = A·B (dx = dy·W with W[k, n]).
    pub fn plain(&mut self, b: &[f32], k: usize, n: usize) {
        assert_eq!(b.len(), n * k, "the matrix is [k, n]");
        let out = self.resize(n, k);
        par::each(n.div_ceil(LANES), |_, panel| {
            // SAFETY: one panel a task.
            pack_panel_nn(unsafe { out.part(panel * k * LANES, k * LANES) }, b, n, k, panel);
        });
    }

    /// Sets the size; contents are then written panel by panel.
    pub(crate) fn resize(&mut self, n: usize, k: usize) -> Shared<'_> {
        (self.n, self.k, self.half) = (n, k, None);
        grow(&mut self.data, n.div_ceil(LANES) * k * LANES);
        Shared::new(&mut self.data)
    }

    /// The same for panels in 16 bits.
    pub(crate) fn resize_half(&mut self, n: usize, k: usize, half: Half) -> Shared<'_, u16> {
        (self.n, self.k, self.data) = (n, k, Vec::new());
        let (format, bits) = self.half.get_or_insert((half, Vec::new()));
        *format = half;
        let len = n.div_ceil(LANES) * k * LANES;
        if bits.len() < len {
            // room to widen blocks in, before the first product
            par::on_every_thread(|| drop(Scratch::take(WIDE)));
        }
        bits.resize(len, 0);
        Shared::new(bits)
    }

    /// Columns of B.
    pub fn columns(&self) -> usize {
        self.n
    }

    /// Rows of B: the length of the chains.
    pub fn depth(&self) -> usize {
        self.k
    }

    /// The panels, of a matrix in f32.
    pub(crate) fn panels(&self) -> &[f32] {
        &self.data
    }
}

simd!(
    /// Writes one panel (`[k][16]`, columns 16·panel..) of the transposed `w[n, k]`.
    pub(crate) fn pack_panel_nt(out: &mut [f32], w: &[f32], n: usize, k: usize, panel: usize) => pack_panel_nt_body);

#[inline(always)]
fn pack_panel_nt_body<V: Simd>(out: &mut [f32], w: &[f32], n: usize, k: usize, panel: usize) {
    let j0 = panel * LANES;
    let columns = LANES.min(n - j0);
    let whole = if columns == LANES { k / LANES * LANES } else { 0 };
    assert!(w.len() >= n * k && out.len() >= k * LANES);
    for p in (0..whole).step_by(LANES) {
        // SAFETY: rows j0..j0 + 16, columns p..p + 16 of w; rows p..p + 16 of the panel.
        unsafe { V::transpose(w.as_ptr().add(j0 * k + p), k, out.as_mut_ptr().add(p * LANES), LANES) };
    }
    for p in whole..k {
        for j in 0..LANES {
            out[p * LANES + j] = if j < columns { w[(j0 + j) * k + p] } else { 0.0 };
        }
    }
}

/// Writes one panel of `b[k, n]`.
pub(crate) fn pack_panel_nn<T: Copy + Default>(out: &mut [T], b: &[T], n: usize, k: usize, panel: usize) {
    let j0 = panel * LANES;
    let columns = LANES.min(n - j0);
    for p in 0..k {
        let row = &mut out[p * LANES..(p + 1) * LANES];
        row[..columns].copy_from_slice(&b[p * n + j0..p * n + j0 + columns]);
        row[columns..].fill(T::default());
    }
}

/// One operand layout of [`product`].
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    pub a: *const f32,
    pub a_row: usize,
    pub b: *const f32,
    pub b_vec: usize,
    pub b_row: usize,
    pub from: *const f32,
    pub from_row: usize,
    pub c: *mut f32,
    pub c_row: usize,
}

/// Rows of two panels that stay in the first-level cache beside a strip of A.
const PAIR_ROWS: usize = 256;

/// Whether pairs of panels that do not stay there are better taken in two halves. On AMD's processors (measured on Zen 4) they
/// are not.
static HALVES_HELP: LazyLock<bool> = LazyLock::new(|| maker() != *b"AuthenticAMD");

/// The processor's maker by its own name, where there is one.
fn maker() -> [u8; 12] {
    #[cfg(target_arch = "x86_64")]
    {
        let name = std::arch::x86_64::__cpuid(0);
        let mut maker = [0; 12];
        for (out, part) in maker.chunks_exact_mut(4).zip([name.ebx, name.edx, name.ecx]) {
            out.copy_from_slice(&part.to_le_bytes());
        }
        maker
    }
    #[cfg(not(target_arch = "x86_64"))]
    [0; 12]
}

/// C[m, n] = from + A[m, k]·B[k, n] by register tiles on this thread. Pairs of panels a little too long for the first-level
/// cache are taken in two halves when several strips read them; for longer ones C would go back and forth too often.
/// # Safety
/// The operands must be valid for their extents, and C must not overlap A or B.
#[inline(always)]
pub(crate) unsafe fn product<V: Simd, const AT: bool>(m: usize, n: usize, k: usize, o: &Operands) {
    if m == 0 || n == 0 {
        return;
    }
    let strips = m.div_ceil(V::TILE_ROWS);
    let (small, larger) = (m / strips, m % strips);
    let most = V::tile_vectors(if larger > 0 { small + 1 } else { small });
    let halves = strips > 1 && most == 2 && k > PAIR_ROWS && k <= 2 * PAIR_ROWS && *HALVES_HELP;
    let depth = if halves { k.div_ceil(2) } else { k.max(1) };
    let mut v = 0;
    let whole = n / LANES;
    while v * LANES < n {
        let left = (whole - v.min(whole)).min(most);
        let vectors = if m == 1 { left.max(1) } else { 1 << left.max(1).ilog2() };
        let part = LANES.min(n - v * LANES);
        for p in (0..k.max(1)).step_by(depth) {
            let mut i = 0;
            for strip in 0..strips {
                let rows = small + usize::from(strip < larger);
                let c = o.c.wrapping_add(i * o.c_row + v * LANES);
                let (from, from_row) = match p {
                    0 if o.from.is_null() => (o.from, o.from_row),
                    0 => (o.from.wrapping_add(i * o.from_row + v * LANES), o.from_row),
                    _ => (c.cast_const(), o.c_row),
                };
                let t = Tile {
                    a: o.a.wrapping_add(if AT { i + p * o.a_row } else { i * o.a_row + p }),
                    a_row: o.a_row,
                    b: o.b.wrapping_add(v * o.b_vec + p * o.b_row),
                    b_vec: o.b_vec,
                    b_row: o.b_row,
                    k: depth.min(k - p),
                    from,
                    from_row,
                    c,
                    c_row: o.c_row,
                    part,
                };
                if AT {
                    // the next tile's C: gradients of weights that another core may have written
                    for r in 0..rows {
                        for u in 0..vectors {
                            V::prefetch(c.wrapping_add(r * o.c_row + (vectors + u) * LANES).cast_const());
                        }
                    }
                }
                // SAFETY: the tile lies inside the operands (caller).
                unsafe { tile::run::<V, AT>(rows, vectors, &t) };
                i += rows;
            }
        }
        v += vectors;
    }
}

/// Where the chains of a product start.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    Zero,
    /// The old C.
    Old,
    /// Another matrix of C's shape (a residual).
    Other(&'a [f32]),
}

simd!(
    /// C = from + x·B with packed B, on this thread: `c` gets the columns of B from `first` (a multiple of 16) on, x has
    /// row stride `x_row`. A residual has C's row stride.
    pub(crate) fn rows_by_packed(c: Block<'_>, from: From, x: &[f32], x_row: usize, b: &PackedMatrix, first: usize)
        => rows_by_packed_body in "products");

#[inline(always)]
fn rows_by_packed_body<V: Simd>(
    mut c: Block<'_>,
    from: From,
    x: &[f32],
    x_row: usize,
    b: &PackedMatrix,
    first: usize,
) {
    let (m, n, c_row, k) = (c.rows(), c.width(), c.row_stride(), b.k);
    if m == 0 || n == 0 {
        return;
    }
    assert!(first.is_multiple_of(LANES) && first + n <= b.n && x_row >= k && x.len() >= (m - 1) * x_row + k);
    let into = c.address(0);
    let old: *const f32 = match from {
        From::Zero => std::ptr::null(),
        From::Old => into,
        From::Other(other) => {
            assert!(other.len() >= (m - 1) * c_row + n);
            other.as_ptr()
        }
    };
    let o = Operands {
        a: x.as_ptr(),
        a_row: x_row,
        b: std::ptr::null(),
        b_vec: k * LANES,
        b_row: LANES,
        from: old,
        from_row: c_row,
        c: into,
        c_row,
    };
    let start = first * k;
    match &b.half {
        // SAFETY: the extents were checked above and in the block; panels are zero padded to 16 columns.
        None => unsafe { product::<V, false>(m, n, k, &Operands { b: b.data[start..].as_ptr(), ..o }) },
        // SAFETY: as above.
        Some((half, bits)) => unsafe { half_product::<V>(m, n, k, &o, *half, &bits[start..]) },
    }
}

/// Panels of a task that shares columns, at least.
const SHARE_PANELS: usize = 4;

/// [`rows_by_packed`] by all threads, each some of the columns; by this one alone when it is at work for a team already.
pub(crate) fn columns_by_packed(c: Block<'_>, from: From, x: &[f32], x_row: usize, b: &PackedMatrix) {
    let n = c.width();
    let share = n.div_ceil(LANES).div_ceil(2 * par::threads()).max(SHARE_PANELS) * LANES;
    if share >= n || !par::may_share() {
        rows_by_packed(c, from, x, x_row, b, 0);
        return;
    }
    let c = Columns::new(c);
    par::each(n.div_ceil(share), |_, task| {
        let first = task * share;
        let from = match from {
            From::Other(other) => From::Other(&other[first..]),
            same => same,
        };
        // SAFETY: a range of columns a task.
        rows_by_packed(unsafe { c.part(first, share.min(n - first)) }, from, x, x_row, b, first);
    });
}

/// Panels that are widened together, and rows of them: 128 KiB, which stay in the second-level cache.
const WIDE_PANELS: usize = 8;
const WIDE_ROWS: usize = 256;
const WIDE: usize = WIDE_PANELS * WIDE_ROWS * LANES;

/// [`product`] with B in panels of 16 bits, widened block by block. Chains go on from block to block, so the bits are
/// those of the panels in f32.
/// # Safety
/// As [`product`] but for B, whose panels must all lie in `bits`.
#[inline(always)]
unsafe fn half_product<V: Simd>(m: usize, n: usize, k: usize, o: &Operands, half: Half, bits: &[u16]) {
    let mut scratch = Scratch::take(WIDE);
    let wide = scratch.floats();
    for v in (0..n).step_by(WIDE_PANELS * LANES) {
        let width = (WIDE_PANELS * LANES).min(n - v);
        for p in (0..k).step_by(WIDE_ROWS) {
            let depth = WIDE_ROWS.min(k - p);
            for (j, panel) in wide.chunks_exact_mut(depth * LANES).enumerate().take(width.div_ceil(LANES)) {
                widen_body::<V>(panel, half, &bits[(v + j * LANES) * k + p * LANES..]);
            }
            let c = o.c.wrapping_add(v);
            let (from, from_row) = match p {
                0 if o.from.is_null() => (o.from, o.from_row),
                0 => (o.from.wrapping_add(v), o.from_row),
                _ => (c.cast_const(), o.c_row),
            };
            let block = Operands {
                a: o.a.wrapping_add(p),
                b: wide.as_ptr(),
                b_vec: depth * LANES,
                from,
                from_row,
                c,
                ..*o
            };
            // SAFETY: columns and rows of the caller's operands; the widened panels.
            unsafe { product::<V, false>(m, width, depth, &block) };
        }
    }
}

/// C[m, n] (+)= x[m, k]·Bᵀ or ·B with B packed. Threads share the rows, or the columns when rows are few.
pub fn by_packed(c: &mut [f32], x: &[f32], m: usize, b: &PackedMatrix, accumulate: bool) {
    let (n, k) = (b.n, b.k);
    assert!(c.len() == m * n && x.len() == m * k, "C is [m, n], x is [m, k]");
    spread(c, x, k, m, b, accumulate);
}

/// [`by_packed`] with rows of x `x_row` apart.
pub(crate) fn spread(c: &mut [f32], x: &[f32], x_row: usize, m: usize, b: &PackedMatrix, accumulate: bool) {
    let n = b.n;
    let from = if accumulate { From::Old } else { From::Zero };
    if m <= ROW_BLOCK && n >= 2 * m {
        columns_by_packed(Block::new(c, m, n, n), from, x, x_row, b);
        return;
    }
    let out = Shared::new(c);
    par::blocks(m, ROW_BLOCK, |i, rows| {
        // SAFETY: one block of rows a task.
        let c = unsafe { out.block(i * n, rows, n, n) };
        rows_by_packed(c, from, &x[i * x_row..], x_row, b, 0);
    });
}

/// C[m, n] (+)= x[m, k]·Wᵀ with weights `w[n, k]`: y = x·Wᵀ.
pub fn nt(c: &mut [f32], x: &[f32], w: &[f32], m: usize, n: usize, k: usize, accumulate: bool) {
    let mut packed = PackedMatrix::default();
    packed.weights(w, n, k);
    by_packed(c, x, m, &packed, accumulate);
}

/// C[m, n] (+)= a[m, k]·b[k, n]: dx = dy·W.
pub fn nn(c: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize, accumulate: bool) {
    let mut packed = PackedMatrix::default();
    packed.plain(b, k, n);
    by_packed(c, a, m, &packed, accumulate);
}
