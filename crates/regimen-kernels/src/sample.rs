//! Drawing a token from logits.

use crate::cross_entropy::{RowStats, row_stats};
use crate::math::exp;
use crate::simd::{LANES, Simd, at, put, simd};
use crate::span::span;

/// How tokens are drawn. Filters apply in the order of transformers: temperature, top-k, top-p, min-p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; positive.
    pub temperature: f32,
    /// Smallest set of tokens with this much probability (Holtzman et al. 2020); 1 is off.
    pub top_p: f32,
    /// The k likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024); 0 is off.
    pub min_p: f32,
    /// Always the likeliest token (the first of equals).
    pub greedy: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, greedy: false }
    }
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Its id.
    pub id: u32,
    /// Its log-probability under softmax(logits / temperature) without filters: the trainer's bits.
    pub logprob: f32,
    /// Probability that the filters took away.
    pub truncated_mass: f32,
    /// Entropy of softmax(logits / temperature).
    pub entropy: f32,
}

/// Buffers that are used again from draw to draw.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    probs: Vec<f32>,
    order: Vec<u32>,
}

simd!(fn probabilities(out: &mut [f32], logits: &[f32], temperature: f32, stats: RowStats) => probabilities_body);

#[inline(always)]
fn probabilities_body<V: Simd>(out: &mut [f32], logits: &[f32], temperature: f32, stats: RowStats) {
    let (max, inv) = (V::splat(stats.max), V::splat(1.0 / stats.sum));
    for i in (0..logits.len()).step_by(LANES) {
        let x = at::<V>(logits, i);
        let x = if temperature == 1.0 { x } else { x.div(V::splat(temperature)) };
        put(out, i, exp(x.sub(max)).mul(inv));
    }
}

/// Draws a token with the uniform number `u` in [0, 1). The same logits and `u` give the same token.
pub fn draw(logits: &[f32], sampling: &Sampling, u: f64, scratch: &mut Scratch) -> Drawn {
    let _part = span("drawing");
    let temperature = if sampling.temperature > 0.0 { sampling.temperature } else { 1.0 };
    let mut stats = RowStats::EMPTY;
    row_stats(&mut stats, logits, temperature);
    let drawn = |id: usize, truncated_mass: f32| Drawn {
        id: id as u32,
        logprob: stats.logprob(logits[id] / temperature),
        truncated_mass,
        entropy: stats.entropy(),
    };
    if sampling.greedy || sampling.temperature <= 0.0 {
        let mut best = 0;
        for (i, x) in logits.iter().enumerate() {
            if *x > logits[best] {
                best = i;
            }
        }
        return drawn(best, 0.0);
    }
    scratch.probs.resize(logits.len(), 0.0);
    probabilities(&mut scratch.probs, logits, temperature, stats);
    let probs = &scratch.probs;
    if !filters(sampling, logits.len()) {
        return drawn(pick(probs, 0..probs.len(), u), 0.0);
    }
    let kept = keep(probs, sampling, &mut scratch.order);
    let kept = &mut scratch.order[..kept];
    // in order of ids: a filter that takes nothing away draws the same token
    kept.sort_unstable();
    let mass: f64 = kept.iter().map(|&i| f64::from(probs[i as usize])).sum();
    let all: f64 = probs.iter().map(|p| f64::from(*p)).sum();
    drawn(pick(probs, kept.iter().map(|&i| i as usize), u), (1.0 - mass / all).max(0.0) as f32)
}

fn filters(s: &Sampling, vocab: usize) -> bool {
    s.top_p < 1.0 || (s.top_k > 0 && s.top_k < vocab) || s.min_p > 0.0
}

/// The first id whose cumulative probability exceeds u of the total.
fn pick(probs: &[f32], ids: impl Iterator<Item = usize> + Clone, u: f64) -> usize {
    let total: f64 = ids.clone().map(|i| f64::from(probs[i])).sum();
    let (mut sum, mut last) = (0.0, 0);
    for i in ids {
        let p = f64::from(probs[i]);
        sum += p;
        if p > 0.0 {
            last = i;
            if sum > u * total {
                return i;
            }
        }
    }
    last
}

