//! `regimen ls [RUNS]`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_core::run::{Manifest, RunDir, Status};

use crate::failure::Outcome;
use crate::number;
use crate::out::{self, tell};
use crate::table::Table;

#[derive(clap::Args)]
pub struct Args {
    /// Where runs are kept
    #[arg(value_name = "RUNS", default_value = "runs")]
    runs: PathBuf,
}

impl Args {
    pub fn go(self) -> Outcome {
        let runs = found(&self.runs)?;
        if runs.is_empty() {
            tell(&format!("no runs in {}; `regimen run quickstart` makes one", self.runs.display()));
            return Ok(());
        }
        let mut table = Table::new(&["run", "status", "stage", ">step", ">tokens", ">time", "started"]);
        for run in &runs {
            table.row(row(run));
        }
        let mut out = out::open();
        out.write_all(table.render().as_bytes())?;
        Ok(out.flush()?)
    }
}

/// The runs in a folder, by name; or the one that it is.
fn found(folder: &Path) -> Result<Vec<RunDir>> {
    if let Ok(run) = RunDir::view(folder) {
        return Ok(vec![run]);
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && folder == Path::new("runs") => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::usage(format!("cannot list {}: {e}", folder.display()))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    Ok(paths.iter().filter_map(|path| RunDir::view(path).ok()).collect())
}

fn row(run: &RunDir) -> [String; 7] {
    let manifest = run.manifest().ok();
    let stages = run.stages().unwrap_or_default();
    let newest =
        stages.iter().rev().find_map(|s| Some((s.id().to_owned(), s.steps().ok()?.last().copied()?)));
    let (stage, step) =
        newest.map_or_else(|| ("-".to_owned(), "-".to_owned()), |(id, step)| (id, step.to_string()));
    let sum = |of: fn(&regimen_core::run::LedgerRow) -> f64| {
        manifest.iter().flat_map(|m| &m.stages).map(of).sum::<f64>()
    };
    let (tokens, seconds) = (sum(|s| s.tokens as f64), sum(|s| s.seconds));
    let measured = |value: f64, text: String| if value > 0.0 { text } else { "-".to_owned() };
    [
        run.path().display().to_string(),
        status(manifest.as_ref(), run.path()).to_owned(),
        stage,
        step,
        measured(tokens, number::count(tokens)),
        measured(seconds, number::seconds(seconds)),
        manifest.map_or_else(|| "-".to_owned(), |m| m.started),
    ]
}

/// What became of the run. One that says it runs, and that nobody holds, was killed.
fn status(manifest: Option<&Manifest>, path: &Path) -> &'static str {
    match manifest.map(|m| m.status) {
        Some(Status::Complete) => "complete",
        Some(Status::Interrupted) if !held(path) => "stopped",
        Some(Status::Failed) if !held(path) => "failed",
        _ if held(path) => "running",
        _ => "killed",
    }
}

/// Whether a process is at work in it. The look itself holds the lock for an instant at the most.
fn held(path: &Path) -> bool {
    File::open(path.join(".lock"))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}
