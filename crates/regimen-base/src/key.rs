//! Where every random draw of Regimen comes from.

use crate::rng::{Rng, threefry2x64};

/// A 128-bit name for a source of randomness: derived from a seed by a path of names and counters.
///
/// A key is never advanced and never added to. Two different paths give unrelated keys, so a draw depends only on
/// *what* it is for, not on how many draws came before it; that is what makes resume and thread count irrelevant.
///
/// ```
/// use regimen_base::Key;
/// let step = Key::new(7).child("rollout").at(12);
/// assert_eq!(step.rng().u64(), Key::new(7).child("rollout").at(12).rng().u64());
/// assert_ne!(step, Key::new(7).child("rollout").at(13));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

/// Separates the uses of one key, so that `at(0)`, `child("")` and the first draw never coincide.
const TAG_SEED: u64 = 0x5245_4749_4d45_4e00;
const TAG_AT: u64 = 1;
const TAG_CHILD: u64 = 2;
const TAG_CHILD_END: u64 = 3;

impl Key {
    /// The root key of a run.
    pub fn new(seed: u64) -> Self {
        Self(0).mix(seed, TAG_SEED)
    }

    /// The key for a named part of what this key stands for.
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut key = self;
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = key.mix(u64::from_le_bytes(word), TAG_CHILD);
        }
        key.mix(bytes.len() as u64, TAG_CHILD_END)
    }

    /// The key for the `n`-th of a series: a step, a row, a token.
    #[must_use]
    pub fn at(self, n: u64) -> Self {
        self.mix(n, TAG_AT)
    }

    /// A generator that starts at this key.
    pub fn rng(self) -> Rng {
        Rng::new(self.words())
    }

    /// The key as a number, for saved state and for messages.
    pub fn to_u128(self) -> u128 {
        self.0
    }

    /// The key that [`Key::to_u128`] gave.
    pub fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    fn words(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    fn mix(self, a: u64, b: u64) -> Self {
        let [lo, hi] = threefry2x64(self.words(), [a, b]);
        Self(u128::from(lo) | u128::from(hi) << 64)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:032x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_a_sum() {
        let k = Key::new(3);
        assert_ne!(k.at(1).at(2), k.at(2).at(1));
        assert_ne!(Key::new(3).at(1), Key::new(4).at(0));
        assert_ne!(k.child("a").child("b"), k.child("ab"));
        assert_ne!(k.child("abcdefgh").child("i"), k.child("abcdefghi"));
        assert_ne!(k.child("a"), k.child("a\0"));
    }

    #[test]
    fn neighbouring_seeds_share_no_draws() {
        let draws = |seed: u64| (0..500).map(|i| Key::new(seed).at(i).rng().u64()).collect::<Vec<_>>();
        let a = draws(1);
        assert!(draws(2).iter().all(|d| !a.contains(d)));
    }
}
