//! Log-probabilities and entropies of rows of logits, and their gradients.
//!
//! A row is summed in blocks of 1024 logits in order, so a vocabulary may be visited in chunks of any multiple of
//! that; the sampler and the trainer use the same functions and get the same bits.

use crate::math::{exp, ln};
use crate::simd::{LANES, Plain as Scalar, Simd, at, fold4, largest, put, simd, total};

/// Logits that are summed together; chunks of a row must be multiples of it.
pub(crate) const BLOCK: usize = 1024;

/// Softmax statistics of a (part of a) row of logits divided by the temperature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowStats {
    /// Largest value.
    pub max: f32,
    /// Σ exp(x − max).
    pub sum: f32,
    /// Σ exp(x − max)·(x − max).
    pub weighted: f32,
}

impl RowStats {
    pub const EMPTY: RowStats = RowStats { max: f32::NEG_INFINITY, sum: 0.0, weighted: 0.0 };

    /// log p of a value.
    pub fn logprob(&self, value: f32) -> f32 {
        (f64::from(value) - f64::from(self.max) - ln(f64::from(self.sum))) as f32
    }

    /// −Σ p log p.
    pub fn entropy(&self) -> f32 {
        (ln(f64::from(self.sum)) - f64::from(self.weighted) / f64::from(self.sum)) as f32
    }

    fn join(&mut self, o: RowStats) {
        if self.max == f32::NEG_INFINITY {
            *self = o;
            return;
        }
        let max = if o.max > self.max { o.max } else { self.max };
        let (a, b) = (rebase(*self, max), rebase(o, max));
        *self = RowStats { max, sum: a.sum + b.sum, weighted: a.weighted + b.weighted };
    }
}

/// The same statistics relative to a larger maximum.
fn rebase(s: RowStats, max: f32) -> RowStats {
    if s.max == max {
        return s;
    }
    let shift = s.max - max;
    let factor = exp_one(shift);
    RowStats { max, sum: s.sum * factor, weighted: shift.mul_add(s.sum, s.weighted) * factor }
}

fn exp_one(x: f32) -> f32 {
    exp(Scalar::splat(x)).lanes()[0]
}

simd!(
    /// Adds `row` (a multiple of [`BLOCK`] logits, except at the end of the vocabulary) to the statistics.
    pub(crate) fn row_stats(stats: &mut RowStats, row: &[f32], temperature: f32) => row_stats_body);

#[inline(always)]
fn row_stats_body<V: Simd>(stats: &mut RowStats, row: &[f32], temperature: f32) {
    for block in row.chunks(BLOCK) {
        stats.join(block_stats::<V>(block, temperature));
    }
}

#[inline(always)]
fn tempered<V: Simd>(x: V, temperature: f32) -> V {
    if temperature == 1.0 { x } else { x.div(V::splat(temperature)) }
}

#[inline(always)]
fn block_stats<V: Simd>(block: &[f32], temperature: f32) -> RowStats {
    let whole = block.len() / LANES * LANES;
    let mut tail = [f32::NEG_INFINITY; LANES];
    tail[..block.len() - whole].copy_from_slice(&block[whole..]);
    let tail = tempered(at::<V>(&tail, 0), temperature);
    let maxima = fold4!(whole, tail, |acc, i| tempered(at::<V>(block, i), temperature).max(acc));
    let max = largest(maxima);
    let m = V::splat(max);
    let mut sums = Sums { sum: [V::zero(); 4], weighted: [V::zero(); 4] };
    let mut i = 0;
    while i + 3 * LANES < whole {
        for v in 0..4 {
            sums.push(v, tempered(at::<V>(block, i + v * LANES), temperature).sub(m));
        }
        i += 4 * LANES;
    }
    for v in 0..3 {
        let at_v = i + v * LANES;
        if at_v < whole {
            sums.push(v, tempered(at::<V>(block, at_v), temperature).sub(m));
        }
    }
    if whole < block.len() {
        sums.push(3, tail.sub(m));
    }
    RowStats { max, sum: total(sums.sum), weighted: total(sums.weighted) }
}

struct Sums<V> {
    sum: [V; 4],
    weighted: [V; 4],
}

impl<V: Simd> Sums<V> {
    #[inline(always)]
    fn push(&mut self, v: usize, x: V) {
        let e = exp(x);
        self.sum[v] = self.sum[v].add(e);
        // e is 0 where x is −∞: keep 0·∞ out
        self.weighted[v] = e.fma(x.max(V::splat(-1e4)), self.weighted[v]);
    }
}

/// What the gradient of one row needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowGrad {
    pub stats: RowStats,
    pub target: usize,
    pub temperature: f32,
    pub dlogp: f32,
    pub dentropy: f32,
}

simd!(
    /// Turns a row of logits (its columns from `first`) into their gradients:
    /// (dlogp·(1[v = target] − p) − dentropy·p·(log p + H)) / temperature.
    pub(crate) fn row_backward(row: &mut [f32], first: usize, g: RowGrad) => row_backward_body);

#[inline(always)]
fn row_backward_body<V: Simd>(row: &mut [f32], first: usize, g: RowGrad) {
    let log_sum = ln(f64::from(g.stats.sum)) as f32;
    let entropy = g.stats.entropy();
    let (m, inv) = (V::splat(g.stats.max), V::splat(1.0 / g.stats.sum));
    let per_logp = V::splat(-g.dlogp / g.temperature);
    let per_entropy = V::splat(-g.dentropy / g.temperature);
    let level = V::splat(entropy - log_sum);
    for i in (0..row.len()).step_by(LANES) {
        let x = tempered(at::<V>(row, i), g.temperature).sub(m);
        let p = exp(x).mul(inv);
        let slope = if g.dentropy == 0.0 {
            per_logp
        } else {
            per_entropy.fma(x.max(V::splat(-1e4)).add(level), per_logp)
        };
        put(row, i, p.mul(slope));
    }
    if (first..first + row.len()).contains(&g.target) {
        row[g.target - first] += g.dlogp / g.temperature;
    }
}

/// log p(target) under softmax(logits / temperature): the trainer's and the sampler's function.
pub fn logprob(logits: &[f32], target: u32, temperature: f32) -> f32 {
    let mut stats = RowStats::EMPTY;
    row_stats(&mut stats, logits, temperature);
    stats.logprob(logits[target as usize] / temperature)
}
