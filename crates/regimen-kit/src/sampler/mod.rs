//! Samplers: how recipes name those of `regimen-data`.

use regimen_core::registry::{Piece, Table};
use regimen_data::Sampler;
use regimen_data::sampler::{Mix, Phases, Recency, Sequence, Shuffle};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// The room's table.
pub static TABLE: Table<dyn Sampler> = &[MIX, PHASES, SEQUENCE, SHUFFLE];

const SHUFFLE: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "shuffle",
        "every example once an epoch, in an order of its own each time",
        &[],
    )
    .standard(),
    build: |_, _| Ok(Box::new(Shuffle::default())),
};

const SEQUENCE: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "sequence",
        "every example in the order of the data, again and again",
        &[],
    ),
    build: |_, _| Ok(Box::new(Sequence::default())),
};

const MIX: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "mix",
        "draws a source by its `weight` each time, and goes through each source in a shuffled order",
        &[],
    ),
    build: |_, cx| Ok(Box::new(Mix::new(cx.weights.clone()))),
};

const PHASES: Piece<dyn Sampler> = Piece {
    spec: KindSpec::new(
        Room::Sampler,
        "phases",
        "one source after the other, as a stream of tasks; old ones come back by a law of how long ago they were new",
        &[
            Field::new("draws", Ty::Count, "examples drawn in each phase, old ones and views counted")
                .required()
                .min(1.0),
            Field::new("order", Ty::List(&Ty::Count), "the source of each phase, counted from 0; absent: each once"),
            Field::new("old", Ty::Float, "share of a phase's draws that come from earlier sources")
                .or("0.0")
                .min(0.0)
                .max(1.0),
            Field::new(
                "recency",
                Ty::Choice(&["uniform", "power", "exponential"]),
                "which earlier source: any, or by lag^(−rate), or by e^(−rate·lag), with the lag in phases",
            )
            .or("uniform"),
            Field::new("rate", Ty::Float, "of the law").or("1.0").min(0.0),
            Field::new("keep", Ty::Count, "examples kept of all earlier sources together; 0: all of them").or("0"),
            Field::new("views", Ty::Count, "how often an example comes in a row, each time as another view")
                .or("1")
                .min(1.0),
        ],
    )
    .example(r#"{ kind = "phases", draws = 3000, old = 0.333, recency = "power" }"#),
    build: |node, _| {
        let mut phases = Phases::new(node.u64("draws"));
        phases.order = node.u64s("order").into_iter().map(|n| n as usize).collect();
        phases.old = node.f64("old");
        phases.recency = match node.str("recency") {
            "power" => Recency::Power,
            "exponential" => Recency::Exponential,
            _ => Recency::Uniform,
        };
        (phases.rate, phases.keep, phases.views) = (node.f64("rate"), node.u64("keep"), node.u64("views"));
        if !phases.draws.is_multiple_of(phases.views) {
            return Err(node.error("`draws` must be a multiple of `views`"));
        }
        Ok(Box::new(phases))
    },
};
