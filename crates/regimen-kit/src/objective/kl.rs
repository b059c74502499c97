//! `kl`: how far the policy has moved from a frozen net of the cast, estimated on the tokens at hand.

use regimen_base::{Error, Result};
use regimen_core::objective::{LossCx, Needs, Objective, Reading, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// The estimators of Schulman (2020), "Approximating KL divergence". With r = log π_ref − log π:
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Estimator {
    /// −r: unbiased, high variance.
    K1,
    /// r²/2: biased, low variance.
    K2,
    /// exp(r) − r − 1: unbiased and never negative; what GRPO adds (Shao et al. 2024, eq. 4).
    K3,
}

/// KL(policy ‖ reference) per token.
pub struct Kl {
    /// The cast member to stay near to.
    pub to: String,
    /// How it is estimated.
    pub estimator: Estimator,
}

impl Objective for Kl {
    fn needs(&self) -> Needs {
        Needs { nets: vec![self.to.clone()], ..Needs::default() }
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let reference = cx.others.get(&self.to).cloned();
        let reference = reference.ok_or_else(|| Error::failed(format!("no log-probs of `{}`", self.to)))?;
        let r = reference - cx.policy.logp.clone();
        let value = match self.estimator {
            Estimator::K1 => r.neg(),
            Estimator::K2 => r.clone() * r * 0.5,
            Estimator::K3 => r.clone().exp() - r - 1.0,
        };
        let reading = Reading::mean("kl", super::read(&value)?.into_iter().map(f64::from), &cx.picks.weight);
        Ok(Term { value, readings: vec![reading] })
    }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "kl",
        "keeps the policy near a frozen net of the stage's cast, on the tokens at hand",
        &[
            Field::new("to", Ty::Name(Names::Cast), "the cast member to stay near to").required(),
            Field::new(
                "estimator",
                Ty::Choice(&["k1", "k2", "k3"]),
                "k1: −r; k2: r²/2; k3: exp(r) − r − 1, with r = log π_ref − log π",
            )
            .or("k3"),
        ],
    )
    .source("Schulman 2020, Approximating KL divergence; Shao et al. 2024 (arXiv:2402.03300), eq. 4")
    .example(r#"{ kind = "kl", to = "reference", coef = 0.02 }"#),
    build: |node, _| {
        let estimator = match node.str("estimator") {
            "k1" => Estimator::K1,
            "k2" => Estimator::K2,
            _ => Estimator::K3,
        };
        Ok(Box::new(Kl { to: node.str("to").to_owned(), estimator }))
    },
};
