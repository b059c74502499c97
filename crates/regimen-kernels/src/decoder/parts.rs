//! Which weight gradients of a layer are wanted.

use super::weigh::TrainedNorm;
use crate::plan::{DOWN, INNER, LayerAt, OUTPUT, QKV};
use crate::shape::Shape;
use crate::simd::LANES;
use crate::strips::STRIP;

/// Columns of a product's output whose gradient some weight gradient reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub product: usize,
    pub column: usize,
    pub width: usize,
    /// First of its strips.
    pub strip: usize,
    weight: bool,
    bias: bool,
}

/// A weight gradient dW[width, k] += dyᵀ·x at `start` of the flat gradients. Operands beyond the fourth are adapters',
/// right ones beyond the eighth what adapters that drop inputs see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    /// Which strips, and the first of them.
    pub left: (usize, usize),
    /// Which panels, and the first of them.
    pub right: (usize, usize),
    pub width: usize,
    pub k: usize,
    pub start: usize,
}

/// A bias at `start`: the sums of the columns of some strips.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bias {
    pub product: usize,
    pub strip: usize,
    pub width: usize,
    pub start: usize,
}

/// What of a layer is trained.
#[derive(Default)]
pub(super) struct Parts {
    left: Vec<Left>,
    pub matrices: Vec<Matrix>,
    pub biases: Vec<Bias>,
    /// Which norm: 0 before the feed-forward part, 1 before attention.
    pub norms: Vec<(usize, TrainedNorm)>,
    /// (column in qkv, width, start).
    pub head_norms: Vec<(usize, usize, usize)>,
}

/// One product of a layer: columns of its output that are a parameter each, at `start`, with their bias.
struct Product {
    index: usize,
    k: usize,
    columns: Vec<(usize, usize, usize, Option<usize>)>,
}

impl Parts {
    /// Columns of a product whose gradient is to be kept.
    pub fn left(&self, product: usize) -> impl Iterator<Item = &Left> {
        self.left.iter().filter(move |left| left.product == product)
    }

    /// Whether a product's input is to be kept.
    pub fn right(&self, product: usize) -> bool {
        self.matrices.iter().any(|m| m.right.0 == product)
    }

    /// Trained weights of products.
    pub fn weights(&self) -> usize {
        self.matrices.iter().map(|m| m.width * m.k).sum()
    }

    /// The trained entries of a layer; neighbours in the flat vector become one product.
    pub fn new(s: &Shape, at: &LayerAt, frozen: impl Fn(usize) -> bool) -> Parts {
        let mut parts = Parts::default();
        for product in products(s, at) {
            parts.add(&product, at, s, &frozen);
        }
        let norms = [Some((1, at.norm)), at.mlp.map(|m| (0, m.norm))].into_iter().flatten();
        parts.norms = norms.filter_map(|(i, at)| Some((i, TrainedNorm::new(at, &frozen)?))).collect();
        let (qw, kw) = (s.q_width(), s.kv_width());
        let heads = |(q, k): (usize, usize)| [(0, qw, q), (qw, kw, k)];
        parts.head_norms = at.qk_norm.into_iter().flat_map(heads).filter(|h| !frozen(h.2)).collect();
        parts
    }

    fn add(&mut self, p: &Product, at: &LayerAt, s: &Shape, frozen: &impl Fn(usize) -> bool) {
        let adapter = at.adapters[p.index];
        for &(column, width, start, bias) in &p.columns {
            let weight = !frozen(start);
            let bias = bias.filter(|bias| !frozen(*bias));
            let part = adapter.and_then(|a| a.parts().position(|part| part.column == column).zip(Some(a)));
            let b = part.and_then(|(i, a)| a.parts().nth(i).map(|part| (i, part.b)));
            let b = b.filter(|(_, b)| !frozen(*b));
            if weight || bias.is_some() || b.is_some() {
                let fresh =
                    self.keep_left(p.index, column, width, (weight, bias.is_some()), adapter.is_none());
                let strip = self.left.last().map_or(0, |left| left.strip);
                if let (Some((i, start)), Some(lora)) = (b, &s.lora) {
                    let right = (4 + p.index, i * lora.rank.div_ceil(LANES));
                    self.matrices.push(Matrix { left: (p.index, strip), right, width, k: lora.rank, start });
                }
                self.keep_weights(p, (width, strip, fresh), weight.then_some(start), bias);
            }
        }
        let (Some(adapter), Some(lora)) = (adapter, &s.lora) else { return };
        for (i, part) in adapter.parts().enumerate().filter(|(_, part)| !frozen(part.a)) {
            let left = (4 + p.index, i * lora.rank.div_ceil(STRIP));
            let (width, k) = (lora.rank, p.k);
            // what it sees of the input, or the input itself
            let right = (if lora.dropout > 0.0 { 8 + p.index } else { p.index }, 0);
            self.matrices.push(Matrix { left, right, width, k, start: part.a });
        }
    }

    /// Widens the columns that are kept, or begins new ones, and says which it was.
    fn keep_left(
        &mut self,
        product: usize,
        column: usize,
        width: usize,
        (weight, bias): (bool, bool),
        join: bool,
    ) -> bool {
        let last = self.left.last_mut().filter(|last| last.product == product);
        let strip = match last {
            Some(last)
                if join
                    && last.column + last.width == column
                    && (last.weight, last.bias) == (weight, bias) =>
            {
                last.width += width;
                return false;
            }
            Some(last) => last.strip + last.width.div_ceil(STRIP),
            None => 0,
        };
        self.left.push(Left { product, column, width, strip, weight, bias });
        true
    }

    fn keep_weights(
        &mut self,
        p: &Product,
        (width, strip, fresh): (usize, usize, bool),
        weight: Option<usize>,
        bias: Option<usize>,
    ) {
        if !fresh {
            let (matrix, own) = (self.matrices.last_mut(), self.biases.last_mut());
            matrix.filter(|_| weight.is_some()).into_iter().for_each(|m| m.width += width);
            own.filter(|_| bias.is_some()).into_iter().for_each(|b| b.width += width);
            return;
        }
        let left = (p.index, strip);
        self.matrices.extend(weight.map(|start| Matrix { left, right: (p.index, 0), width, k: p.k, start }));
        self.biases.extend(bias.map(|start| Bias { product: p.index, strip, width, start }));
    }
}

fn products(s: &Shape, at: &LayerAt) -> Vec<Product> {
    let (d, f, qw, kw) = (s.width, s.ffn, s.q_width(), s.kv_width());
    let mut all = vec![Product { index: OUTPUT, k: qw, columns: vec![(0, d, at.o, at.o_bias)] }];
    if let Some(mlp) = &at.mlp {
        all.push(Product { index: DOWN, k: f, columns: vec![(0, d, mlp.down, mlp.down_bias)] });
        let half = |i: usize| (i * f, f, mlp.inner + i * f * d, mlp.inner_bias.map(|b| b + i * f));
        all.push(Product { index: INNER, k: d, columns: (0..s.inner_width() / f).map(half).collect() });
    }
    let heads = [(0, qw), (qw, kw), (qw + kw, kw)];
    let heads =
        heads.map(|(column, width)| (column, width, at.qkv + column * d, at.qkv_bias.map(|b| b + column)));
    all.push(Product { index: QKV, k: d, columns: heads.to_vec() });
    all
}
