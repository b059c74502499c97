//! `regimen schema`.

use std::io::Write;

use crate::failure::Outcome;
use crate::out;

#[derive(clap::Args)]
#[command(
    after_help = "Editors take it as a schema of TOML files: put `#:schema recipe.schema.json` into the first line of a recipe."
)]
pub struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every verb")]
    pub fn go(self) -> Outcome {
        let schema = regimen_recipe::schema(&regimen_papers::registry().catalogue());
        let mut out = out::open();
        writeln!(out, "{schema:#}")?;
        Ok(out.flush()?)
    }
}
