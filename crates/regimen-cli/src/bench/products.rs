//! The matrix products of a training step.

use regimen_kernels::Shape;

/// Which operand is transposed, in the words of BLAS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// y = x·Wᵀ: the forward pass.
    Nt,
    /// dx = dy·W.
    Nn,
    /// dW = dyᵀ·x.
    Tn,
}

/// C[m, n] over chains of k, so many times a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Product {
    pub kind: Kind,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub times: usize,
}

impl Product {
    /// Floating-point operations of one of them.
    pub fn flops(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }
}

/// The products with weights: each once forward and twice backward.
pub fn linear(shape: &Shape, tokens: usize) -> Vec<Product> {
    let (d, layers) = (shape.width, shape.layers);
    let weights = [
        (shape.qkv_width(), d, layers),
        (d, shape.q_width(), layers),
        (shape.inner_width(), d, layers),
        (d, shape.ffn, layers),
        (shape.vocab, d, 1),
    ];
    let three = |(out, of, times): (usize, usize, usize)| {
        [
            Product { kind: Kind::Nt, m: tokens, n: out, k: of, times },
            Product { kind: Kind::Nn, m: tokens, n: of, k: out, times },
            Product { kind: Kind::Tn, m: out, n: of, k: tokens, times },
        ]
    };
    weights.into_iter().flat_map(three).collect()
}

/// Floating-point operations of attention's products in a step of `documents` × `context` tokens, two forward and four
/// backward, over `pairs` pairs of positions a document.
fn attention(shape: &Shape, documents: usize, pairs: f64) -> f64 {
    6.0 * 2.0 * shape.q_width() as f64 * shape.layers as f64 * documents as f64 * pairs
}

/// Attention over the causal half alone: the least that can be done.
pub fn causal_attention(shape: &Shape, documents: usize, context: usize) -> f64 {
    attention(shape, documents, context as f64 * (context as f64 + 1.0) / 2.0)
}

/// Attention over the whole square, as a plain product computes it.
pub fn square_attention(shape: &Shape, documents: usize, context: usize) -> f64 {
    attention(shape, documents, (context as f64).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Size;

    #[test]
    fn a_step_takes_six_operations_a_weight_and_token() {
        for size in [Size::Xs, Size::Tiny, Size::Small] {
            let (shape, tokens) = (size.shape(), size.step_tokens());
            let flops: f64 = linear(&shape, tokens).iter().map(|p| p.flops() * p.times as f64).sum();
            let vectors = shape.width * (2 * shape.layers + 1);
            let weights = regimen_kernels::Layout::new(&shape).len() - shape.vocab * shape.width - vectors;
            assert_eq!(flops, 6.0 * weights as f64 * tokens as f64);
            let (half, full) = (
                causal_attention(&shape, size.batch(), size.context()),
                square_attention(&shape, size.batch(), size.context()),
            );
            assert_eq!(full, 12.0 * (shape.layers * shape.width * size.context() * tokens) as f64);
            assert!(half > full / 2.0 && half < full * 0.51);
        }
    }
}
