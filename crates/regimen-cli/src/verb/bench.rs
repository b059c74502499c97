//! `regimen bench`.

use std::io::Write;
use std::path::{Path, PathBuf};

use regimen_base::{Error, Result};
use regimen_nn::Device;

use crate::bench::checkpoint::Decoding;
use crate::bench::{
    Child, Ours, Peers, Report, Row, Size, Work, checkpoint, has_known_losses, load, machine, plan, scripts,
    wrong_losses,
};
use crate::failure::Outcome;
use crate::out::{self, tell};
use crate::target::Named;

#[derive(clap::Args)]
#[command(
    after_help = "Every measurement is a process of its own. Without --models the start weights are made here: \
those of make_init.py. Losses are compared with PyTorch's; exit code 1 says that one of them is another."
)]
pub struct Args {
    /// What to measure
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values = ["xs", "tiny", "small"])]
    size: Vec<Size>,
    /// Which kinds of work [default: all]
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    work: Vec<Work>,
    /// Training steps of a measurement [default: by size and work]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// How often everyone takes a turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Measure PyTorch, transformers and TRL too, with this Python
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Where peer_train.py, peer_decode.py, peer_trl.py and peer_llamacpp.py are
    #[arg(long, value_name = "DIR", default_value = "bench")]
    peer_scripts: PathBuf,
    /// Checkpoints to start from, one folder a size
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The peers' rows, from make_data.py [default: the folder `data` beside the checkpoints]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Measure decoding of this model instead, from 1, 8 and 64 prompts; with --peer beside llama.cpp
    #[arg(long, value_name = "RUN|CKPT", conflicts_with_all = ["size", "work", "steps", "models", "data"])]
    checkpoint: Option<PathBuf>,
    /// Measure nothing: make the table from what earlier calls printed with --json
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["peer", "checkpoint", "work", "steps"])]
    from: Vec<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Make one measurement in this process
    #[arg(long, hide = true)]
    child: Option<Work>,
    /// Prompts side by side in that measurement
    #[arg(long, hide = true, requires = "child", default_value_t = 64)]
    batch: usize,
    /// When this process was started, in seconds since 1970
    #[arg(long, hide = true, requires = "child")]
    started: Option<f64>,
}

impl Args {
    pub fn go(mut self) -> Outcome {
        self.size.sort_unstable();
        self.size.dedup();
        if self.work.is_empty() {
            self.work = Work::ALL.to_vec();
        }
        match (self.child, &self.checkpoint) {
            (Some(_), Some(checkpoint)) => self.decode(checkpoint),
            (Some(work), None) => self.measure(work),
            (None, Some(checkpoint)) => self.compare_decoding(checkpoint),
            (None, None) if self.from.is_empty() => self.compare(),
            (None, None) => self.gather(),
        }
    }

    fn measure(&self, work: Work) -> Outcome {
        let mut out = out::open();
        for &size in &self.size {
            let folder = self.folder(size);
            let steps = self.steps.unwrap_or(size.steps());
            let row = Child { work, size, steps, folder, started: self.started }.measure()?;
            writeln!(out, "{}", row.0)?;
        }
        Ok(out.flush()?)
    }

    fn decode(&self, checkpoint: &Path) -> Outcome {
        let named = Named { target: checkpoint.to_owned(), stage: None, step: None };
        let model = named.find()?.model(&Device::cpu())?;
        let row = checkpoint::measure(&model, self.batch, self.started)?;
        let mut out = out::open();
        writeln!(out, "{}", row.0)?;
        Ok(out.flush()?)
    }

    fn compare_decoding(&self, checkpoint: &Path) -> Outcome {
        if self.peer.is_some() {
            must_be_there(&self.peer_scripts, checkpoint::SCRIPT)?;
            if checkpoint.extension().is_none_or(|kind| kind != "gguf") {
                return Err(Error::usage(format!("llama.cpp cannot read {}", checkpoint.display()))
                    .remedy(
                        "name a .gguf file (`regimen export --to gguf` writes one), or leave `--peer` out",
                    )
                    .into());
            }
        }
        let decoding = Decoding {
            checkpoint: checkpoint.to_owned(),
            threads: regimen_kernels::threads(),
            rounds: self.rounds,
            peer: self.peer.clone().map(|python| (python, self.peer_scripts.clone())),
        };
        let load = load();
        let rows = decoding.rows(tell)?;
        let mut out = out::open();
        if self.json {
            writeln!(out, "{:#}", checkpoint::as_json(&rows))?;
        } else {
            writeln!(
                out,
                "{}\n\n{}",
                machine(decoding.threads, self.rounds, load),
                checkpoint::render(&rows)
            )?;
        }
        Ok(out.flush()?)
    }

