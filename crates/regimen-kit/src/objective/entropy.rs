//! `entropy`: minus the entropy of the policy's distribution; a positive `coef` keeps the policy from collapsing.

use regimen_base::{Error, Result};
use regimen_core::objective::{LossCx, Needs, Objective, Reading, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

/// −H(π(·|context)) at each position, in nats.
pub struct Entropy;

impl Objective for Entropy {
    fn needs(&self) -> Needs {
        Needs { entropy: true, ..Needs::default() }
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let entropy = cx.policy.entropy.clone().ok_or_else(|| Error::failed("the net gave no entropy"))?;
        let values = super::read(&entropy)?;
        let reading = Reading::mean("entropy", values.into_iter().map(f64::from), &cx.picks.weight);
        Ok(Term { value: entropy.neg(), readings: vec![reading] })
    }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "entropy",
        "minus the entropy of the policy; a positive `coef` keeps it from collapsing",
        &[],
    )
    .example(r#"{ kind = "entropy", coef = 0.01 }"#),
    build: |_, _| Ok(Box::new(Entropy)),
};
