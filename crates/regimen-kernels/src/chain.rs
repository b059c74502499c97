//! Chains of dense layers over rows of numbers, forward and backward, for nets that read no tokens.

use crate::{gemm, strips};

/// What a layer does to each of its sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elementwise {
    /// Nothing: the layers of a deep linear net.
    Linear,
    /// max(x, 0).
    Relu,
}

/// Dense layers one after the other: y = W·f(… f(W·x + b) …) + b, with nothing done to the last sums.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainShape {
    /// Numbers of a row before the first layer and behind each: one more than there are layers.
    pub sizes: Vec<usize>,
    /// Between layers.
    pub between: Elementwise,
    /// Whether sums start from a bias.
    pub bias: bool,
}

impl ChainShape {
    /// Errs when it is no chain.
    ///
    /// # Errors
    /// What is wrong, as part of a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.sizes.len() < 2 {
            return Err("a chain without layers".to_owned());
        }
        match self.sizes.iter().position(|&size| size == 0) {
            Some(at) => Err(format!("layer {at} of {} has no numbers", self.sizes.len() - 1)),
            None => Ok(()),
        }
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        self.sizes.len() - 1
    }

    /// The parameters in their order: `layers.0.weight` `[out, in]`, `layers.0.bias` `[out]`, …
    pub fn entries(&self) -> Vec<(String, Vec<usize>)> {
        let mut entries = Vec::new();
        for (l, pair) in self.sizes.windows(2).enumerate() {
            entries.push((format!("layers.{l}.weight"), vec![pair[1], pair[0]]));
            if self.bias {
                entries.push((format!("layers.{l}.bias"), vec![pair[1]]));
            }
        }
        entries
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.entries().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the weight of layer `l` begins; its bias lies behind it.
    fn start(&self, l: usize) -> usize {
        let bias = usize::from(self.bias);
        self.sizes.windows(2).take(l).map(|pair| pair[1] * (pair[0] + bias)).sum()
    }
}

/// A chain at work. Keeps the activations of its last forward pass for the backward pass; buffers live across passes.
#[derive(Clone, Debug)]
pub struct Chain {
    shape: ChainShape,
    rows: usize,
    /// Behind the input and each layer, `[rows, size]`.
    values: Vec<Vec<f32>>,
    upstream: Vec<f32>,
    below: Vec<f32>,
}

impl Chain {
    /// For a shape that [`ChainShape::check`] found sound.
    pub fn new(shape: ChainShape) -> Self {
        let values = shape.sizes.iter().map(|_| Vec::new()).collect();
        Self { shape, rows: 0, values, upstream: Vec::new(), below: Vec::new() }
    }

    /// What it computes.
    pub fn shape(&self) -> &ChainShape {
        &self.shape
    }

    /// Runs all layers on `x[rows, inputs]`, and returns `[rows, outputs]`.
    ///
    /// # Panics
    /// When `x` or `weights` have another length.
    pub fn forward(&mut self, weights: &[f32], x: &[f32]) -> &[f32] {
        let sizes = &self.shape.sizes;
        assert!(x.len().is_multiple_of(sizes[0]) && weights.len() == self.shape.len(), "x is [rows, inputs]");
        let rows = x.len() / sizes[0];
        self.rows = rows;
        self.values[0].clear();
        self.values[0].extend_from_slice(x);
        for l in 0..self.shape.layers() {
            let (k, n) = (sizes[l], sizes[l + 1]);
            let start = self.shape.start(l);
            let (below, above) = self.values.split_at_mut(l + 1);
            let out = &mut above[0];
            out.clear();
            if self.shape.bias {
                let bias = &weights[start + n * k..start + n * k + n];
                (0..rows).for_each(|_| out.extend_from_slice(bias));
            } else {
                out.resize(rows * n, 0.0);
            }
            gemm::nt(out, &below[l], &weights[start..start + n * k], rows, n, k, true);
            if l + 1 < self.shape.layers() && self.shape.between == Elementwise::Relu {
                for x in out.iter_mut() {
                    *x = x.max(0.0);
                }
            }
        }
        self.output()
    }

    /// `[rows, outputs]` of the last forward pass.
    pub fn output(&self) -> &[f32] {
        &self.values[self.shape.layers()]
    }

