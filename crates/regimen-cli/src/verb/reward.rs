//! `regimen reward explain RUN`: why each completion of a step got what it got.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use regimen_base::Error;
use regimen_core::run::{EpisodeRecord, RunDir, StageDir};

use crate::failure::Outcome;
use crate::table::Table;
use crate::{number, out};

#[derive(clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// One row a completion of a step: reward parts, cause, length, stop reason
    Explain(Explain),
}

#[derive(clap::Args)]
struct Explain {
    /// The directory of the run, such as runs/quickstart
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The optimiser step [default: the last whose episodes were kept]
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// The stage [default: the last that drew completions]
    #[arg(long, value_name = "ID")]
    stage: Option<String>,
    /// Characters of a completion that are shown
    #[arg(long, value_name = "N", default_value_t = 40)]
    width: usize,
}

impl Args {
    pub fn go(self) -> Outcome {
        let What::Explain(explain) = self.what;
        explain.go()
    }
}

impl Explain {
    fn go(self) -> Outcome {
        let dir = RunDir::view(&self.run)?;
        let stages = dir.stages()?;
        let wanted = |stage: &&StageDir| self.stage.as_ref().is_none_or(|id| stage.id() == id);
        let mut found = None;
        for stage in stages.iter().filter(wanted) {
            let steps = stage.episode_steps()?;
            if !steps.is_empty() {
                found = Some((stage, steps));
            }
        }
        let Some((stage, steps)) = found else {
            let what = format!("no episodes were kept in {}", self.run.display());
            return Err(Error::usage(what).remedy("only stages with a rollout have any").into());
        };
        let step = self.step.or(steps.last().copied()).unwrap_or_default();
        if !steps.contains(&step) {
            let some: Vec<String> = steps.iter().take(12).map(u64::to_string).collect();
            let what = format!("stage `{}` kept no episodes of step {step}", stage.id());
            let more = if steps.len() > 12 { ", …" } else { "" };
            return Err(Error::usage(what).remedy(format!("one of: {}{more}", some.join(", "))).into());
        }
        let episodes = stage.read_episodes(step)?;
        let mut out = out::open();
        writeln!(out, "stage {}, step {step}: {}", stage.id(), number::plural(episodes.len(), "completion"))?;
        write!(out, "{}", table(&episodes, self.width))?;
        writeln!(out, "{}", summary(&episodes))?;
        Ok(out.flush()?)
    }
}

fn table(episodes: &[EpisodeRecord], width: usize) -> String {
    let mut names: Vec<&String> = episodes.iter().flat_map(|e| e.rewards.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let right: Vec<String> = names.iter().map(|n| format!(">{n}")).collect();
    let mut header = vec![">group", "task", "prompt", "completion"];
    header.extend(right.iter().map(String::as_str));
    header.extend([">reward", ">advantage", ">length", "stop", "cause"]);
    let mut table = Table::new(&header);
    let causes = causes(episodes);
    for (episode, cause) in episodes.iter().zip(causes) {
        let mut row = vec![
            episode.group.to_string(),
            episode.task.clone(),
            short(&episode.prompt, width / 2),
            short(&episode.completion, width),
        ];
        row.extend(names.iter().map(|name| value(episode.rewards.get(*name).copied().flatten())));
        row.extend([value(episode.reward), value(episode.advantage), episode.length.to_string()]);
        row.extend([episode.stop.clone(), cause.unwrap_or_else(|| "-".to_owned())]);
        table.row(row);
    }
    table.render()
}

fn value(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{x:.3}"))
}

/// One line of at most `width` characters.
fn short(text: &str, width: usize) -> String {
    // what a model writes may not steer the terminal
    let shown = |c: char| match c {
        '\n' => '⏎',
        c if c.is_control() => '·',
        c => c,
    };
    let line: String = text.chars().map(shown).collect();
    if line.chars().count() <= width {
        line
    } else {
        line.chars().take(width.saturating_sub(1)).collect::<String>() + "…"
    }
}

/// What is to be said of each completion besides its numbers.
fn causes(episodes: &[EpisodeRecord]) -> Vec<Option<String>> {
    let mut spread: BTreeMap<(&str, u64), Vec<f64>> = BTreeMap::new();
    for episode in episodes {
        spread.entry((&episode.task, episode.group)).or_default().extend(episode.reward);
    }
    let cause = |episode: &EpisodeRecord| {
        if let Some((name, cause)) = episode.causes.iter().next() {
            return Some(format!("{name} failed: {cause}"));
        }
        if episode.reward.is_none() {
            return Some("no reward: all abstained".to_owned());
        }
        if episode.stop == "length" || episode.stop == "context" {
            return Some("cut off".to_owned());
        }
        let group = &spread[&(episode.task.as_str(), episode.group)];
        let flat = group.len() > 1 && group.iter().all(|r| *r == group[0]);
        flat.then(|| "the whole group got the same".to_owned())
    };
    episodes.iter().map(cause).collect()
}

/// How often each cause occurs.
fn summary(episodes: &[EpisodeRecord]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for cause in causes(episodes).into_iter().flatten() {
        *counts.entry(cause).or_default() += 1;
    }
    let known: Vec<f64> = episodes.iter().filter_map(|e| e.reward).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let mut line = format!("mean reward {mean:.3} over {}", number::plural(known.len(), "completion"));
    line.extend(counts.into_iter().map(|(cause, n)| format!("; {n} × {cause}")));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(group: u64, reward: Option<f64>, stop: &str) -> EpisodeRecord {
        EpisodeRecord {
            task: "t".into(),
            group,
            completion: "a\nb".into(),
            rewards: BTreeMap::from([("verifier".to_owned(), reward)]),
            reward,
            stop: stop.into(),
            ..EpisodeRecord::default()
        }
    }

    #[test]
    fn every_completion_has_a_row_and_its_cause() {
        let mut failed = episode(1, None, "eos");
        failed.causes.insert("verifier".into(), "a time-out".into());
        let all = [
            episode(0, Some(1.0), "eos"),
            episode(0, Some(0.0), "length"),
            failed,
            episode(2, Some(0.5), "eos"),
            episode(2, Some(0.5), "eos"),
        ];
        let text = table(&all, 40);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(
            text.contains("a⏎b") && text.lines().nth(2).is_some_and(|l| l.ends_with("cut off")),
            "{text}"
        );
        assert!(text.contains("verifier failed: a time-out"), "{text}");
        let line = summary(&all);
        assert!(line.starts_with("mean reward 0.500 over 4 completions"), "{line}");
        assert!(line.contains("2 × the whole group got the same"), "{line}");
    }
}
