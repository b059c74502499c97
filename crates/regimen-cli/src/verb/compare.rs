//! `regimen compare RUN RUN… [vs RUN RUN…]`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Key, Result};
use regimen_core::regimen::read_results;
use regimen_core::run::{RunDir, is_measured_by_clock};
use regimen_stats::{PairedT, mean, sign_flip};

use crate::failure::Outcome;
use crate::number;
use crate::out;
use crate::study::table::whole;
use crate::table::Table;

#[derive(clap::Args)]
#[command(
    after_help = "Two runs are compared with each other; more are parted by the word `vs`, or by their names, as in \
runs/a-seed0 runs/a-seed1 runs/b-seed0 runs/b-seed1. Runs of one seed are paired: the difference is that of the second \
set less the first, with the bounds of a paired t test (each end one-sided at 95 %)."
)]
pub struct Args {
    /// Directories of runs, and the word `vs` between two sets of them
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Only metrics whose name has this in it
    #[arg(long, value_name = "TEXT")]
    metric: Option<String>,
}

/// Runs of one kind.
struct Side {
    name: String,
    /// Metrics of each seed.
    seeds: BTreeMap<u64, BTreeMap<String, f64>>,
}

impl Args {
    pub fn go(self) -> Outcome {
        let (first, second) = sides(&self.runs)?;
        let (a, b) = (Side::read(&first)?, Side::read(&second)?);
        let paired: Vec<u64> = a.seeds.keys().copied().filter(|seed| b.seeds.contains_key(seed)).collect();
        let mut out = out::open();
        writeln!(
            out,
            "a: {} ({})\nb: {} ({})",
            a.name,
            number::plural(a.seeds.len(), "run"),
            b.name,
            number::plural(b.seeds.len(), "run")
        )?;
        writeln!(out, "{}", said_of_pairs(&a, &b, &paired))?;
        let table = table(&a, &b, &paired, self.metric.as_deref());
        if table.is_empty() {
            return Err(Error::usage("the runs have no metric in common")
                .remedy("look at their metrics.jsonl")
                .into());
        }
        write!(out, "\n{}", table.without_blanks().render())?;
        Ok(out.flush()?)
    }
}

fn said_of_pairs(a: &Side, b: &Side, paired: &[u64]) -> String {
    let list = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let alone: Vec<u64> =
        a.seeds.keys().chain(b.seeds.keys()).copied().filter(|s| !paired.contains(s)).collect();
    let rest = if alone.is_empty() {
        String::new()
    } else {
        format!("; without a partner, and not in the difference: {}", list(&alone))
    };
    match paired {
        [] => "no seed is in both: only the means can be compared, and nothing says how sure they are"
            .to_owned(),
        [one] => format!("paired by seed {one}: one pair has no spread, so no bounds{rest}"),
        _ => format!("paired by seeds {}{rest}", list(paired)),
    }
}

fn table(a: &Side, b: &Side, paired: &[u64], only: Option<&str>) -> Table {
    let names =
        |side: &Side| side.seeds.values().flat_map(BTreeMap::keys).cloned().collect::<BTreeSet<String>>();
    let (of_a, of_b) = (names(a), names(b));
    let mut table = Table::new(&["metric", ">a", ">b", ">b - a", ">bounds", ">p (sign flip)"]);
    for name in of_a.intersection(&of_b).filter(|name| only.is_none_or(|text| name.contains(text))) {
        let all =
            |side: &Side| side.seeds.values().filter_map(|m| m.get(name)).copied().collect::<Vec<f64>>();
        let average =
            |side: &Side| mean(&all(side)).map_or_else(|| "-".to_owned(), |m| number::reading(m.mean));
        let difference = |seed: &u64| Some(b.seeds[seed].get(name)? - a.seeds[seed].get(name)?);
        let differences: Vec<f64> = paired.iter().filter_map(difference).collect();
        let bounds = PairedT::new(&differences).map(|t| t.interval(0.9));
        let shown = bounds.map(|i| format!("[{}, {}]", number::reading(i.lo), number::reading(i.hi)));
        let p = (differences.len() >= 2)
            .then(|| sign_flip(&differences, 0.0, Key::new(0).child("compare")))
            .flatten();
        table.row([
            name.clone(),
            average(a),
            average(b),
            mean(&differences).map_or_else(|| "-".to_owned(), |m| number::reading(m.mean)),
            shown.unwrap_or_else(|| "-".to_owned()),
            p.map_or_else(|| "-".to_owned(), number::reading),
        ]);
    }
    table
}

