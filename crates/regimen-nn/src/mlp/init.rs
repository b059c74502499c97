//! Weights for nets of numbers to start from.

use regimen_base::Key;

use super::Mlp;
use crate::params::Params;
use regimen_kernels::Elementwise;

/// How the weights of an [`Mlp`] are drawn; biases start at 0.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum MlpInit {
    /// Normal, with the variance `gain`²·2/inputs of a layer before a ReLU (He et al. 2015), `gain`²/inputs in a linear net.
    FanIn {
        /// Factor on the standard deviation.
        gain: f64,
    },
    /// Normal, with factors scaled alike so that the product of a chain's weights has this Frobenius norm.
    Product {
        /// The norm.
        norm: f64,
    },
    /// Diagonal factors, the same in every layer of a chain, whose product is `product`·(1 + `jitter`·u) with u uniform in
    /// (−1, 1), drawn for each path and place of the diagonal.
    Diagonal {
        /// The product's mean.
        product: f64,
        /// How far it is varied.
        jitter: f64,
    },
}

impl MlpInit {
    /// Draws every parameter anew, each from its own key.
    pub fn apply(&self, mlp: &Mlp, params: &mut Params, key: Key) {
        let layers = mlp.chain().layers();
        let paths: Vec<String> = params.layout().entries().iter().map(|e| e.path.clone()).collect();
        for path in &paths {
            let shape = params.layout().find(path).map(|e| e.shape.clone()).unwrap_or_default();
            let own = key.child(path);
            let Some(weights) = params.get_mut(path) else { continue };
            if shape.len() == 1 {
                weights.fill(0.0);
                continue;
            }
            match *self {
                Self::FanIn { gain } => {
                    let before = if mlp.between == Elementwise::Relu { 2.0 } else { 1.0 };
                    normal(weights, gain * (before / shape[1] as f64).sqrt(), own);
                }
                Self::Product { .. } => normal(weights, 1.0 / (shape[1] as f64).sqrt(), own),
                Self::Diagonal { product, jitter } => {
                    weights.fill(0.0);
                    // the same factor in every layer of a path: a key of the path, not of the layer
                    let chain = path.split("layers.").next().unwrap_or_default();
                    for i in 0..shape[0].min(shape[1]) {
                        let u = 2.0 * key.child(chain).child("diagonal").at(i as u64).rng().f64() - 1.0;
                        let factor = (product * (1.0 + jitter * u)).powf(1.0 / layers as f64);
                        weights[i * shape[1] + i] = factor as f32;
                    }
                }
            }
        }
        if let Self::Product { norm } = *self {
            for p in 0..mlp.paths {
                scale(mlp, params, p, norm);
            }
        }
    }
}

fn normal(weights: &mut [f32], std: f64, key: Key) {
    let mut rng = key.rng();
    for w in weights {
        *w = (rng.normal() * std) as f32;
    }
}

/// Scales the factors of path `p` alike, so that their product has this Frobenius norm.
fn scale(mlp: &Mlp, params: &mut Params, p: usize, norm: f64) {
    let sizes = mlp.chain().sizes;
    let len = params.len() / mlp.paths;
    let names = mlp.chain().entries();
    let mut at = p * len;
    let mut places = Vec::new();
    for (_, shape) in names {
        let size: usize = shape.iter().product();
        if shape.len() == 2 {
            places.push(at..at + size);
        }
        at += size;
    }
    let flat = params.flat_mut();
    let first = sizes[0];
    // W·…, from the identity, in f64
    let mut product: Vec<f64> =
        (0..first * first).map(|i| f64::from(u8::from(i / first == i % first))).collect();
    for (place, pair) in places.iter().zip(sizes.windows(2)) {
        let (k, n) = (pair[0], pair[1]);
        let w = &flat[place.clone()];
        let mut next = vec![0.0; n * first];
        for j in 0..n {
            for i in 0..k {
                let x = f64::from(w[j * k + i]);
                let (row, from) =
                    (&mut next[j * first..(j + 1) * first], &product[i * first..(i + 1) * first]);
                row.iter_mut().zip(from).for_each(|(sum, y)| *sum += x * y);
            }
        }
        product = next;
    }
    let own = product.iter().map(|x| x * x).sum::<f64>().sqrt();
    let factor = (norm / own).powf(1.0 / places.len() as f64);
    for place in places {
        flat[place].iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
    }
}