/// Puts the kept ids at the front of `order` and gives their number (at least 1).
fn keep(probs: &[f32], s: &Sampling, order: &mut Vec<u32>) -> usize {
    let by_p = |a: &u32, b: &u32| probs[*b as usize].total_cmp(&probs[*a as usize]).then(a.cmp(b));
    let best = probs.iter().copied().fold(0.0f32, f32::max);
    // tokens below (1 − top_p)/V together weigh less than 1 − top_p, so the nucleus lies above
    let tail = if s.top_k > 0 { 0.0 } else { (1.0 - s.top_p).max(0.0) / probs.len() as f32 * 0.99 };
    let floor = tail.max(s.min_p * best).min(best);
    order.clear();
    order.extend((0..probs.len() as u32).filter(|&i| probs[i as usize] >= floor));
    if s.top_k > 0 && s.top_k < order.len() {
        order.select_nth_unstable_by(s.top_k - 1, by_p);
        order.truncate(s.top_k);
    }
    if s.top_p < 1.0 {
        order.sort_unstable_by(by_p);
        let total: f64 = if s.top_k > 0 {
            order.iter().map(|&i| f64::from(probs[i as usize])).sum()
        } else {
            probs.iter().map(|p| f64::from(*p)).sum()
        };
        let mut sum = 0.0;
        let mut n = 0;
        for &i in order.iter() {
            n += 1;
            sum += f64::from(probs[i as usize]);
            if sum >= f64::from(s.top_p) * total {
                break;
            }
        }
        order.truncate(n.max(1));
    }
    order.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [0.0, 2.0, 1.0, -1.0, 2.5, 0.5];

    fn shares(s: &Sampling) -> [f64; 6] {
        let mut counts = [0.0; 6];
        let mut scratch = Scratch::default();
        for i in 0..20_000 {
            counts[draw(&LOGITS, s, (f64::from(i) + 0.5) / 20_000.0, &mut scratch).id as usize] +=
                1.0 / 20_000.0;
        }
        counts
    }

    fn softmax(temperature: f64) -> [f64; 6] {
        let e = LOGITS.map(|x| (f64::from(x) / temperature).exp());
        let sum: f64 = e.iter().sum();
        e.map(|x| x / sum)
    }

    #[test]
    fn draws_follow_the_tempered_softmax() {
        for temperature in [1.0, 0.5, 2.0] {
            let got = shares(&Sampling { temperature, ..Sampling::default() });
            for (g, w) in got.iter().zip(softmax(f64::from(temperature))) {
                assert!((g - w).abs() < 1e-3, "{g} {w}");
            }
        }
    }

    #[test]
    fn filters_keep_what_they_should() {
        let nonzero = |s: Sampling| shares(&s).map(|x| x > 0.0);
        let s = Sampling::default();
        assert_eq!(nonzero(Sampling { top_k: 2, ..s }), [false, true, false, false, true, false]);
        assert_eq!(nonzero(Sampling { top_p: 0.5, ..s }), [false, true, false, false, true, false]);
        assert_eq!(nonzero(Sampling { top_p: 0.4, ..s }), [false, false, false, false, true, false]);
        assert_eq!(nonzero(Sampling { min_p: 0.2, ..s }), [false, true, true, false, true, false]);
        assert_eq!(nonzero(Sampling { greedy: true, ..s }), [false, false, false, false, true, false]);
    }

    #[test]
    fn logprob_ignores_filters_and_mass_counts_them() {
        let p = softmax(1.0);
        let mut scratch = Scratch::default();
        let d = draw(&LOGITS, &Sampling { top_k: 2, ..Sampling::default() }, 0.0, &mut scratch);
        assert_eq!(d.id, 1);
        assert!((f64::from(d.logprob) - p[1].ln()).abs() < 1e-6);
        assert!((f64::from(d.truncated_mass) - (1.0 - p[1] - p[4])).abs() < 1e-6);
        let h: f64 = p.iter().map(|p| -p * p.ln()).sum();
        assert!((f64::from(d.entropy) - h).abs() < 1e-6);
    }
}
