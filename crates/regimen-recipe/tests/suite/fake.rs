//! A small catalogue that stands for the real one.

use regimen_base::Error;
use regimen_recipe::{Catalogue, Choice, Field, KindSpec, Names, Recipe, Report, Resolved, Room, Ty};

pub static KINDS: &[KindSpec] = &[
    KindSpec::new(
        Room::Arch,
        "decoder",
        "a decoder",
        &[
            Field::new("layers", Ty::Count, "blocks")
                .or("4")
                .min(1.0)
                .max(200.0)
                .aliases(&["num_hidden_layers"]),
            Field::new("dim", Ty::Count, "width of the residual stream").required().min(8.0),
            Field::new("tied", Ty::Bool, "share the head with the embedding").or("true"),
        ],
    ),
    KindSpec::new(Room::Tokenizer, "char", "one token a character", &[]),
    KindSpec::new(
        Room::Tokenizer,
        "bpe",
        "byte pairs",
        &[Field::new("size", Ty::Count, "tokens").or("1024")],
    ),
    KindSpec::new(
        Room::Task,
        "arith",
        "sums",
        &[
            Field::new("digits", Ty::Range2, "digits of each number").or("[1, 2]").min(1.0).max(9.0),
            Field::new("ops", Ty::List(&Ty::Choice(&["+", "-", "*"])), "operations").or("[\"+\"]"),
        ],
    ),
    KindSpec::new(
        Room::Task,
        "knights-knaves",
        "who lies",
        &[Field::new("people", Ty::Count, "people").or("2")],
    ),
    KindSpec::new(
        Room::Data,
        "lines",
        "a text file",
        &[Field::new("path", Ty::Path, "the file").required(), Field::new("column", Ty::Str, "of a table")],
    ),
    KindSpec::new(
        Room::Env,
        "retry",
        "several tries",
        &[
            Field::new("of", Ty::Kind(&[Room::Task]), "the task").required(),
            Field::new("turns", Ty::Count, "tries").or("3").min(1.0),
        ],
    ),
    KindSpec::new(Room::Transform, "chat", "wraps in a template", &[]),
    KindSpec::new(Room::Transform, "train-on-reply", "masks the prompt", &[]),
    KindSpec::new(
        Room::Sampler,
        "shuffle",
        "a shuffle",
        &[Field::new("window", Ty::Count, "rows; absent: all")],
    )
    .standard(),
    KindSpec::new(
        Room::Sampler,
        "mix",
        "by weight",
        &[Field::new("weights", Ty::Map(&Ty::Float), "by name").required().min(0.0)],
    ),
    KindSpec::new(Room::Objective, "cross-entropy", "next-token loss", &[]),
    KindSpec::new(
        Room::Objective,
        "grpo",
        "clipped policy gradient",
        &[
            Field::new("clip", Ty::Float, "half width of the trusted ratio")
                .or("0.2")
                .above(0.0)
                .max(1.0)
                .aliases(&["epsilon"]),
            Field::new("clip-high", Ty::Float, "upper half width; absent: clip").aliases(&["epsilon_high"]),
            Field::new("ratio", Ty::Choice(&["token", "sequence"]), "what the ratio is of").or("token"),
            Field::new("reduce", Ty::Choice(&["per-token", "per-unit"]), "divided by").or("per-unit"),
        ],
    )
    .source("arXiv:2402.03300, eq. 3")
    .example("{ kind = \"grpo\", clip = 0.2, clip-high = 0.28 }")
    .stage_defaults(&[("lr", "1e-6")]),
    KindSpec::new(
        Room::Objective,
        "kl",
        "divergence from another model",
        &[Field::new("to", Ty::Name(Names::Cast), "the other model").required()],
    ),
    KindSpec::new(
        Room::Rollout,
        "group",
        "several replies a prompt",
        &[
            Field::new("size", Ty::Count, "replies").or("8").min(2.0).aliases(&["num_generations"]),
            Field::new("temperature", Ty::Float, "of the softmax").or("1.0").above(0.0),
        ],
    ),
    KindSpec::new(Room::Reward, "verifier", "the task's own judgement", &[]),
    KindSpec::new(Room::Reward, "format", "the reply's form", &[Field::new("spec", Ty::Any, "anything")]),
    KindSpec::new(
        Room::Advantage,
        "group-relative",
        "minus the mean",
        &[Field::new("std", Ty::Bool, "divide").or("true")],
    ),
    KindSpec::new(Room::Update, "plain", "one step", &[]).standard(),
    KindSpec::new(
        Room::Optimizer,
        "adamw",
        "AdamW",
        &[
            Field::new("betas", Ty::List(&Ty::Float), "decay of the moments")
                .or("[0.9, 0.95]")
                .min(0.0)
                .below(1.0),
            Field::new("weight-decay", Ty::Float, "decoupled").or("0.0").min(0.0),
        ],
    )
    .standard(),
    KindSpec::new(Room::Schedule, "constant", "no change", &[]).standard(),
    KindSpec::new(
        Room::Schedule,
        "cosine",
        "half a cosine",
        &[Field::new("warmup", Ty::OneOf(&[Ty::Float, Ty::Length]), "a share of the stage, or a length")
            .or("0.0")],
    ),
    KindSpec::new(
        Room::Controller,
        "anneal",
        "moves one number",
        &[
            Field::new("knob", Ty::Name(Names::Knob), "which").required(),
            Field::new("to", Ty::Float, "where to").required(),
        ],
    ),
    KindSpec::new(
        Room::Controller,
        "router",
        "picks a stream",
        &[Field::new("between", Ty::List(&Ty::Name(Names::Stream)), "which").required()],
    )
    .writes(&["stream.{between}.weight"]),
    KindSpec::new(
        Room::Controller,
        "fixed-route",
        "one stream",
        &[Field::new("to", Ty::Name(Names::Stream), "which").required()],
    ),
    KindSpec::new(
        Room::Probe,
        "norms",
        "gradient norms",
        &[Field::new("every", Ty::Every, "how often").or("10")],
    ),
    KindSpec::new(Room::Metric, "exact-match", "share of right replies", &[]).experimental(),
];

