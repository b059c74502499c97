//! `regimen check RECIPE`.

use std::io::Write;

use regimen_nn::Device;
use regimen_recipe::Choice;

use crate::failure::Outcome;
use crate::out::tell;
use crate::preflight::data::Level;
use crate::preflight::{self, Depth, Examined};
use crate::recipes::{self, Given};
use crate::{number, out};

#[derive(clap::Args)]
#[command(
    after_help = "Checks the recipe as it stands and every arm of it, or only the one of `--arm`. Files are opened, nothing is trained. \
Data, template, masks and rewards are tried on a few hundred rows; errors there end with exit code 4."
)]
pub struct Args {
    #[command(flatten)]
    given: Given,
}

impl Args {
    pub fn go(self) -> Outcome {
        let recipe = recipes::read(&self.given.recipe)?;
        let registry = regimen_kit::registry();
        let catalogue = registry.catalogue();
        let sets = self.given.sets();
        let arms: Vec<Option<String>> = if let Some(arm) = &self.given.arm {
            vec![Some(arm.clone())]
        } else {
            recipe.check(&catalogue, &sets)?;
            std::iter::once(None).chain(recipe.arms().into_iter().map(Some)).collect()
        };
        let (mut stages, mut warnings) = (0, 0);
        let mut out = out::open();
        for arm in &arms {
            let resolved = recipe.resolve(&catalogue, &Choice { arm: arm.as_deref(), sets: &sets })?;
            let device = Device::by_name(resolved.root().str("device"))?;
            let Examined { loads, findings, .. } =
                preflight::examine(&resolved, &registry, &device, Depth::Quick)?;
            for note in &findings.notes {
                writeln!(out, "{note}")?;
            }
            out.flush()?;
            if let Some(arm) = arm.as_ref().filter(|_| !findings.all.is_empty()) {
                tell(&format!("in arm `{arm}`:"));
            }
            findings.tell()?;
            (stages, warnings) = (loads.len(), warnings + findings.count(Level::Warning));
        }
        let variants = match (&self.given.arm, arms.len()) {
            (Some(arm), _) => format!(" in arm `{arm}`"),
            (None, 1) => String::new(),
            (None, n) => format!(", as it stands and in {}", number::plural(n - 1, "arm")),
        };
        let warnings = match warnings {
            0 => String::new(),
            n => format!(", with {}", number::plural(n, "warning")),
        };
        let stages = number::plural(stages, "stage");
        writeln!(out, "{} is sound: {stages}{variants}{warnings}", self.given.recipe)?;
        Ok(out.flush()?)
    }
}
