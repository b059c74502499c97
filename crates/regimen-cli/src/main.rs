//! `regimen`: takes a small language model through its training stages from one recipe.
//!
//! The whole story: parse what was typed, set up threads, do the verb, and turn what came of it into an exit code.

mod args;
mod bench;
mod failure;
mod interrupt;
mod number;
mod out;
mod preflight;
mod profile;
mod progress;
mod recipes;
mod scores;
mod study;
mod style;
mod table;
mod target;
mod threads;
mod verb;

use std::process::ExitCode;

/// Training allocates and frees the same large blocks at every step: they are kept, not given back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    regimen_kernels::keep_freed_memory();
    failure::install_panic_hook();
    let args = args::parse();
    let done = threads::start(args.threads).and_then(|()| args.verb.go());
    failure::report(done)
}
