//! Files to rows, read one by one: plain text, JSONL and JSON, Parquet, CSV.

mod csv;
mod json;
mod parquet;
mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::files::Parts;
use crate::{Columns, Files, Schema};

pub(crate) use json::kind;
pub(crate) use text::cut;

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
    /// Which part of a data set's folder is read (`train`, `test`, …); `None` is `train` where there are parts.
    pub part: Option<String>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_line_bytes: 64 << 20,
            text: TextSplit::Auto,
            schema: None,
            columns: Columns::default(),
            eval: 0.0,
            part: None,
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

/// Where a row lies in its file, 16 bytes a row.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: u64,
    len: u32,
    line: u32,
}

impl Span {
    fn new(at: usize, len: usize, line: u64) -> Self {
        let saturated = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self { at: at as u64, len: saturated(len as u64), line: saturated(line) }
    }
}

/// A file whose rows are read one by one, in any order. It keeps where each row lies, not what it says.
pub struct Rows {
    file: Arc<str>,
    kind: Kind,
}

enum Kind {
    Text(Box<dyn Parts>, Vec<Span>),
    Json(Box<dyn Parts>, Vec<Span>),
    Csv(Box<dyn Parts>, Vec<String>, Vec<Span>),
    Parquet(parquet::Groups),
}

impl Rows {
    /// Opens a file of a known kind, told by its extension (`txt md jsonl ndjson json parquet csv`), and shows every
    /// row to `each`, so that what is wrong with any of them is said now. A plain text gives rows with the one column
    /// `text`. JSONL, Parquet and text cut by size are read block by block, other files as a whole for this once.
    ///
    /// # Errors
    /// An unknown kind, bytes that are not UTF-8, JSON that does not parse, a line over the limit: each with the file
    /// and the line; what `each` says.
    pub fn open(
        path: &Path,
        files: &dyn Files,
        options: &ReadOptions,
        split: TextSplit,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<Self> {
        let file: Arc<str> = path.display().to_string().into();
        let parts = files.open(path)?;
        let limit = options.max_line_bytes;
        let kind = match extension(path).as_str() {
            "txt" | "md" | "text" => {
                let spans = text::scan(&file, parts.as_ref(), split, each)?;
                Kind::Text(parts, spans)
            }
            "jsonl" | "ndjson" => {
                let spans = json::scan_lines(&file, parts.as_ref(), limit, each)?;
                Kind::Json(parts, spans)
            }
            "json" => {
                let spans = json::scan_file(&file, parts.as_ref(), limit, each)?;
                Kind::Json(parts, spans)
            }
            "parquet" => Kind::Parquet(parquet::Groups::open(&file, parts, each)?),
            "csv" => {
                let (header, spans) = csv::scan(&file, parts.as_ref(), each)?;
                Kind::Csv(parts, header, spans)
            }
            "arrow" => {
                return Err(Error::data(format!("{file}: Arrow files are not read"))
                    .remedy("save the data set as Parquet: `dataset.to_parquet(\"data.parquet\")`"));
            }
            _ => {
                return Err(Error::data(format!("{file}: no reader for files of this kind"))
                    .remedy("use .txt, .md, .jsonl, .json, .parquet or .csv"));
            }
        };
        Ok(Self { file, kind })
    }

    /// The row at `index`, read now.
    ///
    /// # Errors
    /// The file is not what it was when it was opened.
    pub fn get(&self, index: usize) -> Result<Row> {
        let place = self.place(index);
        let gone = || Error::failed(format!("{place} is no longer there")).remedy(CHANGED);
        let bytes = |parts: &dyn Parts, spans: &[Span]| {
            let span = spans.get(index).ok_or_else(gone)?;
            parts.read(span.at, span.len as usize)
        };
        let values = match &self.kind {
            Kind::Text(parts, spans) => text::row(utf8(&self.file, &bytes(parts.as_ref(), spans)?)?),
            Kind::Json(parts, spans) => json::row(&place, &bytes(parts.as_ref(), spans)?)?,
            Kind::Csv(parts, header, spans) => csv::row(&place, header, &bytes(parts.as_ref(), spans)?)?,
            Kind::Parquet(groups) => groups.row(index)?,
        };
        Ok(Row { place, values })
    }

    /// Where the row stands.
    pub fn place(&self, index: usize) -> Place {
        let (number, lines) = match &self.kind {
            Kind::Text(_, spans) | Kind::Json(_, spans) | Kind::Csv(_, _, spans) => {
                (spans.get(index).map_or(0, |s| u64::from(s.line)), true)
            }
            Kind::Parquet(_) => (index as u64 + 1, false),
        };
        Place { file: self.file.clone(), number, lines }
    }

    /// The file, as it was asked for.
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// What to do about a file that changes under a run.
const CHANGED: &str = "leave data files alone while a run reads them; begin a new run with the changed file";

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Whether a file of this kind holds plain text, not rows.
pub(crate) fn is_plain_text(path: &Path) -> bool {
    matches!(extension(path).as_str(), "txt" | "md" | "text")
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
    use crate::InMemory;

    pub(super) fn all(name: &str, bytes: &[u8], limit: usize) -> Result<(Rows, Vec<Row>)> {
        let files = InMemory::new().with(name, bytes);
        let options = ReadOptions { max_line_bytes: limit, ..ReadOptions::default() };
        let mut seen = Vec::new();
        let rows = Rows::open(Path::new(name), &files, &options, TextSplit::Files, &mut |row| {
            seen.push(row);
            Ok(())
        })?;
        for (i, row) in seen.iter().enumerate() {
            assert_eq!(&rows.get(i)?, row, "the row is another one when it is read again");
        }
        Ok((rows, seen))
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_line_and_offset() {
        let e = all("a.txt", b"good\nba\xffd", 100).err().unwrap().to_string();
        assert!(e.starts_with("a.txt:2:3: not UTF-8 (byte 0xff at offset 7)"), "{e}");
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let e = all("a.pkl", b"", 100).err().unwrap().to_string();
        assert!(e.contains("no reader") && e.contains(".parquet"));
        assert!(all("a.arrow", b"", 100).err().unwrap().to_string().contains("as Parquet"));
    }
}
