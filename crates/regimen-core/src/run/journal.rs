//! `events.jsonl`: what happened to the run, one JSON object a line: started, stage begun, resumed, interrupted, ended.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use regimen_base::Result;
use serde_json::{Map, Value, json};

use super::clock::Clock;
use super::storage::Storage;
use super::trouble::Told;

/// Appends to `events.jsonl`. Events carry the time and are never taken back: a resume is an event of its own.
pub struct Journal {
    disk: Arc<dyn Storage>,
    path: PathBuf,
}

impl Journal {
    pub(super) fn open(disk: Arc<dyn Storage>, path: PathBuf) -> Result<Self> {
        keep_lines(&*disk, &path, u64::MAX)?;
        Ok(Self { disk, path })
    }

    /// Adds `{"time": …, "event": kind, …fields}`. `fields` is an object; anything else becomes its `value`.
    pub fn event(&mut self, kind: &str, fields: Value) -> Result<()> {
        let mut line = Map::new();
        line.insert("time".to_owned(), Clock::utc(Clock::unix()).into());
        line.insert("event".to_owned(), kind.into());
        match fields {
            Value::Object(fields) => line.extend(fields),
            Value::Null => {}
            other => line.extend([("value".to_owned(), other)]),
        }
        self.disk.append(&self.path, format!("{}\n", json!(line)).as_bytes()).told("write", &self.path)
    }
}

/// Cuts a file of lines to its first `lines` complete ones, and returns how many there are. A last line without its
/// end is one that a kill cut off: it goes.
pub(super) fn keep_lines(disk: &dyn Storage, path: &std::path::Path, lines: u64) -> Result<u64> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        other => other.told("read", path)?,
    };
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).take(wanted).collect();
    let length = ends.last().copied().unwrap_or(0);
    if length < bytes.len() {
        disk.truncate(path, length as u64).told("write", path)?;
    }
    Ok(ends.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::storage::FileSystem;
    use super::*;

    #[test]
    fn goes_on_after_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let open = || Journal::open(Arc::new(FileSystem), path.clone()).unwrap();
        open().event("run-started", json!({ "seed": 7 })).unwrap();
        FileSystem.append(&path, b"{\"time\":\"20").unwrap();
        open().event("resumed", json!({ "step": 20 })).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0]["event"], &events[0]["seed"]), (&json!("run-started"), &json!(7)));
        assert_eq!((&events[1]["event"], &events[1]["step"]), (&json!("resumed"), &json!(20)));
        assert!(events[1]["time"].as_str().unwrap().ends_with('Z'));
    }
}
