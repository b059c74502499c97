//! What `regimen` can do: one file a verb.

mod bench;
mod cache;
mod chat;
mod check;
mod compare;
mod completions;
mod data;
mod eval;
mod explain;
mod export;
mod generate;
mod inspect;
mod list;
mod ls;
mod merge;
mod paper;
mod papers;
mod plan;
mod resume;
mod reward;
mod run;
mod sampling;
mod schema;
mod verify;

use clap::Subcommand;

use crate::failure::Outcome;

/// The verbs, in the order of `regimen --help`.
#[derive(Subcommand)]
pub enum Verb {
    /// Train every stage of a recipe
    #[command(alias = "train")]
    Run(run::Args),
    /// Go on with a run that was stopped, and end in the same bytes
    Resume(resume::Args),
    /// Look for mistakes in a recipe, and tell all of them
    Check(check::Args),
    /// Show a recipe with every default, and what it will take
    Plan(plan::Args),
    /// List what a recipe can choose from
    List(list::Args),
    /// Explain a kind or a field of a recipe
    Explain(explain::Args),
    /// Print the JSON Schema of recipes, for editors
    Schema(schema::Args),
    /// Show the rows of a recipe's data as tokens with role, mask and weight
    Data(data::Args),
    /// Look into the rewards of a run
    Reward(reward::Args),
    /// Let a model write
    Generate(generate::Args),
    /// Talk to a model
    Chat(chat::Args),
    /// Measure a model on held-out items
    Eval(eval::Args),
    /// Measure speed and memory on fixed work, beside other programs if asked for
    Bench(bench::Args),
    /// Look into a checkpoint
    Inspect(inspect::Args),
    /// List the papers, and what was found when they were checked
    Papers(papers::Args),
    /// Show a paper and its verdict
    Paper(paper::Args),
    /// Run every arm of a paper with every seed, and judge its claim
    Verify(verify::Args),
    /// Compare two sets of runs, seed by seed
    Compare(compare::Args),
    /// Write a model for other programs
    Export(export::Args),
    /// Make adapters part of the weights
    Merge(merge::Args),
    /// List runs
    Ls(ls::Args),
    /// Look after the outputs of stages that runs share
    Cache(cache::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
}

impl Verb {
    /// Does it.
    pub fn go(self) -> Outcome {
        match self {
            Self::Run(args) => args.go(),
            Self::Resume(args) => args.go(),
            Self::Check(args) => args.go(),
            Self::Plan(args) => args.go(),
            Self::List(args) => args.go(),
            Self::Explain(args) => args.go(),
            Self::Schema(args) => args.go(),
            Self::Data(args) => args.go(),
            Self::Reward(args) => args.go(),
            Self::Generate(args) => args.go(),
            Self::Chat(args) => args.go(),
            Self::Eval(args) => args.go(),
            Self::Bench(args) => args.go(),
            Self::Inspect(args) => args.go(),
            Self::Papers(args) => args.go(),
            Self::Paper(args) => args.go(),
            Self::Verify(args) => args.go(),
            Self::Compare(args) => args.go(),
            Self::Export(args) => args.go(),
            Self::Merge(args) => args.go(),
            Self::Ls(args) => args.go(),
            Self::Cache(args) => args.go(),
            Self::Completions(args) => args.go(),
        }
    }
}
