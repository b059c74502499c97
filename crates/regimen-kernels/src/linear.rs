//! One product of a block, y = from + x·Wᵀ, with a low-rank adapter beside it where there is one.

use std::borrow::Cow;

use crate::dropout::Dropout;
use crate::gemm::{From, PackedMatrix, columns_by_packed, rows_by_packed};
use crate::pack::{Held, Job, job};
use crate::par::Block;
use crate::plan::AdapterAt;
use crate::shape::Lora;
use crate::weights::Weights;

/// A weight matrix, packed forward or backward, and its adapter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Linear {
    pub weight: PackedMatrix,
    pub adapter: Option<Adapter>,
}

/// The adapters of a product's projections (Hu et al. 2021), packed. u = scale·x·Aᵀ of all parts stand beside each
/// other, `rank` columns a part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adapter {
    rank: usize,
    scale: f32,
    /// Width of x.
    input: usize,
    /// What of x the adapter does not see, in training.
    pub dropout: Option<Dropout>,
    /// u from x.
    reduce: PackedMatrix,
    /// Forward: a part's columns of y from its u. Backward: du from the part's columns of dy.
    expand: Vec<Part>,
    /// Backward: dx from du.
    back: PackedMatrix,
}

#[derive(Clone, Debug, Default)]
struct Part {
    column: usize,
    width: usize,
    matrix: PackedMatrix,
}

impl Linear {
    /// y = from + x·Wᵀ + scale·(x·Aᵀ)·Bᵀ; x has row stride `x_row`. `keys` of the rows decide what the adapter drops.
    pub fn apply(&self, mut y: Block<'_>, from: From, x: &[f32], x_row: usize, keys: &[u64]) {
        let width = y.width();
        columns_by_packed(y.columns(0, width), from, x, x_row, &self.weight);
        if let Some(adapter) = &self.adapter {
            adapter.add(&mut y, x, x_row, keys);
        }
    }

    /// dx = dy·W + du·A, packed backward. `du` gets the adapter's part, [rows, columns of u].
    pub fn back(&self, mut dx: Block<'_>, dy: &[f32], dy_row: usize, du: &mut Vec<f32>, keys: &[u64]) {
        let (rows, width) = (dx.rows(), dx.width());
        rows_by_packed(dx.columns(0, width), From::Zero, dy, dy_row, &self.weight, 0);
        let Some(a) = &self.adapter else { return };
        let wide = a.columns();
        du.resize(rows * wide, 0.0);
        if rows == 0 {
            return;
        }
        for (i, part) in a.expand.iter().enumerate() {
            let mut all = Block::new(du, rows, wide, wide);
            let out = all.columns(i * a.rank, a.rank);
            rows_by_packed(out, From::Zero, &dy[part.column..], dy_row, &part.matrix, 0);
        }
        for x in du.iter_mut() {
            *x *= a.scale;
        }
        let Some(dropout) = a.dropout else {
            rows_by_packed(dx, From::Old, du, wide, &a.back, 0);
            return;
        };
        let mut more = vec![0.0; rows * width];
        rows_by_packed(Block::new(&mut more, rows, width, width), From::Zero, du, wide, &a.back, 0);
        dropout.apply(&mut more, width, keys);
        for (r, more) in more.chunks_exact(width).enumerate() {
            dx.row(r).iter_mut().zip(more).for_each(|(x, m)| *x += m);
        }
    }
}

impl Adapter {
    /// Columns of u.
    pub fn columns(&self) -> usize {
        self.rank * self.expand.len()
    }

    /// Columns of u that belong to one projection.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What there is to pack; `k` is the width of x.
    pub fn jobs<'a>(
        &'a mut self,
        at: &AdapterAt,
        lora: &Lora,
        k: usize,
        weights: Weights<'a>,
        backward: bool,
    ) -> Vec<Job<'a>> {
        (self.rank, self.scale, self.input) = (lora.rank, lora.scale(), k);
        self.expand.resize_with(at.parts().count(), Part::default);
        let wide = self.columns();
        let mut jobs = vec![job(&mut self.reduce, weights, at.a, [wide, k], false, Held::Wide)];
        if backward {
            jobs.push(job(&mut self.back, weights, at.a, [wide, k], true, Held::Wide));
        }
        for (part, at) in self.expand.iter_mut().zip(at.parts()) {
            (part.column, part.width) = (at.column, at.width);
            jobs.push(job(&mut part.matrix, weights, at.b, [at.width, lora.rank], backward, Held::Wide));
        }
        jobs
    }

    /// The rows of x as the adapter sees them, and their stride.
    pub fn seen<'a>(&self, x: &'a [f32], x_row: usize, keys: &[u64]) -> (Cow<'a, [f32]>, usize) {
        match self.dropout {
            Some(dropout) => (Cow::Owned(dropout.of(x, x_row, self.input, keys)), self.input),
            None => (Cow::Borrowed(x), x_row),
        }
    }

    /// u = scale·x·Aᵀ, [rows, columns], from what is seen of x.
    pub fn reduce(&self, x: &[f32], x_row: usize, rows: usize) -> Vec<f32> {
        let wide = self.columns();
        let mut u = vec![0.0; rows * wide];
        rows_by_packed(Block::new(&mut u, rows, wide, wide), From::Zero, x, x_row, &self.reduce, 0);
        for x in &mut u {
            *x *= self.scale;
        }
        u
    }

    fn add(&self, y: &mut Block<'_>, x: &[f32], x_row: usize, keys: &[u64]) {
        if y.rows() == 0 {
            return;
        }
        let wide = self.columns();
        let (x, x_row) = self.seen(x, x_row, keys);
        let u = self.reduce(&x, x_row, y.rows());
        for (i, part) in self.expand.iter().enumerate() {
            let out = y.columns(part.column, part.width);
            rows_by_packed(out, From::Old, &u[i * self.rank..], wide, &part.matrix, 0);
        }
    }
}
