//! `regimen check RECIPE`.

use std::io::Write;

use regimen_nn::Device;
use regimen_recipe::Choice;

use crate::failure::Outcome;
use crate::preflight::{self, Depth};
use crate::recipes::{self, Given};
use crate::{number, out};

#[derive(clap::Args)]
#[command(
    after_help = "Checks the recipe as it stands and every arm of it, or only the one of `--arm`. Files are opened, nothing is trained."
)]
pub struct Args {
    #[command(flatten)]
    given: Given,
}

impl Args {
    pub fn go(self) -> Outcome {
        let recipe = recipes::read(&self.given.recipe)?;
        let registry = regimen_papers::registry();
        let catalogue = registry.catalogue();
        let sets = self.given.sets();
        let arms: Vec<Option<String>> = if let Some(arm) = &self.given.arm {
            vec![Some(arm.clone())]
        } else {
            recipe.check(&catalogue, &sets)?;
            std::iter::once(None).chain(recipe.arms().into_iter().map(Some)).collect()
        };
        let mut stages = 0;
        for arm in &arms {
            let resolved = recipe.resolve(&catalogue, &Choice { arm: arm.as_deref(), sets: &sets })?;
            let device = Device::by_name(resolved.root().str("device"))?;
            stages = preflight::examine(&resolved, &registry, &device, Depth::Quick)?.len();
        }
        let mut out = out::open();
        let variants = match (&self.given.arm, arms.len()) {
            (Some(arm), _) => format!(" in arm `{arm}`"),
            (None, 1) => String::new(),
            (None, n) => format!(", as it stands and in {}", number::plural(n - 1, "arm")),
        };
        writeln!(out, "{} is sound: {}{variants}", self.given.recipe, number::plural(stages, "stage"))?;
        Ok(out.flush()?)
    }
}
