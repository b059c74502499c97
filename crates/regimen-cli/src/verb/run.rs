//! `regimen run RECIPE`.

use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_core::regimen::{Outcome as Ended, Regimen, device_class};
use regimen_core::registry::Registry;
use regimen_core::run::{Cache, Disk, Profile, RunDir, Status};
use regimen_nn::Device;
use regimen_recipe::Resolved;
use serde_json::json;

use crate::failure::{Outcome, Stop};
use crate::out::tell;
use crate::preflight::{self, Depth, Examined, Load};
use crate::progress::Display;
use crate::recipes::Given;
use crate::verb::resume;
use crate::{args, number, out, profile, scores};

/// The resolved recipe, in the run's directory.
const RECIPE: &str = "recipe.resolved.toml";

#[derive(clap::Args)]
#[command(
    after_help = "Ctrl-C finishes the step, writes a full checkpoint and stops; a second one stops at once. \
`regimen resume RUN` goes on, and ends in the same bytes as a run that was left alone."
)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    /// Name of the run's directory [default: the recipe's name]
    #[arg(long)]
    name: Option<String>,
    /// Where runs are kept
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    out: PathBuf,
    /// Tell at the end where the time went, and write a trace into the run's directory
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    company: Company,
}

/// What a run has to do with other runs.
#[derive(clap::Args, Clone, Default)]
pub struct Company {
    /// Share outputs of stages that do not differ with other runs, through this folder
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Stop, as at Ctrl-C, when standard input ends
    #[arg(long, hide = true)]
    leash: bool,
}

/// What one sitting at a run is told beside its recipe.
#[derive(Default)]
pub struct Sitting {
    /// What it has to do with other runs.
    pub company: Company,
    /// Where the time goes.
    pub profile: Option<&'static Profile>,
}

impl Args {
    pub fn go(self) -> Outcome {
        let resolved = self.given.resolve()?;
        let seeds = self.given.seeds(&resolved);
        if seeds.is_empty() {
            return self.one(&resolved, profile::start(self.profile)?);
        }
        if self.profile {
            let one = Error::usage("`--profile` looks at one run, the recipe has several seeds");
            return Err(one.remedy("name one of them: `--seed N`").into());
        }
        let name = self.name.clone().unwrap_or_else(|| self.given.run_name(&resolved));
        for &seed in seeds {
            let given = self.given.with_seed(seed);
            let resolved = given.resolve()?;
            let name = Some(format!("{name}-seed{seed}"));
            Self { given, name, out: self.out.clone(), profile: false, company: self.company.clone() }
                .of_several(&resolved)?;
        }
        Ok(())
    }

    /// A run that may have been made, or begun, when the same recipe was run before.
    fn of_several(&self, resolved: &Resolved) -> Outcome {
        let path = self.out.join(self.name.as_deref().unwrap_or_default());
        let written = || RunDir::view(&path)?.read(RECIPE);
        if path.join("stages").is_dir() && written()? == resolved.to_toml().as_bytes() {
            return resume::go_on(&path, &self.sitting(None));
        }
        self.one(resolved, None)
    }

    fn sitting(&self, profile: Option<&'static Profile>) -> Sitting {
        Sitting { company: self.company.clone(), profile }
    }

    fn one(&self, resolved: &Resolved, profile: Option<&'static Profile>) -> Outcome {
        let device = Device::by_name(resolved.root().str("device"))?;
        let registry = regimen_papers::registry();
        let Examined { loads, findings, .. } =
            preflight::examine(resolved, &registry, &device, Depth::Quick)?;
        findings.notes.iter().for_each(|note| tell(note));
        findings.tell()?;
        let room = preflight::room();
        preflight::must_fit(&loads, room)?;
        if let Some(line) = preflight::is_tight(&loads, room) {
            tell(&format!("note: {line}"));
        }
        let dir = RunDir::create(&self.place(resolved)?)?;
        dir.write(RECIPE, resolved.to_toml().as_bytes())?;
        tell(&headline(&dir, &loads, &device));
        carry_out(&dir, resolved, &registry, &device, &self.sitting(profile))
    }

