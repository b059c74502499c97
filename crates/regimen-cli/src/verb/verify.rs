//! `regimen verify PAPER`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use regimen_base::{Error, Exit, Result};
use regimen_core::run::{Clock, report::render_study};
use regimen_kernels::NUMERICS;
use regimen_papers::{Claims, Record, StatedVerdict};
use regimen_stats::{Design, Outcome as Answer, Verdict};

use crate::failure::{Outcome, Stop};
use crate::interrupt::Interrupt;
use crate::out::{self, tell};
use crate::study::children::{self, Event, Reins, Task};
use crate::study::jobs::{self, Job, Left};
use crate::study::seeds::Seeds;
use crate::study::show::Show;
use crate::study::table::Runs;
use crate::study::{Study, commit, page, told};
use crate::{args, number};

#[derive(clap::Args)]
#[command(
    after_help = "Runs every arm with every seed, side by side with one thread each, and judges the claim. What is \
complete is not run again, and what was stopped is gone on with; stages that arms have in common are run once. Ends with \
exit code 3 when the primary claim does not hold. Ctrl-C stops all runs after a full checkpoint."
)]
pub struct Args {
    /// A paper (`p021`), or a folder with a recipe.toml and a claim.toml
    #[arg(value_name = "PAPER")]
    paper: String,
    /// Other seeds than the claim's, for tuning: `100..103`, or `0,2,5`
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<Seeds>,
    /// Runs side by side [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Write result.json and effects.svg into the paper's folder; recipe, claim and pieces must be committed
    #[arg(long, conflicts_with_all = ["seeds", "trial"])]
    record: bool,
    /// Where runs are kept
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    out: PathBuf,
    /// Only try it: two steps of every arm with one seed, and whether everything that the claims read is there
    #[arg(long = "try", conflicts_with = "seeds")]
    trial: bool,
}

/// Steps of a stage in a trial.
const TRIAL_STEPS: u64 = 2;

impl Args {
    pub fn go(self) -> Outcome {
        let study = Study::open(&self.paper)?;
        let place = if self.record { Some(commit::committed(&study)?) } else { None };
        let claims = match (&self.seeds, self.trial) {
            (Some(seeds), _) => study.claims.with_seeds(&seeds.0),
            (None, true) => study.claims.with_seeds(&[0]),
            (None, false) => study.claims.clone(),
        };
        let name = if self.trial { format!("{}-try", study.short()) } else { study.short().to_owned() };
        let home = self.out.join(name);
        let max_steps = self.trial.then_some(TRIAL_STEPS);
        let jobs = jobs::of(&study, &claims.seeds, &home, max_steps)?;
        let width = self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let cache = if self.trial { home.join(".cache") } else { self.out.join(".cache") };
        let mut verification = Verification {
            study: &study,
            claims: &claims,
            jobs: &jobs,
            home: &home,
            cache: &cache,
            max_steps,
            width,
        };
        let (runs, failures, stopped) = verification.run()?;
        if self.trial && stopped.is_none() {
            return tried(&study, &jobs, &runs, &failures);
        }
        let judged = judge(&claims, &runs);
        let path = home.join("report.html");
        let page = page::report(&study, &claims, &jobs, &runs, &judged)?;
        write(&path, render_study(&page).as_bytes())?;
        if let Some(exit) = stopped {
            tell(&format!("stopped; `regimen verify {}` goes on", self.paper));
            return Err(Stop::Exit(exit));
        }
        tell_verdicts(&study, &claims, &judged, &path)?;
        if let Some(failure) = failures.first() {
            return Err(Error::failed(format!(
                "{} of {} runs failed; the first: {failure}",
                failures.len(),
                jobs.len()
            ))
            .into());
        }
        if let Some((folder, commit)) = place {
            record(&study, &claims, &runs, &judged, &jobs, &folder, commit)?;
        }
        if judged[0].1.outcome == Answer::Held { Ok(()) } else { Err(Stop::Exit(Exit::Claim)) }
    }
}

