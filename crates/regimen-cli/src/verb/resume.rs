//! `regimen resume RUN`.

use std::path::{Path, PathBuf};

use regimen_base::Result;
use regimen_core::regimen::device_class;
use regimen_core::run::{Checkpoint, RunDir, StageDir, Status};
use regimen_nn::Device;
use regimen_recipe::Resolved;

use super::run::{self, Company, Sitting};
use crate::failure::Outcome;
use crate::out::tell;
use crate::{profile, target};

#[derive(clap::Args)]
pub struct Args {
    /// The directory of the run, such as runs/quickstart
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    company: Company,
    /// Tell at the end where the time of this sitting went, and write a trace into the run's directory
    #[arg(long)]
    profile: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        let profile = profile::start(self.profile)?;
        go_on(&self.run, &Sitting { company: self.company, profile })
    }
}

/// Goes on with a run, or says that it is complete.
pub fn go_on(run: &Path, sitting: &Sitting) -> Outcome {
    let dir = RunDir::open(run)?;
    let shown = run.display();
    let resolved = target::resolved(&dir)?;
    let device = Device::by_name(resolved.root().str("device"))?;
    if let Ok(manifest) = dir.manifest() {
        if manifest.status == Status::Complete && has_its_end(&dir, &resolved)? {
            tell(&format!("{shown} is complete: there is nothing to go on with"));
            return run::finish(&dir);
        }
        let (then, now) = (&manifest.device, device_class(&device));
        if (&then.device, &then.isa) != (&now.device, &now.isa) {
            tell(&format!(
                "note: {shown} was begun on {} ({}) and goes on on {} ({}); its last bits may differ from a run left alone",
                then.device, then.isa, now.device, now.isa
            ));
        }
        if manifest.version != env!("CARGO_PKG_VERSION") {
            tell(&format!("note: {shown} was begun by regimen {}", manifest.version));
        }
    }
    tell(&format!("going on with {shown}"));
    run::carry_out(&dir, &resolved, &regimen_papers::registry(), &device, sitting)
}

/// Whether the checkpoint that ended the last training is there. A user who removed a damaged one wants it made again.
fn has_its_end(dir: &RunDir, resolved: &Resolved) -> Result<bool> {
    let Some(last) = resolved.stages().iter().rposition(|stage| stage.kind() != "eval") else {
        return Ok(true);
    };
    let id = &resolved.plan().stages[last].id;
    let stages = dir.stages()?;
    let newest = stages.iter().find(|stage| stage.id() == id).map(StageDir::newest).transpose()?.flatten();
    Ok(newest.as_ref().is_some_and(Checkpoint::is_last))
}