pub fn catalogue() -> Catalogue {
    Catalogue::new(&[KINDS])
}

/// Reads `recipe.toml` and its bases from memory.
pub fn read(files: &[(&str, &str)]) -> Result<Recipe, Report> {
    let owned: Vec<(String, String)> =
        files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let loader = move |path: &str| {
        let found = owned.iter().find(|(name, _)| name == path).map(|(_, text)| text.clone());
        found.ok_or_else(|| Error::usage(format!("there is no file {path}")))
    };
    Recipe::read(files[0].0, &loader)
}

pub fn resolve(text: &str, arm: Option<&str>, sets: &[&str]) -> Result<Resolved, Report> {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    read(&[("recipe.toml", text)])?.resolve(&catalogue(), &Choice { arm, sets: &sets })
}

pub const GOOD: &str = r#"
name = "two stages"
seed = 3
model = { kind = "decoder", dim = 64 }
tokenizer = "char"

[data.people]
kind = "knights-knaves"
people = 3

[[stage]]
id = "warmup"
length = "60st"
learning_rate = 3e-4
schedule = { kind = "cosine", warmup = "6st" }
[stage.stream.sft]
data = [{ kind = "people", take = 500 }, "arith"]
transform = ["chat", "train-on-reply"]
objective = { kind = "cross-entropy", reduce = { constant = 1024 } }

[[stage]]
id = "main"
length = "250st"
cast.reference = { from = "warmup" }
stream.sft = { use = "warmup.sft", weight = 0.5 }
eval = { data = "people", n = 100, metric = "exact-match" }
[stage.stream.rl]
env = { kind = "retry", of = "people", turns = 5 }
rollout = { kind = "group", num_generations = 4 }
advantage = "group-relative"
reward = [{ kind = "verifier" }, { kind = "format", weight = 0.2, spec = { a = [1, 2.5], b = "x" } }]
objective = [{ kind = "grpo", clip = 0.3 }, { kind = "kl", to = "reference", coef = 0.02 }]
[stage.controller.router]
kind = "router"
between = ["sft", "rl"]
[stage.controller.less-kl]
kind = "anneal"
knob = "stream.rl.objective.kl.coef"
to = 0.0
[stage.probe.norms]
kind = "norms"

[[stage]]
id = "after"
kind = "eval"
eval = { data = ["arith"] }

[[arm]]
id = "full"
[[arm]]
id = "rl-only"
drop = ["stage.main.stream.rl.objective.kl", "stage.main.controller.less-kl"]
[arm.set]
"stage.main.lr" = 5e-5
[arm.set."stage.main.controller.router"]
kind = "fixed-route"
to = "rl"
"#;
