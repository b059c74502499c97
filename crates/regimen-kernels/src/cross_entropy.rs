//! Log-probabilities and entropies of rows of logits, and their gradients.
//!
//! A row is summed in blocks of 1024 logits in order, so a vocabulary may be visited in chunks of any multiple of
//! that; the sampler and the trainer use the same functions and get the same bits.

use crate::decoder::Pick;
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

/// Logits of rows with what was picked from them: log-probs and entropies, and the way back.
#[derive(Clone, Debug)]
pub struct PickedRows {
    /// `[rows, width]`.
    logits: Vec<f32>,
    width: usize,
    picks: Vec<Pick>,
    temperature: f32,
    stats: Vec<RowStats>,
}

impl PickedRows {
    /// For logits `[rows, width]`; a pick's position is its row, and its target one of the row's logits.
    ///
    /// # Panics
    /// When a pick lies outside.
    pub fn new(logits: Vec<f32>, width: usize, picks: &[Pick], temperature: f32) -> Self {
        let stats = |row: &[f32]| {
            let mut stats = RowStats::EMPTY;
            row_stats(&mut stats, row, temperature);
            stats
        };
        let stats = logits.chunks(width).map(stats).collect();
        Self { logits, width, picks: picks.to_vec(), temperature, stats }
    }

    fn row(&self, pick: Pick) -> &[f32] {
        let at = pick.position as usize * self.width;
        &self.logits[at..at + self.width]
    }

    /// The logits of each pick's row, `[picks, width]`.
    pub fn logits(&self) -> Vec<f32> {
        self.picks.iter().flat_map(|pick| self.row(*pick)).copied().collect()
    }

    /// The logit of each pick.
    pub fn values(&self) -> Vec<f32> {
        self.picks.iter().map(|pick| self.row(*pick)[pick.target as usize]).collect()
    }

    /// log softmax(logits / temperature)\[target\] of each pick.
    pub fn logp(&self) -> Vec<f32> {
        let logp = |pick: &Pick| {
            let value = self.row(*pick)[pick.target as usize] / self.temperature;
            self.stats[pick.position as usize].logprob(value)
        };
        self.picks.iter().map(logp).collect()
    }

    /// The entropy of each pick's row.
    pub fn entropy(&self) -> Vec<f32> {
        self.picks.iter().map(|pick| self.stats[pick.position as usize].entropy()).collect()
    }

    /// The gradient of all logits, `[rows, width]`, from those of log-probs, entropies and values (`[picks]`) and of the
    /// picked rows' logits (`[picks, width]`). Picks are added in their order.
    pub fn backward(
        &self,
        dlogp: Option<&[f32]>,
        dentropy: Option<&[f32]>,
        dvalues: Option<&[f32]>,
        dlogits: Option<&[f32]>,
    ) -> Vec<f32> {
        let mut all = vec![0.0; self.logits.len()];
        let mut row = vec![0.0; self.width];
        for (p, pick) in self.picks.iter().enumerate() {
            let at = pick.position as usize * self.width;
            let into = &mut all[at..at + self.width];
            let of = |d: Option<&[f32]>| d.map_or(0.0, |d| d[p]);
            let (dlogp, dentropy) = (of(dlogp), of(dentropy));
            if dlogp != 0.0 || dentropy != 0.0 {
                row.copy_from_slice(self.row(*pick));
                let (stats, target) = (self.stats[pick.position as usize], pick.target as usize);
                row_backward(
                    &mut row,
                    0,
                    RowGrad { stats, target, temperature: self.temperature, dlogp, dentropy },
                );
                into.iter_mut().zip(&row).for_each(|(sum, d)| *sum += d);
            }
            if let Some(dlogits) = dlogits {
                let own = &dlogits[p * self.width..(p + 1) * self.width];
                into.iter_mut().zip(own).for_each(|(sum, d)| *sum += d);
            }
            into[pick.target as usize] += of(dvalues);
        }
        all
    }
}