    /// Where the run goes. A name that the user gave is taken at its word; the recipe's own makes way for an older run.
    fn place(&self, resolved: &Resolved) -> Result<PathBuf> {
        if let Some(name) = &self.name {
            let path = self.out.join(name);
            return if path.join("stages").is_dir() { Err(taken(&path)) } else { Ok(path) };
        }
        let name = self.given.run_name(resolved);
        let path = RunDir::free_path(&self.out, &name);
        let first = self.out.join(&name);
        if path != first {
            tell(&format!("{}; this one goes to {}", older(&first), path.display()));
        }
        Ok(path)
    }
}

fn taken(path: &Path) -> Error {
    Error::usage(older(path)).remedy("choose another `--name`, or remove that folder")
}

/// What is known of the run that has the name.
fn older(path: &Path) -> String {
    let shown = path.display();
    let status = RunDir::view(path).and_then(|run| run.manifest()).map(|m| m.status);
    match status {
        Ok(Status::Complete) => format!("{shown} holds a complete run"),
        Ok(Status::Interrupted) => {
            format!("{shown} holds a run that was stopped (`regimen resume {shown}` goes on with it)")
        }
        _ => format!("{shown} holds a run already (`regimen resume {shown}` goes on with it)"),
    }
}

fn headline(dir: &RunDir, loads: &[Load], device: &Device) -> String {
    let parameters = loads.iter().map(Load::parameters).max().unwrap_or(0);
    format!(
        "{}: {}, {} parameters, on {} ({}, {})",
        dir.path().display(),
        number::plural(loads.len(), "stage"),
        number::count(parameters as f64),
        device.name(),
        args::isa(),
        number::plural(device_class(device).threads, "thread"),
    )
}

/// Runs what is not done yet, and says what came of it.
pub fn carry_out(
    dir: &RunDir,
    resolved: &Resolved,
    registry: &Registry,
    device: &Device,
    sitting: &Sitting,
) -> Outcome {
    let mut events = dir.events()?;
    let class = device_class(device);
    events.event(
        "started",
        json!({ "version": env!("CARGO_PKG_VERSION"), "isa": class.isa, "threads": class.threads }),
    )?;
    let mut display = Display::open(sitting.profile)?;
    if sitting.company.leash {
        display.leash();
    }
    let cache = sitting.company.cache.as_deref().map(Cache::new);
    let cache = cache.as_ref();
    let ended =
        Regimen { resolved, registry, files: &Disk, device, dir, cache, observer: &mut display }.run();
    display.close();
    let how = match &ended {
        Ok(Ended::Complete) => json!({ "outcome": "complete" }),
        Ok(Ended::Interrupted) => json!({ "outcome": "interrupted" }),
        Err(error) => json!({ "outcome": "failed", "error": error.to_string() }),
    };
    // what went wrong counts for more than what cannot be written down about it
    let noted = events.event("ended", how);
    let ended = ended?;
    noted?;
    if let Some(profile) = sitting.profile {
        tell(&profile::finish(profile, dir)?);
    }
    match ended {
        Ended::Complete => finish(dir),
        Ended::Interrupted => {
            let path = dir.path().display();
            tell(&format!("stopped with a full checkpoint; `regimen resume {path}` goes on"));
            Err(display.asked().map_or(Stop::Pipe, Stop::Exit))
        }
    }
}

/// What there is now, and what to type next.
pub fn finish(dir: &RunDir) -> Outcome {
    use std::io::Write;
    let mut out = out::open();
    if let Some(table) = scores::by_stage(dir)? {
        write!(out, "\n{table}")?;
    }
    let path = dir.path();
    writeln!(out, "\nreport      {}", path.join("report.html").display())?;
    if let Some((_, checkpoint)) = dir.newest()? {
        writeln!(out, "checkpoint  {}", checkpoint.folder().display())?;
    }
    writeln!(out, "next        {}", next(dir))?;
    Ok(out.flush()?)
}

/// The command that shows best what was made.
fn next(dir: &RunDir) -> String {
    let path = dir.path().display();
    let named = crate::target::Named { target: dir.path().to_owned(), stage: None, step: None };
    match named.find() {
        Ok(target) if target.talks() => format!("regimen chat {path}"),
        Ok(target) if !target.speaks() => format!("regimen inspect {path}"),
        _ => format!("regimen generate {path} --prompt \"…\""),
    }
}
