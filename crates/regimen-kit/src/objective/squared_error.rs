//! `squared-error`: ½·(output − wanted)² of each output of a net of numbers that should have a value.

use regimen_base::{Error, Result};
use regimen_core::objective::{LossCx, Needs, Objective, Term};
use regimen_core::registry::Piece;
use regimen_recipe::{KindSpec, Room};

/// Half the squared error.
pub struct SquaredError;

impl Objective for SquaredError {
    fn needs(&self) -> Needs {
        Needs { values: true, ..Needs::default() }
    }

    fn term(&self, cx: &LossCx) -> Result<Term> {
        let Some(values) = cx.policy.values.clone() else {
            return Err(Error::usage(
                "`squared-error` is a loss of nets of numbers, and the model is a decoder",
            )
            .remedy("take a model of kind `mlp`"));
        };
        let error = values - cx.constant(cx.picks.wanted.clone());
        Ok(Term { value: error.clone() * error * 0.5, readings: Vec::new() })
    }
}

pub(super) const PIECE: Piece<dyn Objective> = Piece {
    spec: KindSpec::new(
        Room::Objective,
        "squared-error",
        "half the squared error of each output that should have a value; of nets of numbers",
        &[],
    )
    .example(r#"{ kind = "squared-error", reduce = "per-token" }"#),
    build: |_, _| Ok(Box::new(SquaredError)),
};
