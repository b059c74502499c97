//! `regimen explain ROOM.KIND`.

use std::io::Write;

use crate::failure::Outcome;
use crate::out;

#[derive(clap::Args)]
pub struct Args {
    /// A kind (`objective.grpo`), a room (`objective`), a table (`stage.stream`), a field (`stage.lr`), or `recipe`
    #[arg(default_value = "recipe")]
    topic: String,
}

impl Args {
    pub fn go(self) -> Outcome {
        let text = regimen_recipe::explain(&regimen_papers::registry().catalogue(), &self.topic)?;
        let mut out = out::open();
        writeln!(out, "{}", text.trim_end())?;
        Ok(out.flush()?)
    }
}
