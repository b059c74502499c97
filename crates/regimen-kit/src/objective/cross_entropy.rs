//! `cross-entropy`: the next-token loss, −log p of each token (SFT's `nll`, pre-training's loss).

use regimen_base::Result;
use regimen_core::objective::{LossCx, Needs, Objective, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

/// −log p(token).
pub struct CrossEntropy;

impl Objective for CrossEntropy {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        Ok(Term { value: cx.policy.logp.clone().neg(), readings: Vec::new() })
    }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "cross-entropy",
        "next-token loss: −log p of each token that carries weight",
        &[],
    )
    .example(r#"{ kind = "cross-entropy", reduce = "per-token" }"#),
    build: |_, _| Ok(Box::new(CrossEntropy)),
};
