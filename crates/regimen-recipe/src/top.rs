//! The recipe's own tables. They name no method: whatever a recipe selects comes from the catalogue.

use crate::room::Room;
use crate::spec::{Field, Names, Ty, Variant};

const SOURCES: Ty = Ty::Kind(&[Room::Task, Room::Data]);

/// The whole recipe. `base`, `arm` and `seeds` are taken out before a recipe is resolved, and stand here for readers.
pub(crate) const TOP: &[Field] = &[
    Field::new(
        "base",
        Ty::OneOrMany(&Ty::Path),
        "recipes that this one builds on, relative to it; later ones win",
    )
    .aliases(&["extends"]),
    Field::new("name", Ty::Str, "names the run directory; absent: the file's name").aliases(&["run_name"]),
    Field::new("about", Ty::Str, "what the recipe is for"),
    Field::new("seed", Ty::Count, "where all randomness comes from").or("0"),
    Field::new(
        "seeds",
        Ty::List(&Ty::Count),
        "run once for each of these seeds, unless one is chosen on the command line",
    ),
    Field::new("device", Ty::Str, "where to compute: cpu, or a device that this build has").or("cpu"),
    Field::new("model", Ty::KindOr(&[Room::Arch], MODEL), "a new model, or a checkpoint to start from"),
    Field::new(
        "tokenizer",
        Ty::Kind(&[Room::Tokenizer]),
        "absent: the one of the checkpoint that the model comes from",
    ),
    Field::new(
        "data",
        Ty::OneOrNamed(&SOURCES),
        "a data set with a `kind`, or named ones as [data.NAME]; a name stands wherever a kind of data can stand",
    ),
    Field::new("stage", Ty::List(&Ty::Variants(STAGE)), "the stages, in order").required(),
    Field::new("arm", Ty::List(&Ty::Table(ARM)), "variations of the recipe, to be compared"),
];

const MODEL: &[Field] = &[
    Field::new("from", Ty::Path, "a checkpoint folder: weights, architecture and tokenizer").required(),
    Field::new(
        "dtype",
        Ty::Choice(&["f32", "bf16", "f16"]),
        "what matrices are held in where adapters train beside them; products are in f32 whatever it is",
    )
    .or("f32")
    .aliases(&["torch-dtype"]),
];

/// An arm changes the recipe at dotted paths.
pub(crate) const ARM: &[Field] = &[
    Field::new("id", Ty::Str, "names the arm").required(),
    Field::new("about", Ty::Str, "what the arm shows"),
    Field::new("drop", Ty::OneOrMany(&Ty::Str), "dotted paths to take away"),
    Field::new("set", Ty::Any, "values by dotted path: set.\"stage.main.lr\" = 1e-3"),
];

const STAGE: &[Variant] = &[
    Variant { name: "train", doc: "trains a model on its streams", fields: TRAIN },
    Variant { name: "eval", doc: "evaluates a model and changes nothing", fields: EVAL_STAGE },
];

const ID: Field = Field::new("id", Ty::Str, "names the stage").required().aliases(&["name"]);
const ABOUT: Field = Field::new("about", Ty::Str, "one line for the report");
const FROM: Field = Field::new(
    "from",
    Ty::Name(Names::Start),
    "where the weights come from; absent: the stage before, then the model",
);
const CONTEXT: Field = Field::new("context", Ty::Count, "longest row in tokens; absent: the model's own")
    .min(1.0)
    .aliases(&["max-length", "max-seq-length", "sequence-len"]);

/// Why nothing has to be packed.
pub(crate) const PACKED: &str =
    "leave it out: nothing is padded, and attention never leaves a row, so every batch is packed";

