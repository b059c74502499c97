//! `dpo`: preferences without a reward model (Rafailov et al. 2023, eq. 7), and its relatives that differ in the loss of
//! the margin alone.

use burn::Tensor;
use burn::activation::log_sigmoid;
use regimen_base::{Error, Result};
use regimen_core::Picks;
use regimen_core::objective::{LossCx, Needs, Objective, Reading, Rows, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// The loss of a preference with margin m = (log π/π_ref of the chosen reply) − (the same of the rejected one).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// −log σ(βm); with label smoothing ε, −(1−ε) log σ(βm) − ε log σ(−βm) (conservative DPO).
    Sigmoid,
    /// max(0, 1 − βm) (Zhao et al. 2023, SLiC).
    Hinge,
    /// (m̄ − 1/2β)² with m̄ from the mean over each reply's tokens (Azar et al. 2023, eq. 17).
    Ipo,
    /// The estimate that is unbiased when a share ε of the labels is flipped (Chowdhury et al. 2024, eq. 12).
    Robust,
}

/// One value a preference.
pub struct Dpo {
    /// The cast member that stands for where training began.
    pub to: String,
    /// How closely the policy is held to it.
    pub beta: f64,
    /// The loss of the margin.
    pub loss: Loss,
    /// The share ε of labels that are taken to be wrong.
    pub label_smoothing: f64,
}

/// What a side's tokens add up to, `[pairs]` each.
struct Sides {
    chosen: Tensor<1>,
    rejected: Tensor<1>,
}

impl Objective for Dpo {
    fn needs(&self) -> Needs {
        Needs { nets: vec![self.to.clone()], pairs: true, ..Needs::default() }
    }

    fn rows(&self, picks: &Picks) -> Rows {
        Rows::of_pairs(picks)
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let reference = cx.others.get(&self.to).cloned();
        let reference = reference.ok_or_else(|| Error::failed(format!("no log-probs of `{}`", self.to)))?;
        let policy = sides(cx, cx.policy.logp.clone());
        let ratios = sides(cx, cx.policy.logp.clone() - reference);
        let readings = self.readings(&policy, &ratios)?;
        Ok(Term { value: self.value(cx, ratios), readings })
    }
}

impl Dpo {
    fn value(&self, cx: &LossCx, ratios: Sides) -> Tensor<1> {
        let eps = self.label_smoothing;
        if self.loss == Loss::Ipo {
            let lengths = lengths(cx);
            let margin = ratios.chosen / lengths.chosen - ratios.rejected / lengths.rejected;
            let off = margin - 1.0 / (2.0 * self.beta);
            return off.clone() * off;
        }
        let margin = (ratios.chosen - ratios.rejected) * self.beta;
        match self.loss {
            Loss::Hinge => (margin.neg() + 1.0).clamp_min(0.0),
            Loss::Robust => {
                let flipped = log_sigmoid(margin.clone().neg()) * eps;
                (flipped - log_sigmoid(margin) * (1.0 - eps)) / (1.0 - 2.0 * eps)
            }
            _ if eps == 0.0 => log_sigmoid(margin).neg(),
            _ => (log_sigmoid(margin.clone()) * (1.0 - eps) + log_sigmoid(margin.neg()) * eps).neg(),
        }
    }

    /// TRL's metrics of a preference.
    fn readings(&self, policy: &Sides, ratios: &Sides) -> Result<Vec<Reading>> {
        let beta = self.beta;
        let read = |t: &Tensor<1>, by: f64| -> Result<Vec<f64>> {
            Ok(super::read(t)?.into_iter().map(|v| f64::from(v) * by).collect())
        };
        let (chosen, rejected) = (read(&ratios.chosen, beta)?, read(&ratios.rejected, beta)?);
        let both = || chosen.iter().zip(&rejected);
        let right = both().map(|(c, r)| f64::from(u8::from(c > r))).collect();
        let margins = both().map(|(c, r)| c - r).collect();
        let ones = vec![1.0; chosen.len()];
        let rows = [
            ("rewards/accuracies", right),
            ("rewards/margins", margins),
            ("rewards/chosen", chosen),
            ("rewards/rejected", rejected),
            ("logps/chosen", read(&policy.chosen, 1.0)?),
            ("logps/rejected", read(&policy.rejected, 1.0)?),
        ];
        Ok(rows.into_iter().map(|(name, values)| Reading::mean(name, values, &ones)).collect())
    }
}

/// Sums of the picks' `values`, by their weights, over each side of each preference.
fn sides(cx: &LossCx, values: Tensor<1>) -> Sides {
    of_pairs(cx, cx.sum_by_unit(values * cx.constant(cx.picks.weight.clone())))
}

/// How many tokens each side has in the loss.
fn lengths(cx: &LossCx) -> Sides {
    of_pairs(cx, cx.sum_by_unit(cx.constant(cx.picks.weight.clone())))
}

fn of_pairs(cx: &LossCx, units: Tensor<1>) -> Sides {
    let pairs = cx.picks.pairs();
    let chosen = units.clone().select(0, cx.places(pairs.iter().copied()));
    Sides { chosen, rejected: units.select(0, cx.places(pairs.iter().map(|p| p + 1))) }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "dpo",
        "makes the preferred reply likelier than the other one, against a frozen net of the cast",
        &[
            Field::new("beta", Ty::Float, "how closely the policy is held to the reference")
                .or("0.1")
                .above(0.0),
            Field::new(
                "loss",
                Ty::Choice(&["sigmoid", "hinge", "ipo", "robust"]),
                "what is made of the margin between the two replies",
            )
            .or("sigmoid")
            .aliases(&["loss-type"]),
            Field::new("label-smoothing", Ty::Float, "the share of labels taken to be wrong")
                .or("0.0")
                .min(0.0)
                .below(0.5),
            Field::new("to", Ty::Name(Names::Cast), "the cast member that stands for where training began")
                .or("reference"),
        ],
    )
    .source(
        "Rafailov et al. 2023 (arXiv:2305.18290), eq. 7; IPO arXiv:2310.12036; robust DPO arXiv:2403.00409",
    )
    .example(r#"{ kind = "dpo", beta = 0.1 }"#)
    .stage_defaults(&[("lr", "1e-6")]),
    build: |node, _| {
        let loss = match node.str("loss") {
            "hinge" => Loss::Hinge,
            "ipo" => Loss::Ipo,
            "robust" => Loss::Robust,
            _ => Loss::Sigmoid,
        };
        let label_smoothing = node.f64("label-smoothing");
        if label_smoothing != 0.0 && !matches!(loss, Loss::Sigmoid | Loss::Robust) {
            return Err(node
                .error("`label-smoothing` belongs to the losses `sigmoid` and `robust`")
                .remedy("leave it out, or choose one of them"));
        }
        Ok(Box::new(Dpo { to: node.str("to").to_owned(), beta: node.f64("beta"), loss, label_smoothing }))
    },
};
