//! The tokens that every engine is measured on: draws of one linear congruential generator, so that any program can
//! make the same ones.

use regimen_base::{Result, Split};
use regimen_data::{Body, Example, ExampleId, Role, Source, Token};

use super::Size;

const FACTOR: u64 = 6_364_136_223_846_793_005;
const STEP: u64 = 1_442_695_040_888_963_407;

/// Knuth's generator: x ← x · [`FACTOR`] + [`STEP`] mod 2⁶⁴.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lcg(u64);

impl Lcg {
    /// A generator at the beginning of its series.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The tokens of a training step begin here.
    pub fn of_step(step: u64) -> Self {
        Self::new(step.wrapping_mul(1_000_003).wrapping_add(1_234_567))
    }

    /// A number below `n`.
    pub fn draw(&mut self, n: usize) -> u32 {
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(STEP);
        ((self.0 >> 33) % n as u64) as u32
    }

    /// Passes over `n` draws in log n steps: n applications of an affine map are one affine map.
    #[must_use]
    pub fn skip(mut self, mut n: u64) -> Self {
        let (mut factor, mut step) = (FACTOR, STEP);
        while n > 0 {
            if n & 1 == 1 {
                self.0 = self.0.wrapping_mul(factor).wrapping_add(step);
            }
            step = step.wrapping_mul(factor.wrapping_add(1));
            factor = factor.wrapping_mul(factor);
            n >>= 1;
        }
        self
    }
}

/// The training data of a size: item i is document i mod batch of step i / batch.
pub struct Documents(pub Size);

impl Documents {
    /// The ids of one document: inputs are all but the last, targets all but the first.
    pub fn ids(&self, index: u64) -> impl Iterator<Item = u32> + use<> {
        let (batch, len, vocab) = (self.0.batch() as u64, self.0.context() + 1, self.0.shape().vocab);
        let mut lcg = Lcg::of_step(index / batch).skip(index % batch * len as u64);
        (0..len).map(move |_| lcg.draw(vocab))
    }
}

impl Source for Documents {
    fn number(&self) -> u32 {
        0
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn get(&self, index: u64, _: Split) -> Result<Example> {
        let token = |id| Token { id, role: Role::Text, weight: 1.0, logprob: None };
        let tokens = self.ids(index).map(token).collect();
        Ok(Example::new(ExampleId { source: 0, index }, Body::Tokens(tokens)))
    }

    fn place(&self, index: u64, _: Split) -> String {
        format!("{}#{index}", self.name())
    }

    fn describe(&self) -> String {
        format!("the token stream of size {}", self.name())
    }
}

/// Prompts to decode from: `rows` of `len` ids each.
pub fn prompts(vocab: usize, rows: usize, len: usize) -> Vec<Vec<u32>> {
    let mut lcg = Lcg::new(4242);
    (0..rows).map(|_| (0..len).map(|_| lcg.draw(vocab)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_is_drawing() {
        for n in [0, 1, 2, 63, 64, 65, 4097] {
            let (mut drawn, skipped) = (Lcg::new(7), Lcg::new(7).skip(n));
            for _ in 0..n {
                drawn.draw(3);
            }
            assert_eq!(drawn, skipped, "{n}");
        }
    }

    /// First four ids, last three ids and the sum of the ids of a step, from the peers' own generator in Python.
    #[test]
    fn tokens_are_those_of_the_peers() {
        for (size, step, first, last, sum) in [
            (Size::Xs, 0, [53, 52, 49, 52], [57, 31, 50], 66_265u32),
            (Size::Xs, 10, [1, 15, 31, 38], [39, 10, 12], 66_596),
            (Size::Tiny, 0, [53, 52, 49, 52], [60, 18, 61], 130_487),
            (Size::Tiny, 10, [1, 15, 31, 38], [59, 61, 62], 131_702),
            (Size::Small, 0, [4085, 2676, 1393, 2228], [694, 3834, 3102], 4_155_626),
            (Size::Small, 10, [3009, 399, 3359, 2790], [215, 1651, 1922], 4_262_054),
        ] {
            let batch = size.batch() as u64;
            let ids: Vec<u32> =
                (step * batch..(step + 1) * batch).flat_map(|i| Documents(size).ids(i)).collect();
            assert_eq!(ids.len(), size.batch() * (size.context() + 1));
            assert_eq!((&ids[..4], &ids[ids.len() - 3..]), (&first[..], &last[..]), "{size:?} {step}");
            assert_eq!(ids.iter().sum::<u32>(), sum, "{size:?} {step}");
        }
    }
}
