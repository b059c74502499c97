//! A row of metrics goes to three places: `metrics.jsonl`, `perf.jsonl` and the TensorBoard event file.
//!
//! `metrics.jsonl` holds what recipe, data and seed determine, so a run that was killed and resumed has the same bytes
//! there as one left alone. What a clock or the system measured (`step_time`, `perf/…`, `timing_s/…`) has a line of its
//! own in `perf.jsonl`, beside the time of day: line n of one belongs to line n of the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::clock::Clock;
use super::journal::keep_lines;
use super::storage::Storage;
use super::tensorboard::EventFile;
use super::trouble::Told;

const METRICS: &str = "metrics.jsonl";
const PERF: &str = "perf.jsonl";

/// Whether a metric differs between two runs of the same recipe because a clock or the system measured it.
pub fn is_measured_by_clock(name: &str) -> bool {
    name == "step_time" || name.starts_with("perf/") || name.starts_with("timing_s/")
}

/// Appends rows to a stage's metrics.
pub struct Metrics {
    disk: Arc<dyn Storage>,
    folder: PathBuf,
    stage: String,
    rows: u64,
    events: EventFile,
}

impl Metrics {
    pub(super) fn open(disk: Arc<dyn Storage>, folder: &Path, stage: &str, rows: u64) -> Result<Self> {
        let metrics = folder.join(METRICS);
        let kept = keep_lines(&*disk, &metrics, rows)?;
        keep_lines(&*disk, &folder.join(PERF), kept)?;
        let last = last_step(&metrics)?;
        let events = EventFile::create(
            disk.clone(),
            &folder.join("tb"),
            Clock::unix(),
            last.map_or(0, |step| step + 1),
        )?;
        Ok(Self { disk, folder: folder.to_owned(), stage: stage.to_owned(), rows: kept, events })
    }

    /// Adds one row. A number that is not finite is written as `null`, which is all that JSON can say of it.
    pub fn log(&mut self, step: u64, values: &BTreeMap<String, f64>) -> Result<()> {
        let time = Clock::unix();
        let mut row = head(step);
        row.insert("stage".to_owned(), self.stage.clone().into());
        let mut perf = head(step);
        perf.insert("time".to_owned(), time.into());
        for (name, &value) in values {
            let line = if is_measured_by_clock(name) { &mut perf } else { &mut row };
            line.insert(name.clone(), value.into());
        }
        self.append(METRICS, row)?;
        self.append(PERF, perf)?;
        self.rows += 1;
        self.events.scalars(time, step, values)
    }

    /// Rows so far. It belongs into the checkpoint, and from there into [`super::StageDir::metrics`] on resume.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Waits until the disk has every row; call it before a checkpoint that counts them is committed.
    pub fn sync(&mut self) -> Result<()> {
        for name in [METRICS, PERF] {
            let path = self.folder.join(name);
            if path.exists() {
                self.disk.sync(&path).told("write", &path)?;
            }
        }
        Ok(())
    }

    fn append(&self, file: &str, line: Map<String, Value>) -> Result<()> {
        let path = self.folder.join(file);
        self.disk.append(&path, format!("{}\n", Value::Object(line)).as_bytes()).told("write", &path)
    }
}

/// One row of a stage's metrics.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricsRow {
    /// The stage's optimiser step.
    pub step: u64,
    /// Everything that is a number, by its name.
    pub values: BTreeMap<String, f64>,
}

/// Reads both files of a stage's folder; no files are no rows.
pub(super) fn read(folder: &Path) -> Result<Vec<MetricsRow>> {
    let mut rows = read_lines(&folder.join(METRICS))?;
    for (row, mut perf) in rows.iter_mut().zip(read_lines(&folder.join(PERF))?) {
        perf.values.remove("time");
        row.values.append(&mut perf.values);
    }
    Ok(rows)
}

fn read_lines(path: &Path) -> Result<Vec<MetricsRow>> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.told("read", path)?,
    };
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    complete.enumerate().map(|(i, line)| read_line(line).ok_or_else(|| bad_line(path, i + 1))).collect()
}