    fn compare(&self) -> Outcome {
        let known = self.known()?;
        let peers = self.peers()?;
        let threads = regimen_kernels::threads();
        let ours = Ours { threads, steps: self.steps, models: self.models.clone() };
        let load = load();
        let rows = self.rows(&ours, peers.as_ref())?;
        self.print(&Report { sizes: self.size.clone(), rounds: self.rounds, threads, load, rows }, &known)
    }

    /// Several reports as one.
    fn gather(&self) -> Outcome {
        let mut all = Vec::new();
        for file in &self.from {
            let text = std::fs::read(file)
                .map_err(|e| Error::usage(format!("cannot read {}: {e}", file.display())))?;
            all.push(Report::from_json(&text).map_err(|e| e.within(file.display().to_string()))?);
        }
        let known = self.known()?;
        self.print(&Report::joined(all, &self.size), &known)
    }

    fn print(&self, report: &Report, known: &[Size]) -> Outcome {
        let wrong = wrong_losses(&report.rows, known);
        let mut out = out::open();
        if self.json {
            writeln!(out, "{:#}", report.as_json())?;
        } else {
            write!(out, "{}{}", report.render(), verdict(known, &wrong))?;
        }
        out.flush()?;
        match wrong.into_iter().next() {
            Some(first) => Err(Error::failed(first)
                .remedy("this build computes something else: please report it")
                .into()),
            None => Ok(()),
        }
    }

    /// Makes all measurements. A peer that fails is told and left out; we must not fail.
    fn rows(&self, ours: &Ours, peers: Option<&Peers>) -> Result<Vec<Row>> {
        let runs = plan(&self.size, &self.work, self.rounds, peers.is_some());
        let mut rows = Vec::new();
        for (i, run) in runs.iter().enumerate() {
            tell(&format!("{}/{} {}", i + 1, runs.len(), run.title()));
            match run.go(ours, peers) {
                Ok(row) => rows.push(row),
                Err(error) if run.is_peer() => tell(&format!("  left out: {error}")),
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    fn folder(&self, size: Size) -> Option<PathBuf> {
        self.models.as_ref().map(|models| models.join(size.name()))
    }

    /// The sizes whose losses are known; a missing checkpoint is told here, before anything is measured.
    fn known(&self) -> Result<Vec<Size>> {
        let mut known = Vec::new();
        for &size in &self.size {
            if has_known_losses(size, self.folder(size).as_deref())? {
                known.push(size);
            }
        }
        Ok(known)
    }

    fn peers(&self) -> Result<Option<Peers>> {
        let Some(python) = self.peer.clone() else { return Ok(None) };
        if self.models.is_none() {
            return Err(Error::usage("the peers start from checkpoints, but `--models` names none")
                .remedy("make them with make_init.py of the peers' scripts, and give the folder"));
        }
        for script in scripts() {
            must_be_there(&self.peer_scripts, script)?;
        }
        let beside =
            || self.models.as_ref().and_then(|m| m.parent()).map_or_else(PathBuf::new, Path::to_owned);
        let data = self.data.clone().unwrap_or_else(|| beside().join("data"));
        Ok(Some(Peers { python, scripts: self.peer_scripts.clone(), data }))
    }
}

fn must_be_there(folder: &Path, script: &str) -> Result<()> {
    if folder.join(script).is_file() {
        return Ok(());
    }
    Err(Error::usage(format!("there is no {}", folder.join(script).display()))
        .remedy("say where the peers' scripts are: `--peer-scripts DIR`"))
}

fn verdict(known: &[Size], wrong: &[String]) -> String {
    let names: Vec<&str> = known.iter().map(|s| s.name()).collect();
    match (names.is_empty(), wrong.is_empty()) {
        (true, _) => "losses: not compared, these weights are not the peers'.\n".to_owned(),
        (_, true) => format!("losses: those of PyTorch within 2e-5 ({}).\n", names.join(", ")),
        _ => format!("losses: {}\n", wrong.join("\nlosses: ")),
    }
}
