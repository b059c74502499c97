//! `group`: several completions of every prompt, one turn each.

use regimen_core::registry::Piece;
use regimen_core::rollout::{Rollout, Settings, SingleTurn};
use regimen_kernels::Sampling;
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

const FIELDS: &[Field] = &[
    Field::new("size", Ty::Count, "completions a prompt").or("8").min(1.0).aliases(&["num-generations", "n"]),
    Field::new("temperature", Ty::Float, "divides the logits; 0 takes the most likely token")
        .or("1.0")
        .min(0.0),
    Field::new("top-p", Ty::Float, "smallest set of tokens with this much mass")
        .or("1.0")
        .above(0.0)
        .max(1.0),
    Field::new("top-k", Ty::Count, "only this many most likely tokens; 0 is off").or("0"),
    Field::new("min-p", Ty::Float, "only tokens at least this share as likely as the likeliest; 0 is off")
        .or("0.0")
        .min(0.0)
        .max(1.0),
    Field::new("max-new", Ty::Count, "longest completion, in tokens").or("512").min(1.0).aliases(&[
        "max-completion-length",
        "max-new-tokens",
        "max-tokens",
    ]),
    Field::new("stop", Ty::OneOrMany(&Ty::Str), "texts that end a completion").or("[]"),
    Field::new("prefix", Ty::Str, "text that every completion is made to begin with"),
    Field::new("inner-steps", Ty::Count, "optimiser steps on each batch of episodes")
        .or("1")
        .min(1.0)
        .aliases(&["num-iterations"]),
    Field::new("drop-truncated", Ty::Bool, "leave completions that were cut off out of the loss")
        .or("false")
        .aliases(&["mask-truncated-completions"]),
];

pub(super) const PIECE: Piece<dyn Rollout> = Piece {
    spec: KindSpec::new(Room::Rollout, "group", "several completions of every prompt, one turn each", FIELDS)
        .example(r#"{ kind = "group", size = 8, temperature = 1.0, max-new = 96 }"#)
        .standard(),
    build: |node, _| Ok(build(node)),
};

fn build(node: &Node) -> Box<dyn Rollout> {
    let temperature = node.f32("temperature");
    let greedy = temperature == 0.0;
    let settings = Settings {
        size: node.usize("size"),
        sampling: Sampling {
            temperature: if greedy { 1.0 } else { temperature },
            top_p: node.f32("top-p"),
            top_k: node.usize("top-k"),
            min_p: node.f32("min-p"),
            greedy,
        },
        max_new: node.usize("max-new"),
        stop: node.strs("stop").into_iter().map(str::to_owned).collect(),
        prefix: node.opt_str("prefix").map(str::to_owned),
        inner_steps: node.u64("inner-steps"),
        drop_truncated: node.bool("drop-truncated"),
    };
    Box::new(SingleTurn(settings))
}
