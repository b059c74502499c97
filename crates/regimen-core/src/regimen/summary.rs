//! What a run has to say at its end: the results of each stage and the report.

use regimen_base::{Error, Result};
use regimen_recipe::{Resolved, Start};

use crate::evaluate::SetResult;
use crate::run::report::{Curve, Fact, Reply, Report, Score, StageReport, TaskScores, Transcript};
use crate::run::{LedgerRow, Manifest, RunDir, StageDir};

/// The file of a stage's evaluation, in its folder.
pub const STAGE_RESULTS: &str = "eval.json";

pub(super) fn write_results(run: &RunDir, stage: &StageDir, results: &[SetResult]) -> Result<()> {
    let text = serde_json::to_string_pretty(results).map_err(|e| Error::failed(e.to_string()))?;
    let path = stage.path().join(STAGE_RESULTS);
    let name = path.strip_prefix(run.path()).unwrap_or(&path);
    run.write(&name.to_string_lossy(), text.as_bytes())
}

/// A stage's evaluation; `None` when there is none yet.
///
/// # Errors
/// A file that cannot be read.
pub fn read_results(stage: &StageDir) -> Result<Option<Vec<SetResult>>> {
    stage.read(STAGE_RESULTS)?.map_or(Ok(None), |bytes| {
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::failed(format!("{}: {e}", stage.path().join(STAGE_RESULTS).display()))
                .remedy("delete the file and resume the run")
        })
    })
}

/// Metrics worth a chart, in this order.
const CURVES: [&str; 9] = [
    "loss",
    "reward",
    "completions/mean_length",
    "frac_reward_zero_std",
    "entropy",
    "kl",
    "grad_norm",
    "learning_rate",
    "perf/tokens_per_second",
];

/// How many prompts are shown before and after.
const TRANSCRIPTS: usize = 2;

/// Gathers the report of a run from its directory.
///
/// # Errors
/// Records that cannot be read.
pub fn report(run: &RunDir, manifest: &Manifest, resolved: &Resolved) -> Result<Report> {
    let root = resolved.root();
    let mut report = Report {
        title: run.name(),
        about: root.opt_str("about").unwrap_or_default().to_owned(),
        recipe: resolved.to_toml(),
        version: manifest.version.clone(),
        ..Report::default()
    };
    let stages = run.stages()?;
    let mut results = Vec::new();
    for (dir, (node, plan)) in stages.iter().zip(resolved.stages().iter().zip(&resolved.plan().stages)) {
        let ledger = manifest.stages.iter().find(|r| r.stage == plan.id).cloned();
        let ledger = ledger.unwrap_or_else(|| LedgerRow { stage: plan.id.clone(), ..LedgerRow::default() });
        let from = match &plan.from {
            Start::Model => Vec::new(),
            Start::Stage(id) => vec![id.clone()],
            Start::Folder(path) => vec![path.clone()],
        };
        let about = node.opt_str("about").unwrap_or_default().to_owned();
        report.stages.push(StageReport { id: plan.id.clone(), about, from, curves: curves(dir)?, ledger });
        results.push(read_results(dir)?.unwrap_or_default());
    }
    report.tasks = tasks(&results);
    report.transcripts = transcripts(&report.stages, &results);
    report.headline = headline(&report);
    report.facts = facts(manifest, &report);
    report.notes = text_notes(&report.stages, &results);
    Ok(report)
}

fn curves(dir: &StageDir) -> Result<Vec<Curve>> {
    let rows = dir.read_metrics()?;
    let curve = |name: &str| {
        let points = rows.iter().filter_map(|r| r.values.get(name).map(|&v| (r.step as f64, v)));
        Curve { name: name.to_owned(), points: points.collect() }
    };
    Ok(CURVES.iter().map(|name| curve(name)).filter(|c| !c.points.is_empty()).collect())
}

fn tasks(results: &[Vec<SetResult>]) -> Vec<TaskScores> {
    let mut names: Vec<&str> = Vec::new();
    for set in results.iter().flatten().filter(|s| s.shares().is_some()) {
        if !names.contains(&set.name.as_str()) {
            names.push(&set.name);
        }
    }
    let score = |sets: &Vec<SetResult>, name: &str| {
        let shares = sets.iter().find(|s| s.name == name)?.shares()?;
        Some(Score { right: shares.score.round() as u64, total: shares.n })
    };
    let after = |name: &str| results.iter().map(|sets| score(sets, name)).collect();
    names.into_iter().map(|name| TaskScores { task: name.to_owned(), after: after(name) }).collect()
}

/// The same prompts after every stage that was evaluated.
fn transcripts(stages: &[StageReport], results: &[Vec<SetResult>]) -> Vec<Transcript> {
    let Some(last) = results.iter().rev().find(|sets| !sets.is_empty()) else { return Vec::new() };
    let mut transcripts = Vec::new();
    for set in last {
        for example in set.examples.iter().take(TRANSCRIPTS) {
            let reply = |(stage, sets): (&StageReport, &Vec<SetResult>)| {
                let set = sets.iter().find(|s| s.name == set.name)?;
                let found = set.examples.iter().find(|e| e.prompt == example.prompt)?;
                Some(Reply {
                    when: format!("after {}", stage.id),
                    text: found.reply.clone(),
                    right: Some(found.score >= 0.5),
                    stop: (found.stop == "length" || found.stop == "context").then(|| "cut off".to_owned()),
                })
            };
            transcripts.push(Transcript {
                task: set.name.clone(),
                prompt: example.prompt.clone(),
                answer: example.answer.clone(),
                replies: stages.iter().zip(results).filter_map(reply).collect(),
            });
        }
    }
    transcripts
}

/// The task that gained most from the first to the last evaluation.
fn headline(report: &Report) -> String {
    let gain = |t: &TaskScores| {
        let share = |s: Score| s.right as f64 / s.total.max(1) as f64;
        let known: Vec<f64> = t.after.iter().copied().flatten().map(share).collect();
        Some((*known.first()?, *known.last()?, t.task.clone(), known.len()))
    };
    let best = report.tasks.iter().filter_map(gain).filter(|g| g.3 > 1);
    match best.max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))) {
        Some((first, last, task, _)) => format!(
            "{task}: {:.0} % of held-out items right after the first stage, {:.0} % after the last.",
            100.0 * first,
            100.0 * last
        ),
        None => String::new(),
    }
}

fn facts(manifest: &Manifest, report: &Report) -> Vec<Fact> {
    let seconds: f64 = report.stages.iter().map(|s| s.ledger.seconds).sum();
    let fact = |label: &str, value: String| Fact { label: label.to_owned(), value };
    vec![
        fact("seed", manifest.seed.to_string()),
        fact(
            "device",
            format!(
                "{} ({}, {} threads)",
                manifest.device.device, manifest.device.isa, manifest.device.threads
            ),
        ),
        fact("started", manifest.started.clone()),
        fact("training time", format!("{seconds:.0} s")),
    ]
}

/// Bits per byte of plain text, which has no right or wrong.
fn text_notes(stages: &[StageReport], results: &[Vec<SetResult>]) -> Vec<String> {
    let mut notes = Vec::new();
    for (stage, sets) in stages.iter().zip(results) {
        for set in sets.iter().filter(|s| s.shares().is_none()) {
            if let Some(bits) = set.bits_per_byte {
                notes.push(format!(
                    "After {}: {bits:.3} bits per byte on the held-out part of {}.",
                    stage.id, set.name
                ));
            }
        }
    }
    notes
}
