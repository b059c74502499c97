//! `report.html` of a verification.

use regimen_base::Result;
use regimen_core::regimen::read_results;
use regimen_core::run::report::{
    ArmReport, ClaimReport, CurveFamily, Effect, Fact, Reply, StudyReport, Transcript, plot,
};
use regimen_papers::{Claims, Metric, Record};
use regimen_stats::Verdict;

use super::jobs::{Job, Left};
use super::table::{Runs, curve, stage_of};
use super::{Study, told};
use crate::number;

/// How many prompts are shown of each set.
const PROMPTS: usize = 3;

/// A claim's sentence with its verdict.
pub type Judged<'a> = (&'a str, Verdict);

/// Gathers the page.
pub fn report(
    study: &Study,
    claims: &Claims,
    jobs: &[Job],
    runs: &Runs,
    judged: &[Judged],
) -> Result<StudyReport> {
    let (primary, secondary) = judged.split_at(1.min(judged.len()));
    let mut parts = Vec::new();
    for (says, verdict) in primary {
        claim("primary", says, verdict, &mut parts);
    }
    for (says, verdict) in secondary {
        claim("secondary", says, verdict, &mut parts);
    }
    let about = [claims.source.as_str(), claims.kind.as_str()];
    let about: Vec<&str> = about.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(StudyReport {
        title: claims.title.clone(),
        about: about.join(" · "),
        headline: primary.first().map_or_else(String::new, |(says, verdict)| headline(says, verdict)),
        facts: facts(study, claims, jobs, runs),
        notes: notes(study, claims),
        claims: parts,
        arms: claims.arms.iter().map(|arm| arm_report(arm, jobs, runs)).collect(),
        curves: curves(claims, jobs)?,
        transcripts: transcripts(claims, jobs)?,
        scaled_down: claims.scaled_down.clone(),
        recipe: jobs.first().map_or_else(String::new, |job| job.resolved.to_toml()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The effects of a record as a picture that stands alone; empty where no claim has numbers.
pub fn effects(record: &Record) -> String {
    let mut parts = Vec::new();
    claim("primary", &record.primary.says, &record.primary.verdict, &mut parts);
    for other in &record.secondary {
        claim("secondary", &other.says, &other.verdict, &mut parts);
    }
    plot(&parts)
}

fn headline(says: &str, verdict: &Verdict) -> String {
    let outcome = told::outcome(verdict);
    let mut letters = outcome.chars();
    let outcome: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("{outcome}: {says} {}", told::effect(verdict)).trim_end_matches(" -").to_owned()
}

fn facts(study: &Study, claims: &Claims, jobs: &[Job], runs: &Runs) -> Vec<Fact> {
    let fact = |label: &str, value: String| Fact { label: label.to_owned(), value };
    let seconds: f64 = runs.ledgers.values().flat_map(|seeds| seeds.values()).map(|row| row.seconds).sum();
    let complete: usize = runs.ledgers.values().map(std::collections::BTreeMap::len).sum();
    let device = jobs.iter().find_map(|job| Some(job.run()?.manifest().ok()?.device));
    let seeds: Vec<String> = claims.seeds.iter().map(u64::to_string).collect();
    let mut facts = vec![
        fact("paper", study.short().to_owned()),
        fact("seeds", seeds.join(", ")),
        fact("runs", format!("{complete} of {}", jobs.len())),
        fact("training time", format!("{} of one thread", number::seconds(seconds))),
    ];
    facts.extend(device.map(|d| fact("device", format!("{} ({})", d.device, d.isa))));
    facts
}

fn notes(study: &Study, claims: &Claims) -> Vec<String> {
    let other = claims.seeds != study.claims.seeds;
    let note = "These are not the seeds that the claim names: they are for tuning, and decide nothing.";
    if other { vec![note.to_owned()] } else { Vec::new() }
}

fn claim(label: &str, says: &str, verdict: &Verdict, out: &mut Vec<ClaimReport>) {
    let effect = verdict.evidence.as_ref().map(|e| Effect {
        seeds: e.seeds.iter().map(|s| (s.seed, s.value)).collect(),
        estimate: e.estimate,
        interval: e.interval.map(|i| (i.lo, i.hi)),
        level: e.level,
        above: e.above,
        below: e.below,
    });
    out.push(ClaimReport {
        label: label.to_owned(),
        says: says.to_owned(),
        rule: verdict.rule.clone(),
        outcome: verdict.outcome.words().to_owned(),
        why: verdict.why.clone(),
        notes: verdict.notes.clone(),
        effect,
    });
    for part in &verdict.parts {
        claim(&format!("part of the {}", label.trim_start_matches("part of the ")), "", part, out);
    }
}

fn arm_report(arm: &str, jobs: &[Job], runs: &Runs) -> ArmReport {
    let ledger = runs.ledger(arm);
    let about =
        jobs.iter().find(|job| job.arm == arm).and_then(|job| job.resolved.arm_about().map(str::to_owned));
    let known = |seeds: &std::collections::BTreeMap<u64, Option<f64>>| {
        seeds.iter().filter_map(|(&seed, value)| Some((seed, (*value)?))).collect::<Vec<_>>()
    };
    let values = runs.values.get(arm).into_iter().flatten();
    ArmReport {
        id: arm.to_owned(),
        about: about.unwrap_or_default(),
        seeds: runs.ledgers.get(arm).map_or(0, std::collections::BTreeMap::len),
        ledger: [ledger.steps, ledger.tokens, ledger.generated_tokens, ledger.flops, ledger.seconds],
        values: values.map(|(metric, seeds)| (metric.clone(), known(seeds))).collect(),
    }
}

/// The curves that claims read, and the loss of every stage that trains.
fn curves(claims: &Claims, jobs: &[Job]) -> Result<Vec<CurveFamily>> {
    let complete: Vec<&Job> = jobs.iter().filter(|job| job.left() == Left::Nothing).collect();
    let mut names: Vec<(String, String)> = Vec::new();
    let mut add = |stage: String, name: String| {
        if !names.contains(&(stage.clone(), name.clone())) {
            names.push((stage, name));
        }
    };
    for (arm, metrics) in claims.read_by_arm() {
        let Some(job) = jobs.iter().find(|job| job.arm == arm) else { continue };
        for metric in metrics {
            match Metric::of(metric, &job.resolved) {
                Ok(Metric::Curve(stage, name)) => add(stage, name),
                Ok(Metric::Probed(stage, set, name)) => add(stage, format!("eval/{set}/{name}")),
                // the same on the way there, where it was measured
                Ok(Metric::Score(stage, set, _)) => add(stage, format!("eval/{set}/exact_match")),
                _ => {}
            }
        }
    }
    for job in jobs {
        for stage in job.resolved.stages().iter().filter(|stage| stage.kind() == "train") {
            add(stage.str("id").to_owned(), "loss".to_owned());
        }
    }
    let mut families = Vec::new();
    for (stage, name) in names {
        let mut family = CurveFamily { metric: format!("{stage}/{name}"), arms: Vec::new() };
        for arm in &claims.arms {
            let mut seeds = Vec::new();
            for run in complete.iter().filter(|job| job.arm == *arm).filter_map(|job| job.run()) {
                if let Some(dir) = stage_of(&run, &stage)? {
                    seeds.push(curve(&dir, &name)?);
                }
            }
            seeds.retain(|points| !points.is_empty());
            family.arms.push(seeds);
        }
        if family.arms.iter().any(|seeds| !seeds.is_empty()) {
            families.push(family);
        }
    }
    Ok(families)
}

/// The same prompts in every arm, after the last stage that asked them, of the first seed.
fn transcripts(claims: &Claims, jobs: &[Job]) -> Result<Vec<Transcript>> {
    let mut all: Vec<Transcript> = Vec::new();
    let first = jobs.first().map(|job| job.seed);
    for arm in &claims.arms {
        let job = jobs.iter().find(|job| job.arm == *arm && Some(job.seed) == first);
        let Some(job) = job.filter(|job| job.left() == Left::Nothing) else { continue };
        let Some(run) = job.run() else { continue };
        let mut sets = Vec::new();
        for stage in run.stages()?.iter().rev() {
            if sets.is_empty() {
                sets = read_results(stage)?.unwrap_or_default();
            }
        }
        for set in &sets {
            for example in set.examples.iter().take(PROMPTS) {
                let reply = Reply {
                    when: arm.clone(),
                    text: example.reply.clone(),
                    right: Some(example.score >= 0.5),
                    stop: (example.stop == "length" || example.stop == "context")
                        .then(|| "cut off".to_owned()),
                };
                match all.iter_mut().find(|t| t.task == set.name && t.prompt == example.prompt) {
                    Some(known) => known.replies.push(reply),
                    None => all.push(Transcript {
                        task: set.name.clone(),
                        prompt: example.prompt.clone(),
                        answer: example.answer.clone(),
                        replies: vec![reply],
                    }),
                }
            }
        }
    }
    Ok(all)
}
