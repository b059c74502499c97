//! `grpo`: the clipped policy gradient with group-relative advantages (Shao et al. 2024, eq. 3, without the KL term,
//! which is an objective of its own here).
//!
//! Its named variants are settings: DAPO is `clip-high = 0.28`, `reduce = "per-token"`; Dr. GRPO is an advantage
//! without `std` and `reduce = { constant = <longest completion> }`; GSPO (Zheng et al. 2025) is `ratio = "sequence"`.

use burn::Tensor;
use regimen_base::Result;
use regimen_core::Picks;
use regimen_core::objective::{LossCx, Needs, Objective, Reading, Rows, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// What the importance ratio is taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ratio {
    /// Each token has its own ratio.
    Token,
    /// One ratio a completion: the geometric mean of its tokens' ratios.
    Sequence,
}

/// −min(ρ·A, clip(ρ, 1 − clip, 1 + clip-high)·A) with ρ = π/π_sampler.
pub struct Grpo {
    /// Lower clip range ε.
    pub clip: f64,
    /// Upper clip range.
    pub clip_high: f64,
    /// What the ratio is taken over.
    pub ratio: Ratio,
}

impl Objective for Grpo {
    fn needs(&self) -> Needs {
        Needs { rollout: true, ..Needs::default() }
    }

    /// Only tokens that the model drew, of episodes that have an advantage.
    fn rows(&self, picks: &Picks) -> Rows {
        let keep =
            |i: usize| if picks.drawn[i] && picks.advantage[i].is_some() { picks.weight[i] } else { 0.0 };
        Rows { weight: (0..picks.len()).map(keep).collect(), ..Rows::of_picks(picks) }
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let weights = self.rows(cx.picks).weight;
        let advantages: Vec<f32> = cx.picks.advantage.iter().map(|a| a.unwrap_or(0.0)).collect();
        let log_ratio = cx.policy.logp.clone() - cx.constant(cx.picks.sampled.clone());
        let log_ratio = match self.ratio {
            Ratio::Token => log_ratio,
            Ratio::Sequence => per_unit_mean(cx, log_ratio, &weights),
        };
        let ratio = log_ratio.exp();
        let readings = self.readings(&super::read(&ratio)?, &advantages, &weights);
        let advantage = cx.constant(advantages);
        let clipped = ratio.clone().clamp(1.0 - self.clip, 1.0 + self.clip_high) * advantage.clone();
        Ok(Term { value: (ratio * advantage).min_pair(clipped).neg(), readings })
    }
}

impl Grpo {
    fn readings(&self, ratio: &[f32], advantage: &[f32], weights: &[f32]) -> Vec<Reading> {
        let (lo, hi) = (1.0 - self.clip as f32, 1.0 + self.clip_high as f32);
        let flag = |test: &dyn Fn(usize) -> bool| -> Vec<f64> {
            (0..ratio.len()).map(|i| if test(i) { 1.0 } else { 0.0 }).collect()
        };
        let low = flag(&|i| ratio[i] < lo && advantage[i] < 0.0);
        let high = flag(&|i| ratio[i] > hi && advantage[i] > 0.0);
        let region: Vec<f64> = low.iter().zip(&high).map(|(a, b)| a + b).collect();
        let live = || ratio.iter().zip(weights).filter(|(_, w)| **w != 0.0).map(|(&r, _)| f64::from(r));
        let mut readings = vec![
            Reading::mean("clip_ratio/low_mean", low, weights),
            Reading::mean("clip_ratio/high_mean", high, weights),
            Reading::mean("clip_ratio/region_mean", region, weights),
        ];
        if live().next().is_some() {
            readings.push(Reading::mean(
                "sampling/importance_sampling_ratio/mean",
                ratio.iter().map(|&r| f64::from(r)),
                weights,
            ));
            readings.push(Reading::max("sampling/importance_sampling_ratio/max", live()));
            readings.push(Reading::min("sampling/importance_sampling_ratio/min", live()));
        }
        readings
    }
}

/// The weighted mean of `values` over each unit, given back to each of its picks.
fn per_unit_mean(cx: &LossCx, values: Tensor<1>, weights: &[f32]) -> Tensor<1> {
    let mut totals = vec![0.0f32; cx.picks.units()];
    for (&w, &u) in weights.iter().zip(&cx.picks.unit) {
        totals[u as usize] += w;
    }
    let share = |(&w, &u): (&f32, &u32)| if w == 0.0 { 0.0 } else { w / totals[u as usize] };
    let shares: Vec<f32> = weights.iter().zip(&cx.picks.unit).map(share).collect();
    cx.sum_by_unit(values * cx.constant(shares)).select(0, cx.units())
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "grpo",
        "clipped policy gradient on drawn tokens with the advantages of their episodes",
        &[
            Field::new("clip", Ty::Float, "how far below 1 the ratio counts")
                .or("0.2")
                .above(0.0)
                .max(1.0)
                .aliases(&["epsilon"]),
            Field::new("clip-high", Ty::Float, "how far above 1 the ratio counts; `clip` when absent")
                .above(0.0)
                .aliases(&["epsilon-high"]),
            Field::new(
                "ratio",
                Ty::Choice(&["token", "sequence"]),
                "what the importance ratio is taken over",
            )
            .or("token")
            .aliases(&["importance-sampling-level"]),
        ],
    )
    .source("Shao et al. 2024 (arXiv:2402.03300), eq. 3; DAPO arXiv:2503.14476; GSPO arXiv:2507.18071")
    .example(r#"{ kind = "grpo", clip = 0.2, clip-high = 0.28, reduce = "per-token" }"#)
    .stage_defaults(&[("lr", "1e-6")]),
    build: |node, _| {
        let clip = node.f64("clip");
        let ratio = if node.str("ratio") == "token" { Ratio::Token } else { Ratio::Sequence };
        Ok(Box::new(Grpo { clip, clip_high: node.opt_f64("clip-high").unwrap_or(clip), ratio }))
    },
};
