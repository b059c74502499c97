//! Dropout before low-rank adapters (Srivastava et al. 2014; Hu et al. 2021), without state.
//!
//! What is dropped is decided by a hash of the key, the whole document, the place in it, the product and the column. So a
//! batch may be cut at will, threads may share it, and activations may be computed again: the mask is the same. (Two equal
//! documents in one step have the same mask.) Projections that share their input share its mask.

use crate::shape::Projection;

/// 2⁶⁴ divided by the golden ratio: the step of a Weyl sequence.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele et al. 2014): every bit of the result depends on every bit of x.
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// One key a row: of its document and its place in it.
pub(crate) fn row_keys(keys: &mut Vec<u64>, key: u64, ids: &[u32], starts: &[u32]) {
    keys.clear();
    for document in starts.windows(2) {
        let ids = &ids[document[0] as usize..document[1] as usize];
        let whole =
            ids.iter().fold(mix(key ^ ids.len() as u64), |h, id| mix(h ^ u64::from(*id)).wrapping_add(WEYL));
        keys.extend((0..ids.len() as u64).map(|place| mix(whole.wrapping_add(place.wrapping_mul(WEYL)))));
    }
}

/// What is dropped from the input of one product of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    salt: u64,
    /// Numbers of 32 bits below it drop.
    threshold: u64,
    scale: f32,
}

impl Dropout {
    /// A share `p` of the columns of each row; what is left is divided by 1 − p.
    pub fn new(layer: usize, product: usize, p: f32) -> Self {
        let threshold = (f64::from(p) * (1_u64 << 32) as f64) as u64;
        Self { salt: mix((4 * layer + product) as u64 + 1), threshold, scale: 1.0 / (1.0 - p) }
    }

    /// Multiplies row i of x, `width` columns each, by the mask of `keys[i]`.
    pub fn apply(self, x: &mut [f32], width: usize, keys: &[u64]) {
        for (row, key) in x.chunks_exact_mut(width).zip(keys) {
            let mut at = mix(key ^ self.salt);
            for pair in row.chunks_mut(2) {
                at = at.wrapping_add(WEYL);
                let bits = mix(at);
                for (x, bits) in pair.iter_mut().zip([bits & 0xffff_ffff, bits >> 32]) {
                    *x *= if bits < self.threshold { 0.0 } else { self.scale };
                }
            }
        }
    }

    /// The rows of x, `width` columns and `x_row` apart, after the mask.
    pub fn of(self, x: &[f32], x_row: usize, width: usize, keys: &[u64]) -> Vec<f32> {
        let mut out = Vec::with_capacity(keys.len() * width);
        (0..keys.len()).for_each(|r| out.extend_from_slice(&x[r * x_row..r * x_row + width]));
        self.apply(&mut out, width, keys);
        out
    }
}

/// The factors, `[ids, width]`, on the input of a projection of a layer: what the engine uses, for whoever computes the
/// same in another way.
pub fn dropout_mask(
    key: u64,
    (ids, starts): (&[u32], &[u32]),
    (layer, projection): (usize, Projection),
    width: usize,
    p: f32,
) -> Vec<f32> {
    let mut keys = Vec::new();
    row_keys(&mut keys, key, ids, starts);
    let mut mask = vec![1.0; keys.len() * width];
    Dropout::new(layer, projection.product(), p).apply(&mut mask, width, &keys);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(key: u64, layer: usize, p: f32) -> Vec<f32> {
        let ids: Vec<u32> = (0..200).map(|i| i % 7).collect();
        dropout_mask(key, (&ids, &[0, 50, 51, 200]), (layer, Projection::Up), 101, p)
    }

    #[test]
    fn as_much_is_dropped_as_is_wanted_and_the_mean_stays() {
        for p in [0.0, 0.05, 0.5, 0.9] {
            let mask = mask(3, 0, p);
            let n = mask.len() as f64;
            let dropped = mask.iter().filter(|m| **m == 0.0).count() as f64 / n;
            let spread = 4.0 * (f64::from(p) * (1.0 - f64::from(p)) / n).sqrt();
            assert!((dropped - f64::from(p)).abs() <= spread, "{p}: {dropped}");
            assert!(mask.iter().all(|m| *m == 0.0 || (m * (1.0 - p) - 1.0).abs() < 1e-6));
        }
    }

    #[test]
    fn keys_layers_rows_and_columns_differ() {
        let of = |key, layer| mask(key, layer, 0.5);
        let alike =
            |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64;
        let all = of(1, 0);
        for other in [of(2, 0), of(1, 1)] {
            assert!((alike(&all, &other) - 0.5).abs() < 0.02);
        }
        assert!((alike(&all[..101 * 199], &all[101..]) - 0.5).abs() < 0.02, "rows");
        assert!((alike(&all[..101 * 200 - 1], &all[1..]) - 0.5).abs() < 0.02, "columns");
    }

    #[test]
    fn a_document_has_its_mask_wherever_it_lies() {
        let (a, b) = ([1, 2, 3], [4, 5]);
        let of = |ids: &[u32], starts: &[u32]| dropout_mask(9, (ids, starts), (2, Projection::Q), 8, 0.3);
        let both = of(&[4, 5, 1, 2, 3], &[0, 2, 5]);
        assert_eq!([of(&b, &[0, 2]), of(&a, &[0, 3])].concat(), both);
        assert_ne!(of(&a, &[0, 3])[..8], of(&[1, 2], &[0, 2])[..8], "another document");
    }
}