/// The verdicts, the primary one first.
fn judge<'a>(claims: &'a Claims, runs: &Runs) -> Vec<page::Judged<'a>> {
    claims.all().map(|stated| (stated.says.as_str(), stated.claim.evaluate(&runs.table))).collect()
}

struct Verification<'a> {
    study: &'a Study,
    claims: &'a Claims,
    jobs: &'a [Job],
    home: &'a Path,
    cache: &'a Path,
    max_steps: Option<u64>,
    width: usize,
}

/// What stops the workers.
struct Hold<'a> {
    interrupt: &'a Interrupt,
    decided: AtomicBool,
}

impl Reins for Hold<'_> {
    fn stop(&self) -> bool {
        self.interrupt.asked().is_some()
    }

    fn wanted(&self, _: usize) -> bool {
        !self.decided.load(Ordering::SeqCst)
    }
}

impl Verification<'_> {
    /// Runs what is left; gives all that is complete, what failed, and whether it was told to stop.
    fn run(&mut self) -> Result<(Runs, Vec<String>, Option<Exit>)> {
        let mut runs = Runs::read(self.jobs, self.claims)?;
        let left: Vec<usize> =
            (0..self.jobs.len()).filter(|&i| self.jobs[i].left() != Left::Nothing).collect();
        let mut show = Show::new(self.jobs, &left, self.width);
        self.headline(&show, &left);
        for (arm, seeds) in &runs.ledgers {
            for row in seeds.values() {
                show.took(arm, row.seconds);
            }
        }
        let interrupt = Interrupt::watch(|_| tell("stopping: every run writes a full checkpoint first"))?;
        let hold = Hold { interrupt: &interrupt, decided: AtomicBool::new(self.decided(&runs)) };
        let tasks = self.tasks(&left)?;
        let mut failures = Vec::new();
        let (sender, events) = mpsc::channel();
        thread::scope(|scope| -> Result<()> {
            scope.spawn(|| children::side_by_side(tasks, self.width, &hold, sender));
            loop {
                match events.recv_timeout(Duration::from_secs(1)) {
                    Ok(event) => self.see(event, &mut show, &mut runs, &mut failures, &hold)?,
                    Err(RecvTimeoutError::Timeout) => show.refresh(),
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        })?;
        show.close();
        Ok((runs, failures, interrupt.asked()))
    }

    fn headline(&self, show: &Show, left: &[usize]) {
        let complete = self.jobs.len() - left.len();
        let there = if complete > 0 { format!(", {complete} of them complete") } else { String::new() };
        show.line(&format!(
            "{}: {} × {} in {}{there}; {} side by side",
            self.study.name,
            number::plural(self.claims.arms.len(), "arm"),
            number::plural(self.claims.seeds.len(), "seed"),
            self.home.display(),
            self.width,
        ));
    }

    fn tasks(&self, left: &[usize]) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for &job in left {
            let run = &self.jobs[job];
            let state = run.left();
            if state == Left::All {
                run.clear()?;
            }
            let arguments = run.arguments(state, self.study, self.cache, self.max_steps);
            tasks.push(Task { job, arguments, log: self.log(run) });
        }
        Ok(tasks)
    }

    fn log(&self, job: &Job) -> PathBuf {
        self.home.join("logs").join(format!("{}-seed{}.log", job.arm, job.seed))
    }

    fn decided(&self, runs: &Runs) -> bool {
        let claim = &self.claims.primary.claim;
        let verdict = || claim.evaluate(&runs.table).outcome;
        self.claims.design == Design::Anytime && verdict() != Answer::Inconclusive
    }

    fn see(
        &self,
        event: Event,
        show: &mut Show,
        runs: &mut Runs,
        failures: &mut Vec<String>,
        hold: &Hold,
    ) -> Result<()> {
        let primary = |runs: &Runs| -> Verdict { self.claims.primary.claim.evaluate(&runs.table) };
        match event {
            Event::Began(job) => show.began(job, self.jobs, self.log(&self.jobs[job])),
            Event::Done(job) => {
                let run = &self.jobs[job];
                runs.add(run, self.claims)?;
                let seconds = runs.ledgers.get(&run.arm).and_then(|seeds| seeds.get(&run.seed));
                show.took(&run.arm, seconds.map_or(0.0, |row| row.seconds));
                show.ended(job, self.jobs, "done", &primary(runs));
                if self.decided(runs) && !hold.decided.swap(true, Ordering::SeqCst) {
                    show.line("the primary claim is decided: no further seeds are begun");
                }
            }
            Event::Stopped(job) => show.ended(job, self.jobs, "stopped", &primary(runs)),
            Event::Failed(job, why) => {
                show.ended(job, self.jobs, "failed", &primary(runs));
                failures.push(format!("{}: {why}", self.jobs[job].words()));
            }
        }
        Ok(())
    }
}

