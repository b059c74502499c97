//! The product of weight gradients, C += Aᵀ·B over the rows of both: A in strips, B in panels.

use crate::buffer::grow;
use crate::gemm::{Operands, PackedMatrix, ROW_BLOCK, product};
use crate::par::{self, Shared};
use crate::simd::{LANES, Simd, simd};

/// Columns of a strip: rows of C that a register tile computes.
pub(crate) const STRIP: usize = 14;
/// Rows of one pass over the operands: slices of both that stay in cache.
const K_BLOCK: usize = 256;
/// Vectors of B that stay in the second-level cache during a pass.
const COLUMN_BLOCK: usize = 24;

/// Rows of strips and panels for so many rows of operands: apart from each other by no whole number of cache ways, or all
/// of them would compete for the same sets.
pub(crate) fn apart(rows: usize) -> usize {
    rows + if rows.is_multiple_of(4 * LANES) { LANES } else { 0 }
}

/// Strips a task of a weight gradient works on.
pub(crate) const TASK_STRIPS: usize = 4;

simd!(
    /// Copies columns `column..column + width` of x[·, row] to strips of 14 columns, `[strip][cap][16]`, at rows
    /// `first`.. of each: the left operand of [`tn_strips`].
    pub(crate) fn write_strips(strips: Shared<'_>, cap: usize, first: usize, x: &[f32], row: usize, column: usize,
        width: usize) => write_strips_body in "copying");

#[inline(always)]
fn write_strips_body<V: Simd>(
    strips: Shared<'_>,
    cap: usize,
    first: usize,
    x: &[f32],
    row: usize,
    column: usize,
    width: usize,
) {
    let rows = x.len() / row;
    assert!(rows == 0 || (rows - 1) * row + column + width <= x.len());
    for (s, j) in (0..width).step_by(STRIP).enumerate() {
        let high = STRIP.min(width - j);
        // SAFETY: rows of this task.
        let out = unsafe { strips.part((s * cap + first) * LANES, rows * LANES) }.as_mut_ptr();
        for r in 0..rows {
            // SAFETY: `high` floats of row r, checked above; one row of the strip.
            unsafe { V::load_part(x.as_ptr().add(r * row + column + j), high).store(out.add(r * LANES)) };
        }
    }
}

simd!(
    /// C[m, k] += Aᵀ·B over `rows` rows: A is `strips` (`[strip][cap][16]`, from the strip of C's first row), B is
    /// panels `[k / 16][cap][16]`.
    pub(crate) fn tn_strips(c: &mut [f32], m: usize, k: usize, strips: &[f32], panels: &[f32], cap: usize,
        rows: usize) => tn_strips_body in "weight gradients");

#[inline(always)]
fn tn_strips_body<V: Simd>(
    c: &mut [f32],
    m: usize,
    k: usize,
    strips: &[f32],
    panels: &[f32],
    cap: usize,
    rows: usize,
) {
    if rows == 0 || m == 0 || k == 0 {
        return;
    }
    assert!(c.len() >= m * k && rows <= cap && strips.len() >= m.div_ceil(STRIP) * cap * LANES);
    assert!(panels.len() >= k.div_ceil(LANES) * cap * LANES);
    for p0 in (0..rows).step_by(K_BLOCK) {
        let depth = K_BLOCK.min(rows - p0);
        for j0 in (0..k).step_by(COLUMN_BLOCK * LANES) {
            let columns = (COLUMN_BLOCK * LANES).min(k - j0);
            for i in (0..m).step_by(STRIP) {
                let out = c[i * k + j0..].as_mut_ptr();
                let o = Operands {
                    a: strips[(i / STRIP * cap + p0) * LANES..].as_ptr(),
                    a_row: LANES,
                    b: panels[(j0 / LANES * cap + p0) * LANES..].as_ptr(),
                    b_vec: cap * LANES,
                    b_row: LANES,
                    from: out,
                    from_row: k,
                    c: out,
                    c_row: k,
                };
                // SAFETY: extents checked above.
                unsafe { product::<V, true>(STRIP.min(m - i), columns, depth, &o) };
            }
        }
    }
}

/// The left operand dy[rows, n] of [`tn_packed`], in strips.
#[derive(Clone, Debug, Default)]
pub struct Strips {
    data: Vec<f32>,
    rows: usize,
    n: usize,
}

impl Strips {
    /// Copies `dy[rows, n]`.
    pub fn fill(&mut self, dy: &[f32], rows: usize, n: usize) {
        assert_eq!(dy.len(), rows * n, "dy is [rows, n]");
        (self.rows, self.n) = (rows, n);
        grow(&mut self.data, n.div_ceil(STRIP) * rows * LANES);
        let strips = Shared::new(&mut self.data);
        par::blocks(rows, ROW_BLOCK, |r, count| {
            write_strips(strips, rows, r, &dy[r * n..(r + count) * n], n, 0, n);
        });
    }
}

/// C[n, k] += dyᵀ·x over the rows of dy[rows, n] in strips and of x[rows, k] as [`PackedMatrix::plain`] packs it. The
/// chain runs over the rows in order.
pub fn tn_packed(c: &mut [f32], dy: &Strips, x: &PackedMatrix) {
    let (rows, n, k) = (dy.rows, dy.n, x.columns());
    assert!(c.len() == n * k && x.depth() == rows, "C[n, k], dy[rows, n], x[rows, k]");
    let (strips, panels) = (&dy.data, x.panels());
    let out = Shared::new(c);
    par::blocks(n, TASK_STRIPS * STRIP, |i, m| {
        // SAFETY: one block of rows of C a task.
        let c = unsafe { out.part(i * k, m * k) };
        tn_strips(c, m, k, &strips[i / STRIP * rows * LANES..], panels, rows, rows);
    });
}

/// C[n, k] += dyᵀ·x over `rows` rows of dy[rows, n] and x[rows, k]: dW. The chain runs over the rows in order.
pub fn tn(c: &mut [f32], dy: &[f32], x: &[f32], rows: usize, n: usize, k: usize) {
    let (mut strips, mut panels) = (Strips::default(), PackedMatrix::default());
    strips.fill(dy, rows, n);
    panels.plain(x, rows, k);
    tn_packed(c, &strips, &panels);
}
