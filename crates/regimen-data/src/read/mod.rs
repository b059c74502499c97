//! Files to rows: plain text, JSONL and JSON, Parquet, CSV.

mod csv;
mod json;
mod parquet;
mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::{Columns, Schema};

pub(crate) use json::kind;

/// How files become examples.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadOptions {
    /// The longest line of a JSONL file that is still read, in bytes.
    pub max_line_bytes: usize,
    /// What one document of a plain text is.
    pub text: TextSplit,
    /// What a row means; `None` finds it out from the columns.
    pub schema: Option<Schema>,
    /// Names of columns that differ from the usual ones.
    pub columns: Columns,
    /// The fraction of the rows that is held out for evaluation, in 0..1. A row's content decides on which side it
    /// is, so identical rows are never on both.
    pub eval: f64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_line_bytes: 64 << 20,
            text: TextSplit::Auto,
            schema: None,
            columns: Columns::default(),
            eval: 0.0,
        }
    }
}

/// What one document of a plain text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextSplit {
    /// Whole files where there are many (32 or more), otherwise pieces of 1 to 16 KiB that end where a paragraph,
    /// a line or a word ends: so that a single file can be shuffled, and a part of it held out.
    Auto,
    /// Every file is one document.
    Files,
    /// Documents end at blank lines.
    BlankLines,
    /// Documents of at most so many bytes, cut where a paragraph, a line or a word ends.
    Bytes(usize),
}

/// Where a row stands, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file, as it was asked for.
    pub file: Arc<str>,
    /// Line (from 1), or row (from 1) of a format without lines.
    pub number: u64,
    /// Whether `number` counts lines.
    pub lines: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines {
            write!(f, "{}:{}", self.file, self.number)
        } else {
            write!(f, "{}, row {}", self.file, self.number)
        }
    }
}

/// One row of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its columns, in the order of the file.
    pub values: Map<String, Value>,
}

/// Reads a file of a known kind, told by its extension (`txt md jsonl ndjson json parquet csv`). A plain text gives
/// rows with the one column `text`.
///
/// # Errors
/// An unknown kind, bytes that are not UTF-8, JSON that does not parse, a line over the limit: each with the file
/// and the line.
pub fn read_rows(path: &Path, bytes: Vec<u8>, options: &ReadOptions, split: TextSplit) -> Result<Vec<Row>> {
    let file: Arc<str> = path.display().to_string().into();
    let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "txt" | "md" | "text" => text::read(&file, &bytes, split),
        "jsonl" | "ndjson" => json::lines(&file, &bytes, options.max_line_bytes),
        "json" => json::file(&file, &bytes, options.max_line_bytes),
        "parquet" => parquet::read(&file, bytes),
        "csv" => csv::read(&file, &bytes),
        _ => Err(Error::data(format!("{file}: no reader for files of this kind"))
            .remedy("use .txt, .md, .jsonl, .json, .parquet or .csv")),
    }
}

/// Whether a file of this kind holds plain text, not rows.
pub(crate) fn is_plain_text(path: &Path) -> bool {
    matches!(path.extension().and_then(|e| e.to_str()), Some("txt" | "md" | "text" | "TXT" | "MD"))
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|b| *b == b'\n').count() as u64 - 1
}

/// The bytes as text, without a byte-order mark.
pub(crate) fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        let line = 1 + newlines(&bytes[..at]);
        let column = at - bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) + 1;
        Error::data(format!("{file}:{line}:{column}: not UTF-8 (byte 0x{:02x} at offset {at})", bytes[at]))
            .remedy("convert the file to UTF-8, for example with `iconv -f latin1 -t utf-8`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told_with_line_and_offset() {
        let e = read_rows(
            Path::new("a.txt"),
            b"good\nba\xffd".to_vec(),
            &ReadOptions::default(),
            TextSplit::Files,
        );
        let e = e.unwrap_err().to_string();
        assert!(e.starts_with("a.txt:2:3: not UTF-8 (byte 0xff at offset 7)"), "{e}");
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let e = read_rows(Path::new("a.pkl"), vec![], &ReadOptions::default(), TextSplit::Files).unwrap_err();
        assert!(e.to_string().contains("no reader") && e.to_string().contains(".parquet"));
    }
}
