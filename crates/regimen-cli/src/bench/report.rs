//! One table.

use std::fmt::Write as _;

use regimen_base::{Error, Result};
use regimen_core::run::host_facts;
use serde_json::{Value, json};

use super::engine::OURS;
use super::summary::{Summary, median, summarise};
use super::{Row, Size, Work};
use crate::number;
use crate::table::Table;

/// All that was measured.
pub struct Report {
    pub sizes: Vec<Size>,
    pub rounds: u64,
    pub threads: usize,
    /// Processes that wanted a core when it began, on average of a minute.
    pub load: Option<f64>,
    pub rows: Vec<Row>,
}

impl Report {
    /// As a table with the machine above and the meaning of its columns below.
    pub fn render(&self) -> String {
        let all = summarise(&self.rows, &self.sizes);
        let mut out = format!("{}\n\n{}\n", machine(self.threads, self.rounds, self.load), table(&all));
        out.push_str(
            "peak: of the process. start: from the process's start to the end of its first step or batch.\n",
        );
        let sgemm = self.limits("sgemm_gflop_s");
        let sgemm = sgemm.map_or_else(String::new, |[rate, ..]| format!(" ({rate:.0} GFLOP/s)"));
        let _ = writeln!(
            out,
            "of products: time of a step's matrix products alone, at their shapes, attention over its causal half, ÷ time of the step."
        );
        let _ = writeln!(
            out,
            "of sgemm: time of a step's operations at the rate of a large product{sgemm}, attention over the full square, ÷ time of the step."
        );
        if let Some(trips) = self.limits("round_trip_ns") {
            let [middle, least, most] = trips.map(|ns| format!("{ns:.0}"));
            let _ = writeln!(
                out,
                "cores: a word goes from one to another and back in {middle} ns ({least} – {most})."
            );
        }
        if all.iter().any(|s| s.of_one.is_some_and(f64::is_finite)) {
            out.push_str("of one: two trainings side by side, one thread each, ÷ one on all threads, tokens a second in all.\n");
        }
        if all.iter().any(|s| s.ratios.is_some()) {
            out.push_str("speed, memory, start ×: ours ÷ that row's, of the medians over the rounds.\n");
        }
        out
    }

