//! The runs of a verification: one for each arm and seed, and what is left to do of each.

use std::fs;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_core::run::{RunDir, Status, program_digest};
use regimen_recipe::Resolved;

use super::Study;
use crate::failure::Outcome;
use crate::recipes::Given;
use crate::target;

/// One run.
pub struct Job {
    /// The arm.
    pub arm: String,
    /// The seed.
    pub seed: u64,
    /// Its directory.
    pub path: PathBuf,
    /// Its recipe.
    pub resolved: Resolved,
}

/// What is left to do of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// It is complete.
    Nothing,
    /// It was begun by the same program.
    Rest,
    /// It was never begun, or by another recipe or program, and is made anew.
    All,
}

/// All of them, the first seed's first, so that a claim can be looked at early.
pub fn of(study: &Study, seeds: &[u64], home: &Path, max_steps: Option<u64>) -> Outcome<Vec<Job>> {
    let mut jobs = Vec::new();
    for &seed in seeds {
        for arm in &study.claims.arms {
            let given = given(study, arm, seed, max_steps);
            let resolved = given.resolve()?;
            jobs.push(Job { arm: arm.clone(), seed, path: home.join(name(arm, seed)), resolved });
        }
    }
    Ok(jobs)
}

fn name(arm: &str, seed: u64) -> String {
    format!("{arm}-seed{seed}")
}

fn given(study: &Study, arm: &str, seed: u64, max_steps: Option<u64>) -> Given {
    Given {
        recipe: study.given.clone(),
        arm: Some(arm.to_owned()),
        seed: Some(seed),
        max_steps,
        ..Given::default()
    }
}

impl Job {
    /// `cot, seed 3`.
    pub fn words(&self) -> String {
        format!("{}, seed {}", self.arm, self.seed)
    }

    /// The run, when it was begun.
    pub fn run(&self) -> Option<RunDir> {
        RunDir::view(&self.path).ok()
    }

    /// What is left to do.
    pub fn left(&self) -> Left {
        let Some(run) = self.run() else { return Left::All };
        let Ok(manifest) = run.manifest() else { return Left::All };
        let same_recipe =
            target::resolved(&run).is_ok_and(|then| then.root().to_json() == self.resolved.root().to_json());
        let same_program = manifest.program == program_digest() && !manifest.program.is_empty();
        match (same_recipe && same_program, manifest.status) {
            (false, _) => Left::All,
            (true, Status::Complete) => Left::Nothing,
            (true, _) => Left::Rest,
        }
    }

    /// Removes what another recipe or program left in its place.
    pub fn clear(&self) -> Result<()> {
        if !self.path.join("stages").is_dir() {
            return Ok(());
        }
        // the lock says whether somebody is at work in it
        drop(RunDir::open(&self.path)?);
        fs::remove_dir_all(&self.path)
            .map_err(|e| Error::failed(format!("cannot remove {}: {e}", self.path.display())))
    }

    /// The arguments of the process that does it.
    pub fn arguments(&self, left: Left, study: &Study, cache: &Path, max_steps: Option<u64>) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let mut arguments: Vec<String> = match left {
            Left::Rest => vec!["resume".to_owned(), text(&self.path)],
            Left::Nothing | Left::All => {
                let seed = self.seed.to_string();
                let home = self.path.parent().unwrap_or(Path::new("."));
                ["run", &study.given, "--arm", &self.arm, "--seed", &seed, "--name"]
                    .into_iter()
                    .map(str::to_owned)
                    .chain([name(&self.arm, self.seed), "--out".to_owned(), text(home)])
                    .chain(max_steps.into_iter().flat_map(|n| ["--max-steps".to_owned(), n.to_string()]))
                    .collect()
            }
        };
        arguments.extend(["--threads", "1", "--leash", "--cache"].map(str::to_owned));
        arguments.push(text(cache));
        arguments
    }
}