/// Whether a trial found everything that the claims read.
fn tried(study: &Study, jobs: &[Job], runs: &Runs, failures: &[String]) -> Outcome {
    if let Some(failure) = failures.first() {
        return Err(Error::failed(format!("{}: {failure}", study.name)).into());
    }
    for job in jobs {
        let values = runs.values.get(&job.arm);
        for name in study.claims.read_by_arm().get(job.arm.as_str()).into_iter().flatten() {
            // a trial is too short for what is measured every so many steps
            let periodic = name.contains("/eval/");
            let there =
                values.and_then(|v| v.get(*name)).is_some_and(|seeds| seeds.values().any(Option::is_some));
            if !there && !periodic {
                let what = format!("{}: the runs of arm `{}` measure no `{name}`", study.name, job.arm);
                return Err(Error::usage(what)
                    .remedy("metrics.jsonl of a run has the names of its curves")
                    .into());
            }
        }
    }
    let mut out = out::open();
    let arms = number::plural(study.claims.arms.len(), "arm");
    writeln!(out, "{} runs: {arms}, and all that its claims read is there", study.name)?;
    Ok(out.flush()?)
}

fn tell_verdicts(study: &Study, claims: &Claims, judged: &[page::Judged], path: &Path) -> Outcome {
    let mut out = out::open();
    for (i, (says, verdict)) in judged.iter().enumerate() {
        write!(out, "\n{}", told::full(if i == 0 { "primary" } else { "secondary" }, says, verdict))?;
    }
    if claims.seeds != study.claims.seeds {
        writeln!(out, "\nthese are not the claim's seeds: nothing is decided by them")?;
    }
    writeln!(out, "\nreport  {}", path.display())?;
    Ok(out.flush()?)
}

fn record(
    study: &Study,
    claims: &Claims,
    runs: &Runs,
    judged: &[page::Judged],
    jobs: &[Job],
    folder: &Path,
    commit: String,
) -> Outcome {
    let stated =
        |(says, verdict): &page::Judged| StatedVerdict { says: (*says).to_owned(), verdict: verdict.clone() };
    let device = jobs.iter().find_map(|job| Some(job.run()?.manifest().ok()?.device)).unwrap_or_default();
    let seconds: f64 = runs.ledgers.values().flat_map(BTreeMap::values).map(|row| row.seconds).sum();
    let record = Record {
        date: Clock::utc(Clock::unix()),
        commit,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        numerics: NUMERICS,
        device: format!("{} ({})", device.device, args::isa()),
        digests: study.digests.clone(),
        seeds: claims.seeds.iter().copied().filter(|s| runs.table.all_seeds().contains(s)).collect(),
        primary: stated(&judged[0]),
        secondary: judged[1..].iter().map(stated).collect(),
        values: runs.values.clone(),
        ledger: claims.arms.iter().map(|arm| runs.ledger(arm)).collect(),
        minutes: seconds / 60.0,
    };
    let path = folder.join("result.json");
    let text = serde_json::to_string_pretty(&record).map_err(|e| Error::failed(e.to_string()))?;
    write(&path, format!("{text}\n").as_bytes())?;
    write(&folder.join("effects.svg"), page::effects(&record).as_bytes())?;
    tell(&format!("recorded in {}; `regimen papers` shows it after the next build", path.display()));
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let told = |e: std::io::Error| Error::failed(format!("cannot write {}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(told)?;
    }
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(told)
}