    /// Adds the parameters' gradients to `grads`, from the gradient of the output, `[rows, outputs]`. Each is one chain over
    /// the rows, from the value it accumulates onto.
    ///
    /// # Panics
    /// When `doutput`, `weights` or `grads` have another length.
    pub fn backward(&mut self, weights: &[f32], doutput: &[f32], grads: &mut [f32]) {
        let sizes = &self.shape.sizes;
        assert!(
            doutput.len() == self.output().len() && grads.len() == self.shape.len(),
            "as the forward pass"
        );
        self.upstream.clear();
        self.upstream.extend_from_slice(doutput);
        for l in (0..self.shape.layers()).rev() {
            let (k, n) = (sizes[l], sizes[l + 1]);
            let start = self.shape.start(l);
            let (dw, rest) = grads[start..].split_at_mut(n * k);
            strips::tn(dw, &self.upstream, &self.values[l], self.rows, n, k);
            if self.shape.bias {
                for row in self.upstream.chunks(n) {
                    rest.iter_mut().zip(row).for_each(|(b, d)| *b += d);
                }
            }
            if l == 0 {
                break;
            }
            self.below.resize(self.rows * k, 0.0);
            let w = &weights[start..start + n * k];
            gemm::nn(&mut self.below, &self.upstream, w, self.rows, k, n, false);
            if self.shape.between == Elementwise::Relu {
                for (d, x) in self.below.iter_mut().zip(&self.values[l]) {
                    *d = if *x > 0.0 { *d } else { 0.0 };
                }
            }
            std::mem::swap(&mut self.upstream, &mut self.below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(between: Elementwise, bias: bool) -> ChainShape {
        ChainShape { sizes: vec![5, 7, 3, 4], between, bias }
    }

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut x = seed;
        let mut draw = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((x >> 40) as f32 / (1u64 << 24) as f32) - 0.5
        };
        (0..n).map(|_| draw()).collect()
    }

    /// The same in f64, layer by layer.
    fn plain(shape: &ChainShape, weights: &[f64], x: &[f64]) -> Vec<f64> {
        let mut row = x.to_vec();
        let mut at = 0;
        for (l, pair) in shape.sizes.windows(2).enumerate() {
            let (k, n) = (pair[0], pair[1]);
            let bias = at + n * k;
            let sum = |j: usize| {
                let from = if shape.bias { weights[bias + j] } else { 0.0 };
                (0..k).fold(from, |s, i| s + weights[at + j * k + i] * row[i])
            };
            let last = l + 1 == shape.layers();
            let next = (0..n).map(|j| match shape.between {
                Elementwise::Relu if !last => sum(j).max(0.0),
                _ => sum(j),
            });
            row = next.collect();
            at = bias + if shape.bias { n } else { 0 };
        }
        row
    }

    #[test]
    fn values_and_gradients_are_those_of_f64() {
        for (between, bias) in
            [(Elementwise::Relu, true), (Elementwise::Linear, false), (Elementwise::Relu, false)]
        {
            let shape = shape(between, bias);
            let (w, x, g) = (numbers(shape.len(), 1), numbers(6 * 5, 2), numbers(6 * 4, 3));
            let wide = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let loss = |w: &[f64]| {
                let rows = wide(&x);
                let out = rows.chunks(5).flat_map(|row| plain(&shape, w, row));
                out.zip(&g).map(|(y, &g)| y * f64::from(g)).sum::<f64>()
            };
            let mut chain = Chain::new(shape.clone());
            let out = chain.forward(&w, &x).to_vec();
            let expected: Vec<f64> =
                wide(&x).chunks(5).flat_map(|row| plain(&shape, &wide(&w), row)).collect();
            for (ours, theirs) in out.iter().zip(&expected) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-6);
            }
            let mut grads = vec![0.0; w.len()];
            chain.backward(&w, &g, &mut grads);
            for i in 0..w.len() {
                let mut at = wide(&w);
                let h = 1e-6;
                at[i] += h;
                let up = loss(&at);
                at[i] -= 2.0 * h;
                let slope = (up - loss(&at)) / (2.0 * h);
                assert!((f64::from(grads[i]) - slope).abs() < 1e-5, "{between:?} {i}: {} {slope}", grads[i]);
            }
        }
    }

    #[test]
    fn a_batch_in_parts_gives_the_same_bits() {
        let shape = shape(Elementwise::Relu, true);
        let (w, x, g) = (numbers(shape.len(), 4), numbers(9 * 5, 5), numbers(9 * 4, 6));
        let mut chain = Chain::new(shape);
        let run = |chain: &mut Chain, cuts: &[usize]| {
            let (mut out, mut grads) = (Vec::new(), vec![0.0; w.len()]);
            for pair in cuts.windows(2) {
                out.extend_from_slice(chain.forward(&w, &x[pair[0] * 5..pair[1] * 5]));
                chain.backward(&w, &g[pair[0] * 4..pair[1] * 4], &mut grads);
            }
            (out, grads)
        };
        let whole = run(&mut chain, &[0, 9]);
        assert_eq!(run(&mut chain, &[0, 1, 6, 9]), whole);
    }

    #[test]
    fn names_and_places_agree() {
        let shape = shape(Elementwise::Relu, true);
        let names: Vec<String> = shape.entries().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["layers.0.weight", "layers.0.bias", "layers.1.weight"]);
        assert_eq!((shape.start(1), shape.start(2), shape.len()), (42, 66, 82));
        assert!(ChainShape { sizes: vec![3], ..shape.clone() }.check().is_err());
        assert!(ChainShape { sizes: vec![3, 0, 2], ..shape }.check().is_err());
    }
}
