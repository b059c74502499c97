//! Who is measured, in which order, and how their processes are started.

use std::path::PathBuf;
use std::process::{Command, Output};

use regimen_base::{Error, Result};
use regimen_core::run::Clock;

use super::{Row, Size, Work};

/// What our own rows are called.
pub const OURS: &str = "regimen";

/// Others on the same work: what their rows are called, and the arguments of their script.
const PEERS: [(Work, &str, &str, &str); 4] = [
    (Work::Train, "torch-eager", "peer_train.py", "eager"),
    (Work::Train, "torch-compile", "peer_train.py", "compile"),
    (Work::Decode, "torch-kvloop", "peer_decode.py", "kvloop"),
    (Work::Decode, "hf-generate-dynamic", "peer_decode.py", "hf"),
];

/// What our own measurements need.
pub struct Ours {
    pub threads: usize,
    /// Training steps; the size's own number when nobody says.
    pub steps: Option<u64>,
    /// The folder with one checkpoint a size.
    pub models: Option<PathBuf>,
}

/// What the peers need beside that.
pub struct Peers {
    pub python: PathBuf,
    pub scripts: PathBuf,
}

/// One measurement to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub round: u64,
    pub work: Work,
    pub size: Size,
    /// The peer's name, script and mode; `None` for our own.
    peer: Option<(&'static str, &'static str, &'static str)>,
}

/// Names of everyone who may do this work; we come first.
pub fn engines(work: Work) -> impl Iterator<Item = &'static str> {
    std::iter::once(OURS).chain(PEERS.iter().filter(move |p| p.0 == work).map(|p| p.1))
}

/// All measurements in their order: everyone does the same work one after the other, in every round.
pub fn plan(sizes: &[Size], rounds: u64, with_peers: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    for round in 0..rounds {
        for &size in sizes {
            for work in [Work::Train, Work::Decode, Work::Limit] {
                runs.push(Run { round, work, size, peer: None });
                let peers = PEERS.iter().filter(|p| with_peers && p.0 == work);
                runs.extend(peers.map(|&(_, name, script, mode)| Run {
                    round,
                    work,
                    size,
                    peer: Some((name, script, mode)),
                }));
            }
        }
    }
    runs
}

impl Run {
    /// Who does it.
    pub fn engine(&self) -> &'static str {
        self.peer.map_or(OURS, |p| p.0)
    }

    /// Whether someone else does it.
    pub fn is_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// What it does, in a few words.
    pub fn title(&self) -> String {
        format!("{} {} {}", self.size.name(), self.work.name(), self.engine())
    }

    fn steps(&self, ours: &Ours) -> u64 {
        match (self.work, self.size) {
            (Work::Train, size) => ours.steps.unwrap_or(size.steps()),
            (_, Size::Small) => 3,
            _ => 5,
        }
    }

    /// Starts the process, waits for it and reads its line.
    ///
    /// # Errors
    /// A process that cannot be started, fails, or prints no row.
    pub fn go(&self, ours: &Ours, peers: Option<&Peers>) -> Result<Row> {
        let (mut command, program) = match (self.peer, peers) {
            (Some((_, script, mode)), Some(peers)) => {
                (self.peer_command(ours, peers, script, mode), peers.python.display().to_string())
            }
            _ => (self.own_command(ours)?, OURS.to_owned()),
        };
        let output = command.output().map_err(|e| {
            Error::usage(format!("cannot start {program}: {e}"))
                .remedy("name a Python that has torch and transformers")
        })?;
        read(&output).map_err(|e| e.within(self.title()))
    }

    fn own_command(&self, ours: &Ours) -> Result<Command> {
        let program = std::env::current_exe()
            .map_err(|e| Error::failed(format!("cannot find the program that is running: {e}")))?;
        let mut command = Command::new(program);
        command.args(["bench", "--child", self.work.name(), "--size", self.size.name()]);
        command.arg("--steps").arg(self.steps(ours).to_string());
        command.arg("--threads").arg(ours.threads.to_string());
        if let Some(models) = &ours.models {
            command.arg("--models").arg(models);
        }
        command.arg("--started").arg(Clock::unix().to_string());
        Ok(command)
    }

    fn peer_command(&self, ours: &Ours, peers: &Peers, script: &str, mode: &str) -> Command {
        let mut command = Command::new(&peers.python);
        command.arg(peers.scripts.join(script)).args(["--size", self.size.name(), "--mode", mode]);
        command
            .arg(if self.work == Work::Train { "--steps" } else { "--reps" })
            .arg(self.steps(ours).to_string());
        command.arg("--threads").arg(ours.threads.to_string());
        if let Some(models) = &ours.models {
            command.arg("--models").arg(models);
        }
        command
    }
}

fn read(output: &Output) -> Result<Row> {
    match Row::last_of(&String::from_utf8_lossy(&output.stdout)) {
        Some(row) if output.status.success() => Ok(row),
        _ => {
            let complaint = complaint(&String::from_utf8_lossy(&output.stderr));
            Err(Error::failed(format!("the measurement failed ({}): {complaint}", output.status)))
        }
    }
}

/// The line that says what went wrong: the one that says so, as ours do, or the last one, as Python's tracebacks do.
fn complaint(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines().find_map(|line| line.strip_prefix("error: ")).or_else(|| lines().next_back());
    said.unwrap_or("it printed no row").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_takes_a_turn_in_every_round() {
        let runs = plan(&[Size::Xs, Size::Small], 2, true);
        assert_eq!(runs.len(), 2 * 2 * 7);
        let first: Vec<String> = runs[..7].iter().map(Run::title).collect();
        assert_eq!(first[0], "xs train regimen");
        assert_eq!(first[2], "xs train torch-compile");
        assert_eq!(first[6], "xs limit regimen");
        assert!(plan(&[Size::Tiny], 1, false).iter().all(|r| r.engine() == OURS));
    }

    #[test]
    fn the_line_that_matters_is_told() {
        assert_eq!(complaint("error: there is no x\n  = make one\n"), "there is no x");
        assert_eq!(complaint("Traceback:\n  File y\nImportError: no torch\n"), "ImportError: no torch");
        assert_eq!(complaint(""), "it printed no row");
    }
}
