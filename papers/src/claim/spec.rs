//! What can stand in a `claim.toml`, as data.

use regimen_recipe::{Field, FormSpec, KindSpec, Room, Ty};

const SAYS: Field =
    Field::new("says", Ty::Str, "the claim as a sentence; every primary and secondary claim has one");

const fn quantity(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Ty::Str, doc).required()
}

const A: Field = quantity("a", "a quantity: ARM:METRIC, or sums, max(…), ln(…), slope(x: …) of such");
const B: Field = quantity("b", "a quantity");
const WHAT: Field = quantity("what", "a quantity");

/// The kinds of claims: the rules of docs/claims.md.
pub static KINDS: &[KindSpec] = &[
    KindSpec::new(Room::Claim, "positive", "the mean of a − b over seeds is above 0", &[SAYS, A, B])
        .example(r#"{ kind = "positive", a = "method:test", b = "baseline:test" }"#),
    KindSpec::new(
        Room::Claim,
        "non-inferior",
        "the mean of a − b is above −margin",
        &[
            SAYS,
            A,
            B,
            Field::new("margin", Ty::Float, "how much worse is still no worse").required().min(0.0),
        ],
    )
    .example(r#"{ kind = "non-inferior", a = "method:test", b = "baseline:test", margin = 0.02 }"#),
    KindSpec::new(
        Room::Claim,
        "ratio",
        "the geometric mean of a/b is above a number",
        &[SAYS, A, B, Field::new("above", Ty::Float, "the least ratio").or("1.0").above(0.0)],
    ),
    KindSpec::new(
        Room::Claim,
        "above",
        "the mean is above a threshold",
        &[SAYS, WHAT, Field::new("threshold", Ty::Float, "in the quantity's own unit").or("0.0")],
    )
    .example(r#"{ kind = "above", what = "method:test", threshold = 0.8 }"#),
    KindSpec::new(
        Room::Claim,
        "below",
        "the mean is below a threshold",
        &[SAYS, WHAT, Field::new("threshold", Ty::Float, "in the quantity's own unit").or("0.0")],
    ),
    KindSpec::new(
        Room::Claim,
        "within",
        "the mean is between two values",
        &[
            SAYS,
            WHAT,
            Field::new("lo", Ty::Float, "above this").required(),
            Field::new("hi", Ty::Float, "and below this").required(),
        ],
    )
    .source("Schuirmann 1987"),
    KindSpec::new(
        Room::Claim,
        "interaction",
        "the mean of (a − b) − (c − d) is above 0",
        &[SAYS, A, B, quantity("c", "a quantity"), quantity("d", "a quantity")],
    ),
    KindSpec::new(
        Room::Claim,
        "onset-before",
        "in more than half of all seeds one curve crosses before another",
        &[
            SAYS,
            quantity("early", "ARM:METRIC whose metric is read as an onset"),
            quantity("late", "the same of the one that should cross later"),
        ],
    )
    .example(r#"{ kind = "onset-before", early = "method:speed", late = "baseline:speed" }"#),
    KindSpec::new(
        Room::Claim,
        "count",
        "in at least so many of the seeds the quantity lies between two values; it speaks of these seeds alone",
        &[
            SAYS,
            WHAT,
            Field::new("lo", Ty::Float, "at least this; absent: any"),
            Field::new("hi", Ty::Float, "at most this; absent: any"),
            Field::new("seeds", Ty::Count, "in at least so many seeds").required().min(1.0),
        ],
    ),
    KindSpec::new(
        Room::Claim,
        "all-of",
        "every part holds, each tested at alpha",
        &[SAYS, Field::new("of", Ty::List(&Ty::Kind(&[Room::Claim])), "the parts").required()],
    )
    .source("Berger 1982"),
    KindSpec::new(
        Room::Claim,
        "any-of",
        "some part holds, each of k tested at alpha/k",
        &[SAYS, Field::new("of", Ty::List(&Ty::Kind(&[Room::Claim])), "the parts").required()],
    ),
];

const READINGS: &[&str] = &["final", "at", "highest", "lowest", "mean", "slope", "onset", "rate"];

const READING: &[Field] = &[
    Field::new(
        "of",
        Ty::Str,
        "STAGE/SET/exact_match after the stage, STAGE/loss over its steps, STAGE/eval/SET/exact_match at `eval-every`, \
         ledger/flops, …",
    )
    .required(),
    Field::new("read", Ty::Choice(READINGS), "how a curve becomes one number").or("final"),
    Field::new("step", Ty::Float, "for `at`: the step"),
    Field::new("from", Ty::Float, "for `mean` and `slope`: first step; absent: the first there is"),
    Field::new("to", Ty::Float, "for `mean` and `slope`: last step; absent: the last there is"),
    Field::new("reaches", Ty::Float, "for `onset`: the level that a rising curve crosses"),
    Field::new("falls-to", Ty::Float, "for `onset`: the level that a falling curve crosses"),
    Field::new("hold", Ty::Count, "for `onset`: points in a row that must be beyond the level").or("1").min(1.0),
    Field::new("never", Ty::Float, "for `onset`: the step that stands for a curve that never crosses"),
    Field::new("law", Ty::Choice(&["power", "exponential"]), "for `rate`: the law that is fitted").or("power"),
];

const METRIC: Ty = Ty::OneOf(&[Ty::Str, Ty::Table(READING)]);

/// The file.
pub static FORM: FormSpec = FormSpec {
    name: "claim",
    doc: "What a paper's runs have to show: the file claim.toml in its folder.",
    fields: &[
        Field::new("title", Ty::Str, "the paper's title").required(),
        Field::new("source", Ty::Str, "where it was published: arXiv:NNNN.NNNNN"),
        Field::new(
            "kind",
            Ty::Choice(&["method", "study", "theory", "survey", "application"]),
            "what the paper is",
        )
        .required(),
        Field::new(
            "seeds",
            Ty::List(&Ty::Count),
            "the seeds that decide, in their order; others are for tuning",
        )
        .or("[0, 1, 2, 3, 4, 5, 6, 7]"),
        Field::new(
            "design",
            Ty::Choice(&["fixed", "anytime"]),
            "fixed: decided once all seeds are there; anytime: seeds are added until it is decided",
        )
        .or("fixed"),
        Field::new("alpha", Ty::Float, "the chance of a false `held`, at most")
            .or("0.05")
            .min(1e-4)
            .max(0.4999),
        Field::new("scaled-down", Ty::List(&Ty::Str), "what is smaller than in the paper, a line each")
            .or("[]"),
        Field::new(
            "metric",
            Ty::Map(&METRIC),
            "names for what is read: a metric, or a metric and how it is read",
        ),
        Field::new("primary", Ty::Kind(&[Room::Claim]), "the claim that decides the paper's verdict")
            .required(),
        Field::new("secondary", Ty::List(&Ty::Kind(&[Room::Claim])), "further claims; they decide nothing")
            .or("[]"),
    ],
};