fn read_line(line: &str) -> Option<MetricsRow> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let step = fields.get("step")?.as_u64()?;
    let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
    let values = fields.iter().filter(|(name, _)| *name != "step").filter_map(number).collect();
    Some(MetricsRow { step, values })
}

fn bad_line(path: &Path, line: usize) -> Error {
    Error::failed(format!("{}:{line}: not a row of metrics", path.display()))
        .remedy("remove that line, or restore the file from a copy")
}

fn last_step(path: &Path) -> Result<Option<u64>> {
    Ok(read_lines(path)?.last().map(|row| row.step))
}

fn head(step: u64) -> Map<String, Value> {
    Map::from_iter([("step".to_owned(), step.into())])
}

#[cfg(test)]
mod tests {
    use super::super::storage::FileSystem;
    use super::*;

    fn log(metrics: &mut Metrics, steps: std::ops::Range<u64>) {
        for step in steps {
            let x = step as f64;
            let row =
                [("loss", 3.0 / (x + 1.0)), ("grad_norm", 0.1 * x), ("step_time", 0.01), ("perf/mfu", 0.5)];
            metrics.log(step, &row.map(|(n, v)| (n.to_owned(), v)).into()).unwrap();
        }
    }

    fn open(folder: &Path, rows: u64) -> Metrics {
        Metrics::open(Arc::new(FileSystem), folder, "sft", rows).unwrap()
    }

    #[test]
    fn a_resumed_file_equals_an_uninterrupted_one() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        log(&mut open(one.path(), 0), 0..20);
        let mut first = open(two.path(), 0);
        log(&mut first, 0..8);
        let rows = first.rows(); // a checkpoint here, then five steps that the kill takes back
        log(&mut first, 8..13);
        FileSystem.append(&two.path().join(METRICS), b"{\"step\":13,\"sta").unwrap();
        let mut second = open(two.path(), rows);
        assert_eq!(second.rows(), 8);
        log(&mut second, 8..20);
        second.sync().unwrap();
        let bytes = |folder: &Path| fs::read(folder.join(METRICS)).unwrap();
        assert_eq!(bytes(one.path()), bytes(two.path()));
        let rows = read(two.path()).unwrap();
        assert_eq!(rows.len(), 20);
        assert!(
            rows.iter().enumerate().all(|(i, row)| row.step == i as u64 && row.values["perf/mfu"] == 0.5)
        );
    }

    #[test]
    fn the_clock_stays_out_of_metrics() {
        let folder = tempfile::tempdir().unwrap();
        log(&mut open(folder.path(), 0), 1..2);
        let text = fs::read_to_string(folder.path().join(METRICS)).unwrap();
        assert_eq!(text, "{\"step\":1,\"stage\":\"sft\",\"grad_norm\":0.1,\"loss\":1.5}\n");
        let perf = fs::read_to_string(folder.path().join(PERF)).unwrap();
        assert!(perf.contains("\"time\":") && perf.contains("\"step_time\":0.01"), "{perf}");
    }

    #[test]
    fn what_is_not_a_number_is_null_and_floats_keep_their_bits() {
        let folder = tempfile::tempdir().unwrap();
        let mut metrics = open(folder.path(), 0);
        let tenth = 0.1 + 0.2;
        metrics.log(3, &BTreeMap::from([("kl".to_owned(), tenth), ("loss".to_owned(), f64::NAN)])).unwrap();
        let rows = read(folder.path()).unwrap();
        assert_eq!(rows[0].values, BTreeMap::from([("kl".to_owned(), tenth)]));
        assert!(fs::read_to_string(folder.path().join(METRICS)).unwrap().contains("\"loss\":null"));
    }

    #[test]
    fn a_broken_row_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(METRICS), "{\"step\":1}\nnonsense\n").unwrap();
        assert!(read(folder.path()).unwrap_err().what.ends_with("metrics.jsonl:2: not a row of metrics"));
    }
}
