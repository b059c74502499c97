//! Decoding with any checkpoint from 1, 8 and 64 prompts, beside llama.cpp where the checkpoint is a GGUF file.

use std::path::{Path, PathBuf};
use std::process::Command;

use regimen_base::{Error, Result};
use regimen_core::model::Model;
use regimen_core::run::Clock;
use serde_json::{Value, json};

use super::engine::{OURS, measured};
use super::summary::{median, middle};
use super::{Row, decode};
use crate::number;
use crate::table::Table;

/// Prompts side by side.
const BATCHES: [usize; 3] = [1, 8, 64];
const LLAMA: &str = "llama.cpp";
/// The script that asks llama.cpp.
pub const SCRIPT: &str = "peer_llamacpp.py";

/// Who decodes what.
pub struct Decoding {
    pub checkpoint: PathBuf,
    pub threads: usize,
    pub rounds: u64,
    /// A Python that has llama-cpp-python, and the folder of [`SCRIPT`].
    pub peer: Option<(PathBuf, PathBuf)>,
}

impl Decoding {
    /// Measures everyone in turns, each in a process of its own.
    ///
    /// # Errors
    /// A process that cannot be started or fails.
    pub fn rows(&self, tell: impl Fn(&str)) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for round in 1..=self.rounds {
            for batch in BATCHES {
                tell(&format!("round {round}: {batch} × ({} + {}) tokens", decode::PROMPT, decode::NEW));
                rows.push(measured(&mut self.own(batch)?, OURS)?);
                if let Some((python, scripts)) = &self.peer {
                    let row = measured(&mut self.llama(python, scripts, batch), LLAMA);
                    rows.push(row.map_err(|e| e.remedy("name a Python that has llama-cpp-python"))?);
                }
            }
        }
        Ok(rows)
    }

    fn own(&self, batch: usize) -> Result<Command> {
        let program = std::env::current_exe()
            .map_err(|e| Error::failed(format!("cannot find the program that is running: {e}")))?;
        let mut command = Command::new(program);
        command.args(["bench", "--child", "decode", "--checkpoint"]).arg(&self.checkpoint);
        command.args(["--batch", &batch.to_string(), "--threads", &self.threads.to_string()]);
        command.args(["--started", &Clock::unix().to_string()]);
        Ok(command)
    }

    fn llama(&self, python: &Path, scripts: &Path, batch: usize) -> Command {
        let mut command = Command::new(python);
        command.arg(scripts.join(SCRIPT)).arg("--gguf").arg(&self.checkpoint);
        command.args(["--batch", &batch.to_string(), "--threads", &self.threads.to_string()]);
        command.args(["--reps", &repetitions(batch).to_string()]);
        command
    }
}

fn repetitions(batch: usize) -> u64 {
    if batch < 64 { 3 } else { 1 }
}

/// Decodes in this process.
///
/// # Errors
/// What the generator says.
pub fn measure(model: &Model, batch: usize, started: Option<f64>) -> Result<Row> {
    let decoded = decode::run(model, batch, repetitions(batch))?;
    let mut row = decode::row(&decoded, batch, started);
    row["peer"] = json!(OURS);
    Ok(Row(row))
}

/// Medians over the rounds, as a table.
pub fn render(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "engine",
        ">prompts",
        ">tok/s",
        ">lowest–highest",
        ">peak MiB",
        ">speed ×",
        ">memory ×",
    ]);
    for batch in BATCHES {
        let of = |engine| rows.iter().filter(|r| r.decodes(batch, engine)).collect::<Vec<_>>();
        let number = |engine, name| middle(&of(engine), |row| row.number(name));
        for engine in [OURS, LLAMA] {
            let speeds: Vec<f64> = of(engine).iter().filter_map(|row| row.speed()).collect();
            if speeds.is_empty() {
                continue;
            }
            let ratio = |name| {
                let ratio =
                    (engine != OURS).then(|| Some(number(OURS, name)? / number(engine, name)?)).flatten();
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
            };
            let least = speeds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = speeds.iter().copied().fold(0.0, f64::max);
            table.row([
                engine.to_owned(),
                batch.to_string(),
                number::count(median(&speeds)),
                format!("{} – {}", number::count(least), number::count(most)),
                number(engine, "rss_mb").map_or_else(|| "-".to_owned(), |mb| format!("{mb:.0}")),
                ratio("tok_s"),
                ratio("rss_mb"),
            ]);
        }
    }
    table.without_blanks().render()
}

/// The rows as JSON.
pub fn as_json(rows: &[Row]) -> Value {
    rows.iter().map(|row| row.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_stand_beside_the_peers() {
        let row = |peer: &str, batch: usize, tok_s: f64| {
            Row(json!({ "bench": "decode", "peer": peer, "batch": batch, "tok_s": tok_s, "rss_mb": 100.0 }))
        };
        let text =
            render(&[row(OURS, 8, 300.0), row(LLAMA, 8, 200.0), row(OURS, 8, 310.0), row(OURS, 1, 90.0)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("90") && lines[2].contains("305"), "{text}");
        assert!(
            lines[3].contains(LLAMA) && lines[3].contains("1.52") && lines[3].ends_with("1.00"),
            "{text}"
        );
    }
}
