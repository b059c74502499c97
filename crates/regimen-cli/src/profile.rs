//! `--profile`: where the time of a run went.

use regimen_base::{Error, Result};
use regimen_core::run::{Profile, ProfileRow, RunDir};

use crate::number;
use crate::table::Table;

/// The trace in a run's directory.
const FILE: &str = "profile.json";

/// Parts that took less of their phase are left out of the table.
const LEAST: f64 = 0.005;

/// Watches this process, if that is wanted.
///
/// # Errors
/// When something watches it already.
pub fn start(wanted: bool) -> Result<Option<&'static Profile>> {
    let already = || Error::failed("this process is watched already");
    if wanted { Profile::start().map(Some).ok_or_else(already) } else { Ok(None) }
}

/// Writes the trace into the run's directory and gives the table, with a word on how to read both.
///
/// # Errors
/// When the trace cannot be written.
pub fn finish(profile: &Profile, dir: &RunDir) -> Result<String> {
    dir.write(FILE, profile.trace().as_bytes())?;
    let threads = regimen_kernels::threads();
    let cut = if profile.trace_is_whole() { "" } else { " (its beginning; the table counts everything)" };
    Ok(format!(
        "\n{}\nphase: seconds on the clock, share of the stage. part: seconds of {}, share of their time in the phase.\n\
         trace       {}{cut}: open it in chrome://tracing or ui.perfetto.dev\n",
        table(&profile.rows(threads)),
        number::plural(threads, "thread"),
        dir.path().join(FILE).display(),
    ))
}

fn table(rows: &[ProfileRow]) -> String {
    let mut table = Table::new(&["stage", "phase", "part", ">calls", ">seconds", ">share"]);
    let mut last = ("", "");
    for row in rows {
        let stage = if row.stage.is_empty() { "(start)" } else { &row.stage };
        if row.share < LEAST && (row.part.is_some() || row.calls == 0) {
            continue;
        }
        let now = (stage, row.phase);
        let calls = if row.calls == 0 { "-".to_owned() } else { row.calls.to_string() };
        table.row([
            if last.0 == now.0 { String::new() } else { stage.to_owned() },
            if last == now { String::new() } else { row.phase.to_owned() },
            row.part.unwrap_or_default().to_owned(),
            calls,
            format!("{:.3}", row.seconds),
            format!("{:.1} %", row.share * 100.0),
        ]);
        last = now;
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_once() {
        let row = |stage: &str, phase, part, seconds, share| ProfileRow {
            stage: stage.to_owned(),
            phase,
            part,
            calls: 3,
            seconds,
            share,
        };
        let text = table(&[
            row("sft", "forward", None, 2.0, 0.5),
            row("sft", "forward", Some("products"), 3.0, 0.75),
            row("sft", "forward", Some("rope"), 0.001, 0.0003),
            row("sft", "update", None, 1.0, 0.25),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["sft", "forward", "3", "2.000", "50.0", "%"]
        );
        assert_eq!(lines[2].split_whitespace().next(), Some("products"), "{text}");
        assert_eq!(lines[3].split_whitespace().next(), Some("update"), "{text}");
    }
}
