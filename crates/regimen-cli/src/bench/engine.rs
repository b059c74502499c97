//! Who is measured, in which order, and how their processes are started.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use regimen_base::{Error, Result};
use regimen_core::run::Clock;

use super::{Row, Size, Work};

/// What our own rows are called.
pub const OURS: &str = "regimen";

/// Others on the same work: what their rows are called, and how their script is asked.
#[derive(PartialEq, Eq, Debug)]
struct Peer {
    work: Work,
    name: &'static str,
    script: &'static str,
    arguments: &'static [&'static str],
    /// What the script calls the number of steps or repetitions.
    steps: &'static str,
}

const fn torch(work: Work, name: &'static str, arguments: &'static [&'static str]) -> Peer {
    match work {
        Work::Decode => Peer { work, name, script: "peer_decode.py", arguments, steps: "--reps" },
        _ => Peer { work, name, script: "peer_train.py", arguments, steps: "--steps" },
    }
}

const fn trl(work: Work, name: &'static str, arguments: &'static [&'static str]) -> Peer {
    Peer { work, name, script: "peer_trl.py", arguments, steps: "--steps" }
}

static PEERS: [Peer; 7] = [
    torch(Work::Train, "torch-eager", &["--mode", "eager"]),
    torch(Work::Train, "torch-compile", &["--mode", "compile"]),
    torch(Work::Decode, "torch-kvloop", &["--mode", "kvloop"]),
    torch(Work::Decode, "hf-generate-dynamic", &["--mode", "hf"]),
    trl(Work::Sft, "trl-sft", &["--stage", "sft"]),
    trl(Work::Dpo, "trl-dpo", &["--stage", "dpo"]),
    trl(Work::Grpo, "trl-grpo-fixed", &["--stage", "grpo", "--fixed"]),
];

/// The files that the peers need.
pub fn scripts() -> impl Iterator<Item = &'static str> {
    ["peer_train.py", "peer_decode.py", "peer_trl.py"].into_iter()
}

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
    /// What make_data.py wrote.
    pub data: PathBuf,
}

/// One measurement to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub round: u64,
    pub work: Work,
    pub size: Size,
    /// The peer; `None` for our own.
    peer: Option<&'static Peer>,
}

/// Names of everyone who may do this work; we come first.
pub fn engines(work: Work) -> impl Iterator<Item = &'static str> {
    std::iter::once(OURS).chain(PEERS.iter().filter(move |p| p.work == work).map(|p| p.name))
}

/// All measurements in their order: everyone does the same work one after the other, in every round.
pub fn plan(sizes: &[Size], works: &[Work], rounds: u64, with_peers: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    for round in 0..rounds {
        for &size in sizes {
            for &work in works {
                runs.push(Run { round, work, size, peer: None });
                let peers = PEERS.iter().filter(|p| with_peers && p.work == work);
                runs.extend(peers.map(|peer| Run { round, work, size, peer: Some(peer) }));
            }
        }
    }
    runs
}

impl Run {
    /// Who does it.
    pub fn engine(&self) -> &'static str {
        self.peer.map_or(OURS, |p| p.name)
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
            (Work::Train | Work::Pair, size) => ours.steps.unwrap_or(size.steps()),
            (Work::Sft | Work::Dpo | Work::Grpo, Size::Small) => ours.steps.unwrap_or(12),
            (Work::Sft | Work::Dpo | Work::Grpo, _) => ours.steps.unwrap_or(20),
            (_, Size::Small) => 3,
            _ => 5,
        }
    }

    /// Starts the process, waits for it and reads its line.
    ///
    /// # Errors
    /// A process that cannot be started, fails, or prints no row.
    pub fn go(&self, ours: &Ours, peers: Option<&Peers>) -> Result<Row> {
        let within = |e: Error| e.within(self.title());
        if self.work == Work::Pair {
            return self.pair(ours).map_err(within);
        }
        let (mut command, program) = match (self.peer, peers) {
            (Some(peer), Some(peers)) => {
                (self.peer_command(ours, peers, peer), peers.python.display().to_string())
            }
            _ => (self.own_command(ours, self.work, ours.threads)?, OURS.to_owned()),
        };
        let row = measured(&mut command, &program).map_err(within)?;
        Ok(row.named(self.work, self.engine()))
    }

    /// Two trainings at once, one thread each.
    fn pair(&self, ours: &Ours) -> Result<Row> {
        let mut both = Vec::new();
        for _ in 0..2 {
            let mut command = self.own_command(ours, Work::Train, 1)?;
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            both.push(command.spawn().map_err(|e| cannot_start(OURS, &e))?);
        }
        let mut rows = Vec::new();
        for child in both {
            let output = child.wait_with_output().map_err(|e| cannot_start(OURS, &e))?;
            rows.push(read(&output)?);
        }
        Ok(Row::beside(self.size, &rows))
    }

    fn own_command(&self, ours: &Ours, work: Work, threads: usize) -> Result<Command> {
        let program = std::env::current_exe()
            .map_err(|e| Error::failed(format!("cannot find the program that is running: {e}")))?;
        let mut command = Command::new(program);
        command.args(["bench", "--child", work.name(), "--size", self.size.name()]);
        command.arg("--steps").arg(self.steps(ours).to_string());
        command.arg("--threads").arg(threads.to_string());
        if let Some(models) = &ours.models {
            command.arg("--models").arg(models);
        }
        command.arg("--started").arg(Clock::unix().to_string());
        Ok(command)
    }

    fn peer_command(&self, ours: &Ours, peers: &Peers, peer: &Peer) -> Command {
        let mut command = Command::new(&peers.python);
        command.arg(peers.scripts.join(peer.script)).args(["--size", self.size.name()]).args(peer.arguments);
        command.arg(peer.steps).arg(self.steps(ours).to_string());
        command.arg("--threads").arg(ours.threads.to_string());
        if let Some(models) = &ours.models {
            command.arg("--models").arg(models);
        }
        if peer.script == "peer_trl.py" {
            command.arg("--data").arg(&peers.data);
        }
        if self.work == Work::Grpo && self.size != Size::Xs {
            // the faster of its two attentions there
            command.args(["--attention", "eager"]);
        }
        command
    }
}

/// Starts a process that prints a row, and waits for it.
pub fn measured(command: &mut Command, program: &str) -> Result<Row> {
    let output = command.output().map_err(|e| cannot_start(program, &e))?;
    read(&output)
}

fn cannot_start(program: &str, why: &std::io::Error) -> Error {
    Error::usage(format!("cannot start {program}: {why}"))
        .remedy("name a Python that has torch, transformers and trl")
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
        let runs = plan(&[Size::Xs, Size::Small], &Work::ALL, 2, true);
        assert_eq!(runs.len(), 2 * 2 * 14);
        let first: Vec<String> = runs[..14].iter().map(Run::title).collect();
        assert_eq!(first[0], "xs train regimen");
        assert_eq!(first[2], "xs train torch-compile");
        assert_eq!(first[3], "xs pair regimen");
        assert_eq!(first[12], "xs grpo trl-grpo-fixed");
        assert_eq!(first[13], "xs limit regimen");
        let ours = plan(&[Size::Tiny], &[Work::Decode, Work::Sft], 1, false);
        assert!(ours.len() == 2 && ours.iter().all(|r| r.engine() == OURS));
    }

    #[test]
    fn the_line_that_matters_is_told() {
        assert_eq!(complaint("error: there is no x\n  = make one\n"), "there is no x");
        assert_eq!(complaint("Traceback:\n  File y\nImportError: no torch\n"), "ImportError: no torch");
        assert_eq!(complaint(""), "it printed no row");
    }
}