/// The two sets of runs.
fn sides(runs: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let is_vs = |path: &&PathBuf| matches!(path.to_str(), Some("vs" | "vs."));
    let (mut first, mut second): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    match runs.iter().filter(is_vs).count() {
        1 => {
            let at = runs.iter().position(|path| is_vs(&path)).unwrap_or(0);
            (first, second) = (runs[..at].to_vec(), runs[at + 1..].to_vec());
        }
        0 if runs.len() == 2 => (first, second) = (vec![runs[0].clone()], vec![runs[1].clone()]),
        0 => {
            let base = base_name(&runs[0]);
            (first, second) = runs.iter().cloned().partition(|path| base_name(path) == base);
            let mut others: Vec<String> = second.iter().map(|path| base_name(path)).collect();
            others.dedup();
            if others.len() > 1 {
                second.clear();
            }
        }
        _ => {}
    }
    if first.is_empty() || second.is_empty() {
        return Err(Error::usage("these runs are not two sets")
            .remedy("put the word `vs` between them: regimen compare runs/a-seed0 runs/a-seed1 vs runs/b-seed0 runs/b-seed1"));
    }
    Ok((first, second))
}

/// The name of a run without its seed.
fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.rsplit_once("-seed") {
        Some((base, seed)) if seed.bytes().all(|b| b.is_ascii_digit()) => base.to_owned(),
        _ => name,
    }
}

impl Side {
    fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut names: Vec<String> = paths.iter().map(|path| base_name(path)).collect();
        names.dedup();
        let mut side = Self { name: names.join(", "), seeds: BTreeMap::new() };
        for path in paths {
            let run = RunDir::view(path)?;
            let seed = run.manifest()?.seed;
            if side.seeds.insert(seed, metrics(&run)?).is_some() {
                return Err(Error::usage(format!("seed {seed} is twice among the runs of `{}`", side.name))
                    .remedy("give one run of each seed"));
            }
        }
        Ok(side)
    }
}

/// What a run measured: held-out sets after each stage, the last values of curves, and the ledger.
fn metrics(run: &RunDir) -> Result<BTreeMap<String, f64>> {
    let mut all = BTreeMap::new();
    for stage in run.stages()? {
        let id = stage.id();
        for result in read_results(&stage)?.unwrap_or_default() {
            let mut put = |what: &str, value: Option<f64>| {
                all.extend(value.map(|v| (format!("{id}/{}/{what}", result.name), v)));
            };
            put("exact_match", result.replies.map(|t| t.mean()));
            put("loss", result.loss);
            put("bits_per_byte", result.bits_per_byte);
            put("gain", result.gain);
        }
        if let Some(last) = stage
            .read_metrics()?
            .iter()
            .rev()
            .find(|row| row.values.contains_key("loss") || row.values.contains_key("reward"))
        {
            for name in ["loss", "reward", "completions/mean_length"] {
                let value = last.values.get(name).filter(|_| !is_measured_by_clock(name));
                all.extend(value.map(|v| (format!("{id}/{name}"), *v)));
            }
        }
    }
    let ledger = whole(run)?;
    all.insert("ledger/tokens".to_owned(), ledger.tokens as f64);
    all.insert("ledger/flops".to_owned(), ledger.flops);
    all.insert("ledger/seconds".to_owned(), ledger.seconds);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_parted_by_vs_or_by_name() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let parted = |names: &[&str]| sides(&paths(names)).map(|(a, b)| (a.len(), b.len()));
        assert_eq!(parted(&["r/a", "r/b"]), Ok((1, 1)));
        assert_eq!(parted(&["r/a", "r/b", "vs", "r/c"]), Ok((2, 1)));
        assert_eq!(parted(&["r/a-seed0", "r/b-seed0", "r/a-seed1", "r/b-seed1"]), Ok((2, 2)));
        for bad in [
            &["r/a-seed0", "r/a-seed1", "r/a-seed2"][..],
            &["a", "b", "c"],
            &["vs", "a"],
            &["a", "vs", "b", "vs", "c"],
        ] {
            assert!(parted(bad).is_err(), "{bad:?}");
        }
    }
}