const TRAIN: &[Field] = &[
    ID,
    ABOUT,
    FROM,
    Field::new("length", Ty::Length, "how long it trains").required().renamed(&[
        ("max-steps", "write `length = \"60st\"`"),
        ("steps", "write `length = \"60st\"`"),
        ("num-train-epochs", "write `length = \"3ep\"`"),
        ("num-epochs", "write `length = \"3ep\"`"),
        ("epochs", "write `length = \"3ep\"`"),
    ]),
    Field::new("lr", Ty::Float, "peak learning rate").or("1e-3").min(0.0).aliases(&["learning-rate"]),
    Field::new("schedule", Ty::Kind(&[Room::Schedule]), "the learning rate over the stage")
        .or_standard()
        .aliases(&["lr-scheduler-type", "lr-scheduler"]),
    Field::new("optimizer", Ty::Kind(&[Room::Optimizer]), "the arithmetic of a step")
        .or_standard()
        .aliases(&["optim"]),
    Field::new(
        "lora",
        Ty::Table(LORA),
        "train low-rank adapters beside frozen weights; adapters that the model has already are merged into it first",
    )
    .aliases(&["adapter", "peft"]),
    Field::new(
        "freeze",
        Ty::OneOrMany(&Ty::Str),
        "parameters that do not train in this stage, by path, `*` matching anything: `model.layers.0.*`",
    )
    .or("[]"),
    Field::new("max-grad-norm", Ty::Float, "clip the norm of the whole gradient to this; 0: no clipping")
        .or("1.0")
        .min(0.0),
    Field::new("batch", Ty::Count, "examples, or prompts of a rollout, per optimiser step")
        .or("8")
        .min(1.0)
        .aliases(&["batch-size", "train-batch-size"])
        .renamed(&[
            (
                "per-device-train-batch-size",
                "write `batch`: examples per optimiser step, all micro-batches together",
            ),
            (
                "micro-batch-size",
                "write `micro-batch-tokens`, or leave it out: the batch is split to fit the memory",
            ),
            (
                "gradient-accumulation-steps",
                "leave it out: `batch` counts per optimiser step and is split exactly",
            ),
            ("packing", PACKED),
            ("sample-packing", PACKED),
            ("padding-free", PACKED),
            ("bf16", "leave it out: training is in f32"),
            ("fp16", "leave it out: training is in f32"),
        ]),
    Field::new("micro-batch-tokens", Ty::Count, "tokens in one pass; changes memory and speed, not results")
        .min(1.0),
    Field::new(
        "gradient-checkpointing",
        Ty::Bool,
        "keep only what enters each layer and compute the rest again on the way back: less memory, \
         more work, the same results",
    )
    .aliases(&["activation-checkpointing"]),
    CONTEXT,
    Field::new("checkpoint-every", Ty::Every, "absent: every 500 steps and at the end")
        .aliases(&["save-steps"]),
    Field::new("log-every", Ty::Every, "how often metrics are written").or("1").aliases(&["logging-steps"]),
    Field::new("eval-every", Ty::Every, "absent: only at the end of the stage, if `eval` is there")
        .aliases(&["eval-steps"]),
    Field::new(
        "eval-at",
        Ty::List(&Ty::Count),
        "further steps after which to evaluate, such as [1, 2, 5, 10, 20, 50]; 0: before the first one",
    ),
    Field::new("update", Ty::Kind(&[Room::Update]), "how gradients become new weights").or_standard(),
    Field::new("stream", Ty::Map(&Ty::Table(STREAM)), "data or rollouts, each with its objectives")
        .required(),
    Field::new(
        "cast",
        Ty::Map(&Ty::Table(CAST)),
        "other models that the stage needs: reference, teacher, critic",
    ),
    Field::new("controller", Ty::Map(&Ty::Kind(&[Room::Controller])), "what changes the stage while it runs"),
    Field::new("probe", Ty::Map(&Ty::Kind(&[Room::Probe])), "readings of the batches that it trains on"),
    Field::new("probe-every", Ty::Every, "how often the probes read; absent: only at `probe-at`"),
    Field::new("probe-at", Ty::List(&Ty::Count), "further steps at which the probes read, such as [1, 2, 5, 10]")
        .min(1.0),
    CLAMPS,
    Field::new("eval", Ty::Table(EVAL), "what to measure at `eval-every` and at the end"),
];

/// Hu et al. 2021; the defaults are TRL's and PEFT's.
const LORA: &[Field] = &[
    Field::new("r", Ty::Count, "rank").or("16").min(1.0).max(65536.0).aliases(&["rank", "lora-r"]),
    Field::new("alpha", Ty::Float, "the adapters' output is multiplied by alpha / r")
        .or("32.0")
        .above(0.0)
        .aliases(&["lora-alpha"]),
    Field::new(
        "targets",
        Ty::OneOrMany(&Ty::Str),
        "projections that have an adapter: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear",
    )
    .or("\"all-linear\"")
    .aliases(&["target-modules", "lora-target-modules"]),
    Field::new("rslora", Ty::Bool, "multiply by alpha / √r instead (Kalajdzievski 2023)")
        .or("false")
        .aliases(&["use-rslora"]),
    Field::new("dropout", Ty::Float, "share of an adapter's input that is dropped in training; 0 with rollouts")
        .or("0.0")
        .min(0.0)
        .below(1.0)
        .aliases(&["lora-dropout"]),
];

const EVAL_STAGE: &[Field] =
    &[ID, ABOUT, FROM, CONTEXT, CLAMPS, Field::new("eval", Ty::Table(EVAL), "what to measure").required()];

const CLAMPS: Field = Field::new(
    "clamp",
    Ty::Map(&Ty::Table(CLAMP)),
    "activations that are held at something else, in training and in the evaluation of gold text",
);

const CLAMP: &[Field] = &[
    Field::new("site", Ty::Str, "where, such as blocks.0.attn.pattern").required(),
    Field::new("heads", Ty::List(&Ty::Count), "which heads; absent: all"),
    Field::new("positions", Ty::List(&Ty::Count), "which positions, from 0; absent: all"),
    Field::new("value", Ty::Variants(CLAMP_VALUE), "what stands there instead").required(),
    Field::new("on", Ty::Bool, "whether it holds from the beginning; a controller may turn it").or("true"),
];

