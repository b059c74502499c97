//! `regimen completions SHELL`.

use std::io::Write;

use clap_complete::Shell;

use crate::args;
use crate::failure::Outcome;
use crate::out;

#[derive(clap::Args)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub fn go(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut args::command(), "regimen", &mut script);
        let mut out = out::open();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}
