//! A keyed permutation of `0..n` that stores nothing: a Feistel network on the next power of four, walked until it
//! lands inside (Black & Rogaway 2002, "Ciphers with arbitrary finite domains").

use regimen_base::Key;

/// Below this size the permutation is a Fisher–Yates shuffle, made anew for each look: exactly uniform, and the
/// Feistel network needs some bits to mix.
const SMALL: u64 = 64;
const ROUNDS: u64 = 6;

/// A permutation of `0..len`.
pub struct Permutation {
    len: u64,
    half_bits: u32,
    rounds: Vec<Key>,
    small: Vec<u64>,
}

impl Permutation {
    /// The permutation of `0..len` that `key` names.
    pub fn new(len: u64, key: Key) -> Self {
        let mut small: Vec<u64> = if len <= SMALL { (0..len).collect() } else { Vec::new() };
        key.rng().shuffle(&mut small);
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Self { len, half_bits: bits.div_ceil(2), rounds: (0..ROUNDS).map(|r| key.at(r)).collect(), small }
    }

    /// Where position `at` goes.
    ///
    /// # Panics
    /// When `at` is not below the length.
    pub fn get(&self, at: u64) -> u64 {
        assert!(at < self.len, "position {at} of {}", self.len);
        if self.len <= SMALL {
            return self.small[at as usize];
        }
        let mut x = at;
        loop {
            x = self.scramble(x);
            if x < self.len {
                return x;
            }
        }
    }

    fn scramble(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for round in &self.rounds {
            let mixed = left ^ (round.at(right).to_u128() as u64 & mask);
            (left, right) = (right, mixed);
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_goes_somewhere_else() {
        for len in [1, 2, 3, 7, 63, 64, 65, 100, 257, 1000, 4096, 4097] {
            let p = Permutation::new(len, Key::new(len));
            let mut seen: Vec<u64> = (0..len).map(|i| p.get(i)).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..len), "length {len}");
        }
    }

    /// Each of 24 orders of 4, and each target of each position of 100, comes up as often as it should.
    #[test]
    fn permutations_are_uniform() {
        let mut orders = std::collections::BTreeMap::new();
        let mut targets = vec![0u32; 100 * 100];
        for seed in 0..4800 {
            let p = Permutation::new(4, Key::new(seed));
            *orders.entry((0..4).map(|i| p.get(i)).collect::<Vec<_>>()).or_insert(0u32) += 1;
            let p = Permutation::new(100, Key::new(seed));
            (0..100).for_each(|i| targets[(i * 100 + p.get(i)) as usize] += 1);
        }
        let chi2 = |counts: &mut dyn Iterator<Item = u32>, want: f64| -> f64 {
            counts.map(|c| (f64::from(c) - want).powi(2) / want).sum()
        };
        assert_eq!(orders.len(), 24);
        assert!(chi2(&mut orders.values().copied(), 200.0) < 49.7); // p = 0.001 at 23 degrees of freedom
        let chi2 = chi2(&mut targets.iter().copied(), 48.0);
        assert!((9801.0 - 5.0 * 140.0..9801.0 + 5.0 * 140.0).contains(&chi2), "chi2 {chi2}"); // 99² degrees, 5 sigma
    }

    #[test]
    fn a_large_domain_costs_nothing() {
        let p = Permutation::new(u64::MAX / 3, Key::new(1));
        assert_ne!(p.get(0), p.get(1));
    }
}