const CLAMP_VALUE: &[Variant] = &[
    Variant {
        name: "fill",
        doc: "one number",
        fields: &[Field::new("number", Ty::Float, "which").or("0.0")],
    },
    Variant {
        name: "back",
        doc: "a pattern: every position attends to the one so many before it",
        fields: &[Field::new("by", Ty::Count, "how many").or("1")],
    },
    Variant {
        name: "induction",
        doc: "a pattern: every position attends to those right behind an earlier occurrence of its own token",
        fields: &[],
    },
    Variant {
        name: "earlier",
        doc: "what an earlier site holds so many positions before",
        fields: &[
            Field::new("of", Ty::Str, "the site").required(),
            Field::new("back", Ty::Count, "how many positions").or("1"),
        ],
    },
    Variant {
        name: "copied",
        doc: "logits: ln of the attention that a pattern gives to each token",
        fields: &[Field::new("of", Ty::Str, "the pattern's site").required()],
    },
];

const STREAM: &[Field] = &[
    Field::new(
        "use",
        Ty::Name(Names::StreamOf),
        "go on with a stream of an earlier stage; what is written here comes on top",
    ),
    Field::new("data", Ty::OneOrMany(&SOURCES), "where examples come from"),
    Field::new("env", Ty::Kind(&[Room::Env]), "the turns around a task; absent: one reply"),
    Field::new("sampler", Ty::Kind(&[Room::Sampler]), "which example comes next").or_standard(),
    Field::new(
        "transform",
        Ty::OneOrMany(&Ty::Kind(&[Room::Transform])),
        "what happens to an example, in order",
    )
    .or("[]"),
    Field::new(
        "rollout",
        Ty::Kind(&[Room::Rollout]),
        "how the policy generates; absent: nothing is generated",
    ),
    Field::new("reward", Ty::OneOrMany(&Ty::Kind(&[Room::Reward])), "scores of an episode, added by weight")
        .or("[]"),
    Field::new("advantage", Ty::Kind(&[Room::Advantage]), "from scores to advantages"),
    Field::new(
        "objective",
        Ty::OneOrMany(&Ty::Kind(&[Room::Objective])),
        "terms of the loss, added by `coef`",
    )
    .required(),
    Field::new("weight", Ty::Float, "factor of the stream in the loss of the stage").or("1.0").min(0.0),
    Field::new(
        "memory",
        Ty::Table(MEMORY),
        "keeps a few of the stream's examples, and brings some of them back in every batch",
    ),
    Field::new(
        "path",
        Ty::Count,
        "of a net of several paths the one that reads this stream's rows, the others read zeros; a knob",
    ),
    Field::new(
        "compare-paths",
        Ty::Count,
        "tell what the loss of the fresh rows is on each of the first so many paths: `path/0/loss`, …",
    )
    .min(1.0),
    Field::new("batch", Ty::Count, "absent: the stage's").min(1.0),
];

const MEMORY: &[Field] = &[
    Field::new("size", Ty::Count, "examples that it holds at most").required().min(1.0),
    Field::new("chance", Ty::Float, "of a fresh example to be taken in; once it is full another one goes")
        .or("0.05")
        .min(0.0)
        .max(1.0),
    Field::new("recall", Ty::Count, "examples of it in every batch, beside the fresh ones").or("8").min(1.0),
    Field::new(
        "goal",
        Ty::Choice(&["own", "path"]),
        "what is wanted of a recalled row: what was wanted before, or to name the path that read it",
    )
    .or("own"),
    Field::new(
        "path",
        Ty::Count,
        "which path reads recalled rows; absent: the one that reads the fresh ones",
    ),
];

const CAST: &[Field] = &[
    Field::new(
        "from",
        Ty::Name(Names::Start),
        "where its weights come from; absent: what the stage starts from",
    ),
    Field::new("train", Ty::Bool, "whether the stage trains it too").or("false"),
];

const EVAL: &[Field] = &[
    Field::new("data", Ty::OneOrMany(&SOURCES), "held-out items of these").required(),
    Field::new("n", Ty::Count, "items of each; absent: all of a file, or what a task gives by default")
        .min(1.0),
    Field::new("batch", Ty::Count, "items at once; changes speed, not results").min(1.0),
    Field::new(
        "sampling",
        Ty::Kind(&[Room::Rollout]),
        "how replies are generated; absent: the likeliest token",
    ),
    Field::new(
        "select",
        Ty::Count,
        "of a net of several paths the one that says which of those before it answers each row",
    ),
    Field::new("metric", Ty::OneOrMany(&Ty::Kind(&[Room::Metric])), "absent: what fits the data").or("[]"),
    Field::new(
        "probe",
        Ty::OneOrMany(&Ty::Kind(&[Room::Probe])),
        "what else to read while the model reads gold text",
    )
    .or("[]"),
];
