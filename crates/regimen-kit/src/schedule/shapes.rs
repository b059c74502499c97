//! The shapes: a linear warm-up, then `constant`, `linear`, `cosine` or `wsd`, as in transformers.

use regimen_core::registry::Piece;
use regimen_core::schedule::Schedule;
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

/// What follows the warm-up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    /// Stays at 1.
    Constant,
    /// Falls linearly to `floor`.
    Linear,
    /// Half a cosine down to `floor`.
    Cosine,
    /// Warm-up, stable, decay: stays at 1 and falls linearly to `floor` over the last `decay` share of the stage.
    Wsd {
        /// The share of the stage that decays.
        decay: f64,
    },
}

/// Warm-up over `warmup` steps, then a shape.
pub struct Shaped {
    /// Warm-up, in steps: step i has the factor i/warmup.
    pub warmup: Warmup,
    /// The lowest factor.
    pub floor: f64,
    /// What follows.
    pub shape: Shape,
}

/// How long the warm-up is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Warmup {
    /// A number of steps.
    Steps(u64),
    /// A share of the stage.
    Ratio(f64),
}

impl Schedule for Shaped {
    fn factor(&self, step: u64, total: u64) -> f64 {
        let warmup = match self.warmup {
            Warmup::Steps(n) => n,
            Warmup::Ratio(r) => (r * total as f64).ceil() as u64,
        };
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        let span = total.saturating_sub(warmup).max(1) as f64;
        let done = ((step - warmup) as f64 / span).min(1.0);
        let left = match self.shape {
            Shape::Constant => 1.0,
            Shape::Linear => 1.0 - done,
            Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Shape::Wsd { decay } => {
                let fall = (decay * total as f64).max(1.0);
                ((total.saturating_sub(step)) as f64 / fall).min(1.0)
            }
        };
        self.floor + (1.0 - self.floor) * left
    }
}

const WARMUP: Field =
    Field::new("warmup", Ty::Float, "linear warm-up: steps, or below 1 a share of the stage")
        .or("0")
        .min(0.0)
        .aliases(&["warmup-steps", "warmup-ratio"]);
const FLOOR: Field =
    Field::new("floor", Ty::Float, "lowest factor on the learning rate").or("0.0").min(0.0).max(1.0);

fn shaped(node: &Node, floor: f64, shape: Shape) -> Box<dyn Schedule> {
    let warmup = node.f64("warmup");
    let warmup = if warmup < 1.0 { Warmup::Ratio(warmup) } else { Warmup::Steps(warmup as u64) };
    Box::new(Shaped { warmup, floor, shape })
}

pub(super) const CONSTANT: Piece<dyn Schedule> = Piece {
    spec: KindSpec::new(Room::Schedule, "constant", "warm-up, then the full learning rate", &[WARMUP])
        .standard(),
    build: |node, _| Ok(shaped(node, 0.0, Shape::Constant)),
};

pub(super) const LINEAR: Piece<dyn Schedule> = Piece {
    spec: KindSpec::new(
        Room::Schedule,
        "linear",
        "warm-up, then a straight line down to `floor`",
        &[WARMUP, FLOOR],
    ),
    build: |node, _| Ok(shaped(node, node.f64("floor"), Shape::Linear)),
};

pub(super) const COSINE: Piece<dyn Schedule> = Piece {
    spec: KindSpec::new(
        Room::Schedule,
        "cosine",
        "warm-up, then half a cosine down to `floor`",
        &[WARMUP, FLOOR],
    )
    .source("Loshchilov and Hutter 2017 (arXiv:1608.03983), one cycle")
    .example(r#"{ kind = "cosine", warmup = 20 }"#),
    build: |node, _| Ok(shaped(node, node.f64("floor"), Shape::Cosine)),
};

pub(super) const WSD: Piece<dyn Schedule> = Piece {
    spec: KindSpec::new(
        Room::Schedule,
        "wsd",
        "warm-up, stable, decay: full rate, then a straight line to `floor` over the last share",
        &[
            WARMUP,
            FLOOR,
            Field::new("decay", Ty::Float, "share of the stage that decays").or("0.2").above(0.0).max(1.0),
        ],
    )
    .source("Hu et al. 2024, MiniCPM (arXiv:2404.06395)"),
    build: |node, _| Ok(shaped(node, node.f64("floor"), Shape::Wsd { decay: node.f64("decay") })),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn at(shape: Shape, step: u64) -> f64 {
        Shaped { warmup: Warmup::Steps(10), floor: 0.0, shape }.factor(step, 110)
    }

    #[test]
    fn the_shapes() {
        assert_eq!([0, 5, 10].map(|s| at(Shape::Constant, s)), [0.0, 0.5, 1.0]);
        assert_eq!([10, 60, 110].map(|s| at(Shape::Linear, s)), [1.0, 0.5, 0.0]);
        assert!((at(Shape::Cosine, 35) - 0.853_553_390_593).abs() < 1e-9);
        assert_eq!([50, 88, 99, 110].map(|s| at(Shape::Wsd { decay: 0.2 }, s)), [1.0, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn a_ratio_of_the_stage_and_a_floor() {
        let s = Shaped { warmup: Warmup::Ratio(0.1), floor: 0.1, shape: Shape::Linear };
        assert_eq!(s.factor(5, 100), 0.5);
        assert_eq!(s.factor(100, 100), 0.1);
    }
}
