//! A counter-based generator (Threefry-2x64, 20 rounds; Salmon et al. 2011, "Parallel random numbers: as easy as
//! 1, 2, 3"): a draw is a pure function of (key, counter).

const ROTATIONS: [u32; 8] = [16, 42, 12, 31, 16, 32, 24, 21];
const PARITY: u64 = 0x1BD1_1BDA_A9FC_1A22;

/// The block function: 128 bits of key and 128 bits of counter to 128 random bits.
pub(crate) fn threefry2x64(key: [u64; 2], counter: [u64; 2]) -> [u64; 2] {
    let ks = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let (mut x, mut y) = (counter[0].wrapping_add(ks[0]), counter[1].wrapping_add(ks[1]));
    for round in 0..20 {
        x = x.wrapping_add(y);
        y = y.rotate_left(ROTATIONS[round % 8]) ^ x;
        if round % 4 == 3 {
            let i = round / 4 + 1;
            x = x.wrapping_add(ks[i % 3]);
            y = y.wrapping_add(ks[(i + 1) % 3]).wrapping_add(i as u64);
        }
    }
    [x, y]
}

/// A stream of draws from one [`crate::Key`]. Short-lived by design: make one where it is needed, never keep it.
pub struct Rng {
    key: [u64; 2],
    counter: u64,
    spare: Option<u64>,
}

impl Rng {
    pub(crate) fn new(key: [u64; 2]) -> Self {
        Self { key, counter: 0, spare: None }
    }

    /// 64 uniform bits.
    pub fn u64(&mut self) -> u64 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        let [a, b] = threefry2x64(self.key, [self.counter, 0]);
        self.counter += 1;
        self.spare = Some(b);
        a
    }

    /// Uniform in `0..n`, without bias (Lemire 2019).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no number is below 0");
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.u64()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// An index into a collection of `len` items.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Uniform in `lo..=hi`.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below((hi - lo) as u64 + 1) as i64
    }

    /// Uniform in [0, 1) with 53 random bits.
    pub fn f64(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.f64() < p
    }

    /// Standard normal (Box–Muller; one of the pair is dropped so that a draw keeps no state).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.f64();
        let v = self.f64();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// One item, uniformly; `None` when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.index(items.len())]) }
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    /// Known answers of the Random123 distribution (threefry2x64, 20 rounds).
    #[test]
    fn known_answers() {
        assert_eq!(threefry2x64([0, 0], [0, 0]), [0xc2b6_e3a8_c2c6_9865, 0x6f81_ed42_f350_084d]);
        assert_eq!(
            threefry2x64([u64::MAX, u64::MAX], [u64::MAX, u64::MAX]),
            [0xe02c_b7c4_d95d_277a, 0xd066_33d0_893b_8b68]
        );
    }

    #[test]
    fn below_is_uniform() {
        let mut counts = [0u32; 7];
        let mut rng = Key::new(1).rng();
        for _ in 0..70_000 {
            counts[rng.index(7)] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 22.5, "chi2 {chi2} with 6 degrees of freedom"); // p = 0.001
    }

    #[test]
    fn normal_has_unit_variance() {
        let mut rng = Key::new(2).rng();
        let draws: Vec<f64> = (0..50_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 5e4;
        let var = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 5e4;
        assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.03, "mean {mean}, variance {var}");
    }

    #[test]
    fn range_includes_both_ends() {
        let mut rng = Key::new(3).rng();
        let draws: Vec<i64> = (0..200).map(|_| rng.range(-1, 1)).collect();
        assert!([-1, 0, 1].iter().all(|x| draws.contains(x)));
    }
}
