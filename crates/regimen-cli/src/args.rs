//! What can be typed after `regimen`.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::verb::Verb;

/// Takes a small language model through its training stages, from one recipe.
#[derive(Parser)]
#[command(name = "regimen", max_term_width = 100, propagate_version = true, after_help = AFTER)]
pub struct Args {
    /// Threads to compute with; results do not depend on it [default: RAYON_NUM_THREADS, or all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const AFTER: &str = "\
Begin with:
  regimen run quickstart           train a small reasoning model from nothing, in a few minutes
  regimen chat runs/quickstart     talk to it
  regimen list objective           see what a recipe can choose from

Exit codes: 0 done, 1 a run failed, 2 a wrong command line or recipe, 3 a claim did not hold, 4 unusable data, \
5 the plan does not fit into memory, 130 and 143 stopped by Ctrl-C and SIGTERM after a full checkpoint.";

/// The command with the version that this machine sees.
pub fn command() -> clap::Command {
    Args::command().version(version())
}

/// Reads the command line; help, versions and mistakes end the process here.
pub fn parse() -> Args {
    let matches = command().get_matches();
    Args::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
}

/// The version and the instruction set that the kernels chose.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| format!("{} ({})", env!("CARGO_PKG_VERSION"), isa()))
}

/// The instruction set in use: `avx512`, `avx2`, …
pub fn isa() -> String {
    format!("{:?}", regimen_kernels::level()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clap checks names, conflicts and defaults of every verb.
    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_and_option_is_explained() {
        for verb in command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{} has no text", verb.get_name());
            for arg in verb.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} has no text", verb.get_name(), arg.get_id());
            }
        }
    }
}
