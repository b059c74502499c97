//! How a tensor of a file is put together from parameters of the layout.

use std::borrow::Cow;
use std::ops::Range;

use crate::params::Params;

/// A tensor of a checkpoint: rows of one or several parameters below each other, and for some families the transpose
/// of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// What its rows are; of a vector, its elements.
    pub parts: Vec<Part>,
    /// Whether the file holds `[in, out]`.
    pub transposed: bool,
}

/// Rows of one parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The parameter's path in the layout.
    pub path: String,
    /// Which of its rows.
    pub rows: Range<usize>,
}

impl Part {
    /// Some rows of the parameter called `path`.
    pub fn new(path: impl Into<String>, rows: Range<usize>) -> Self {
        Self { path: path.into(), rows }
    }
}

impl Stored {
    /// A parameter as it is, under its own name.
    pub fn plain(entry: regimen_kernels::Entry) -> Self {
        Self::named(entry.path.clone(), entry.path, &entry.shape)
    }

    /// A parameter as it is, under another name.
    pub fn named(name: impl Into<String>, path: impl Into<String>, shape: &[usize]) -> Self {
        let parts = vec![Part::new(path, 0..shape[0])];
        Self { name: name.into(), shape: shape.to_vec(), parts, transposed: false }
    }

    /// Rows of several parameters.
    pub fn stacked(name: impl Into<String>, shape: &[usize], parts: Vec<Part>) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), parts, transposed: false }
    }

    /// The same, stored transposed.
    #[must_use]
    pub fn transposed(mut self) -> Self {
        self.shape.reverse();
        self.transposed = self.shape.len() == 2;
        self
    }

    /// Whether it is a whole parameter under its own name.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.parts.as_slice(), [one] if one.path == self.name) && !self.transposed
    }

    /// Numbers in a row of its parts.
    fn row(&self) -> usize {
        match (self.shape.as_slice(), self.transposed) {
            ([rows, _], true) => *rows,
            ([_, row], false) => *row,
            _ => 1,
        }
    }

    /// The numbers of the tensor.
    pub(crate) fn gather<'a>(&self, params: &'a Params) -> Cow<'a, [f32]> {
        let row = self.row();
        let part = |part: &Part| {
            let whole = params.get(&part.path).expect("the names belong to the layout");
            &whole[part.rows.start * row..part.rows.end * row]
        };
        match self.parts.as_slice() {
            [one] if !self.transposed => Cow::Borrowed(part(one)),
            parts => {
                let rows: Vec<f32> = parts.iter().flat_map(|p| part(p).iter().copied()).collect();
                Cow::Owned(if self.transposed { transpose(&rows, row) } else { rows })
            }
        }
    }

    /// Writes the numbers of the tensor to where they belong.
    pub(crate) fn scatter(&self, numbers: Vec<f32>, params: &mut Params) {
        let row = self.row();
        let rows = if self.transposed { transpose(&numbers, numbers.len() / row.max(1)) } else { numbers };
        let mut at = 0;
        for part in &self.parts {
            let whole = params.get_mut(&part.path).expect("the names belong to the layout");
            let len = part.rows.len() * row;
            whole[part.rows.start * row..][..len].copy_from_slice(&rows[at..at + len]);
            at += len;
        }
    }
}

/// `[n, row]` → `[row, n]`.
fn transpose(x: &[f32], row: usize) -> Vec<f32> {
    let n = x.len() / row.max(1);
    let mut out = Vec::with_capacity(x.len());
    for column in 0..row {
        out.extend((0..n).map(|r| x[r * row + column]));
    }
    out
}