    /// As JSON: the medians, and every row that was measured.
    pub fn as_json(&self) -> Value {
        json!({
            "machine": host_facts(),
            "isa": crate::args::isa(),
            "threads": self.threads,
            "load": self.load,
            "rounds": self.rounds,
            "summary": summarise(&self.rows, &self.sizes).iter().map(Summary::as_json).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(|row| &row.0).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Report::as_json`] gave.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let value: Value =
            serde_json::from_slice(text).map_err(|e| Error::data(format!("it is not JSON: {e}")))?;
        let rows = value.get("rows").and_then(Value::as_array).ok_or_else(|| {
            Error::data("it has no `rows`").remedy("name files that `regimen bench --json` wrote")
        })?;
        Ok(Self {
            sizes: Vec::new(),
            rounds: value.get("rounds").and_then(Value::as_u64).unwrap_or(1),
            threads: value.get("threads").and_then(Value::as_u64).map_or(1, |n| n as usize),
            load: value.get("load").and_then(Value::as_f64),
            rows: rows.iter().cloned().map(Row).collect(),
        })
    }

    /// All rows together: as many rounds as the most often measured work has rows, and the highest of the loads.
    pub fn joined(reports: Vec<Self>, sizes: &[Size]) -> Self {
        let threads = reports.first().map_or(1, |r| r.threads);
        let load = reports.iter().filter_map(|r| r.load).reduce(f64::max);
        let rows: Vec<Row> = reports.into_iter().flat_map(|r| r.rows).collect();
        let times = |size: &Size, work: Work| rows.iter().filter(|r| r.is(work, size.name(), OURS)).count();
        let rounds = sizes.iter().flat_map(|size| Work::ALL.map(|work| times(size, work))).max();
        Self { sizes: sizes.to_vec(), rounds: rounds.unwrap_or(0) as u64, threads, load, rows }
    }

    /// A number of the measured limits: the median, the lowest and the highest.
    fn limits(&self, number: &'static str) -> Option<[f64; 3]> {
        let of_limits = |row: &&Row| self.sizes.iter().any(|size| row.is(Work::Limit, size.name(), OURS));
        let all: Vec<f64> = self.rows.iter().filter(of_limits).filter_map(|row| row.number(number)).collect();
        let (least, most) = (all.iter().copied().reduce(f64::min)?, all.iter().copied().reduce(f64::max)?);
        Some([median(&all), least, most])
    }
}

/// What was measured on, and whether it was quiet.
pub fn machine(threads: usize, rounds: u64, load: Option<f64>) -> String {
    let facts = host_facts();
    let cpu = facts.get("cpu").map_or("an unknown processor", String::as_str);
    let mut line = format!(
        "{cpu}, {}, {}, medians of {}",
        crate::args::isa(),
        number::plural(threads, "thread"),
        number::plural(rounds as usize, "round")
    );
    if let Some(load) = load.filter(|&load| is_busy(load)) {
        let _ = write!(
            line,
            "\nthe machine was not quiet: {load:.1} processes wanted a core when it began.\n\
             Do not quote these figures: threads that wait by spinning, as PyTorch's do, can be slowed a hundredfold"
        );
    }
    line
}

/// Whether others would disturb a measurement.
fn is_busy(load: f64) -> bool {
    load > 0.5
}

/// The average number of processes that wanted a core in the last minute, where the system tells.
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn table(all: &[Summary]) -> String {
    let with_peers = all.iter().any(|s| s.ratios.is_some());
    let mut header = vec![
        "size",
        "work",
        "engine",
        ">tok/s",
        ">lowest–highest",
        ">step ms",
        ">peak MiB",
        ">start s",
        ">of products",
        ">of sgemm",
        ">of one",
        ">loss 0",
        ">loss 10",
    ];
    if with_peers {
        header.extend([">speed ×", ">memory ×", ">start ×"]);
    }
    let mut table = Table::new(&header);
    for one in all {
        table.row(cells(one, with_peers));
    }
    table.render()
}

fn cells(s: &Summary, with_peers: bool) -> Vec<String> {
    let cell = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let [middle, least, most] = s.tok_s.map(number::count);
    let mut cells = vec![s.size.name().to_owned(), s.work.name().to_owned(), s.engine.to_owned()];
    cells.extend([
        middle,
        format!("{least} – {most}"),
        cell(s.step_ms, 2),
        cell(s.peak_mb, 0),
        cell(s.first_s, 3),
    ]);
    cells.extend([cell(s.of_products, 2), cell(s.of_sgemm, 2), cell(s.of_one, 2)]);
    cells.extend([cell(s.losses[0], 6), cell(s.losses[1], 6)]);
    if with_peers {
        let [speed, memory, start] = s.ratios.unwrap_or_default();
        cells.extend([cell(speed, 2), cell(memory, 3), cell(start, 3)]);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::summary::tests::rows;

    #[test]
    fn the_table_lines_up() {
        let text = table(&summarise(&rows(), &[Size::Xs]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[1])[..5], ["xs", "train", "regimen", "160", "k"], "{text}");
        assert_eq!(words(lines[2]).last().map(String::as_str), Some("1.000"), "{text}");
        assert!(lines[2].contains("1.60") && lines[2].contains("0.050"), "{text}");
        let tok_s = |line: &str| line.char_indices().position(|(_, c)| c == 'k');
        assert_eq!(tok_s(&lines[1][20..]), tok_s(&lines[2][20..]), "{text}");
    }

    /// What was measured in pieces makes the same table as what was measured at once.
    #[test]
    fn reports_can_be_put_together() {
        let all = rows();
        let piece = |rows: &[Row], load| Report {
            sizes: vec![Size::Xs],
            rounds: 1,
            threads: 2,
            load: Some(load),
            rows: rows.to_vec(),
        };
        let pieces = [piece(&all[..2], 0.25), piece(&all[2..], 0.75)];
        let read = pieces.map(|p| Report::from_json(p.as_json().to_string().as_bytes()).expect("a report"));
        let joined = Report::joined(read.into(), &[Size::Xs]);
        assert_eq!((joined.rounds, joined.threads, joined.load), (2, 2, Some(0.75)));
        assert_eq!(joined.rows, all);
        assert!(Report::from_json(b"{}").is_err_and(|e| e.to_string().contains("rows")));
    }

    #[test]
    fn without_peers_there_are_no_ratios() {
        let ours: Vec<Row> = rows().into_iter().filter(|r| r.is(Work::Train, "xs", OURS)).collect();
        let report = Report { sizes: vec![Size::Xs], rounds: 2, threads: 2, load: Some(3.25), rows: ours };
        let text = report.render();
        assert!(
            !text.contains('×') && text.contains("not quiet: 3.2") && text.contains("2 rounds"),
            "{text}"
        );
        assert_eq!(report.as_json()["summary"][0]["tok_s"], 160_000.0);
    }
}
