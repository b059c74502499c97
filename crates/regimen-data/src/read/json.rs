//! JSONL, and JSON files with one array of rows.

use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, Span, newlines, utf8};
use crate::files::Parts;

/// Bytes that are read at a time.
const BLOCK: u64 = 1 << 20;

type Each<'a> = &'a mut dyn FnMut(Row) -> Result<()>;

/// One object a line; blank lines are skipped. No more than a block and the longest line are in memory.
pub(super) fn scan_lines(file: &Arc<str>, parts: &dyn Parts, limit: usize, each: Each) -> Result<Vec<Span>> {
    let (mut spans, mut carry, mut number) = (Vec::new(), Vec::new(), 0);
    let (mut read, mut start) = (0, 0u64);
    loop {
        let block = parts.read(read, BLOCK.min(parts.size() - read) as usize)?;
        read += block.len() as u64;
        let last = block.is_empty();
        let mut rest = &block[..];
        while let Some(end) = rest.iter().position(|b| *b == b'\n').or(last.then_some(rest.len())) {
            carry.extend_from_slice(&rest[..end]);
            number += 1;
            spans.extend(line(file, &carry, (start, number), limit, each)?);
            start += carry.len() as u64 + 1;
            carry.clear();
            if last {
                return Ok(spans);
            }
            rest = &rest[end + 1..];
        }
        carry.extend_from_slice(rest);
        if carry.len() > limit {
            return Err(too_long(file, number + 1, limit));
        }
    }
}

/// Where the row of one line lies; none where the line is blank.
fn line(file: &Arc<str>, bytes: &[u8], at: (u64, u64), limit: usize, each: Each) -> Result<Option<Span>> {
    let (start, number) = at;
    let skip = if start == 0 && bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let bytes = &bytes[skip..];
    if bytes.len() > limit {
        return Err(too_long(file, number, limit));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let place = Place { file: file.clone(), number, lines: true };
    each(Row { values: row(&place, bytes)?, place })?;
    Ok(Some(Span::new(start as usize + skip, bytes.len(), number)))
}

/// The columns of one row.
pub(super) fn row(place: &Place, bytes: &[u8]) -> Result<Map<String, Value>> {
    let value =
        serde_json::from_slice(bytes).map_err(|e| wrong_json(&place.file, place.number, bytes, &e))?;
    object(place, value)
}

/// A `.json` file: an array of objects, or (as many data sets are named) lines after all.
pub(super) fn scan_file(file: &Arc<str>, parts: &dyn Parts, limit: usize, each: Each) -> Result<Vec<Span>> {
    let head = parts.read(0, parts.size().min(4096) as usize)?;
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    if head.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b != b'[') {
        return scan_lines(file, parts, limit, each);
    }
    let bytes = parts.read(0, parts.size() as usize)?;
    let text = utf8(file, &bytes)?;
    if text.trim_start().is_empty() {
        return Ok(Vec::new());
    }
    array(file, text, bytes.len() - text.len(), each)
}

/// Reads the elements one by one, so that every row knows its line. `skipped` bytes stand before the text.
fn array(file: &Arc<str>, text: &str, skipped: usize, each: Each) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut cursor = Cursor { text, at: 0, line: 1 };
    cursor.skip_space();
    cursor.advance(1); // the bracket that brought us here
    loop {
        cursor.skip_space();
        if spans.is_empty() && cursor.peek() == Some(b']') {
            break;
        }
        let place = Place { file: file.clone(), number: cursor.line, lines: true };
        let mut values = serde_json::Deserializer::from_str(&text[cursor.at..]).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => return Err(cursor.wrong(file, &e)),
            None => return Err(cursor.unclosed(file)),
        };
        let read = values.byte_offset();
        spans.push(Span::new(skipped + cursor.at, read, cursor.line));
        each(Row { values: object(&place, value)?, place })?;
        cursor.advance(read);
        cursor.skip_space();
        match cursor.peek() {
            Some(b',') => cursor.advance(1),
            Some(b']') => break,
            _ => return Err(cursor.unclosed(file)),
        }
    }
    cursor.advance(1);
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(spans),
        Some(_) => Err(Error::data(format!("{file}:{}: something follows the array of rows", cursor.line))
            .remedy("keep one array a file, or write one object a line and call the file .jsonl")),
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn advance(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.text.len());
        self.line += newlines(&self.text.as_bytes()[self.at..end]);
        self.at = end;
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.advance(1);
        }
    }

    fn wrong(&self, file: &str, e: &serde_json::Error) -> Error {
        let line = self.line + e.line().max(1) as u64 - 1;
        let before = if e.line() <= 1 {
            self.text[..self.at].len() - self.text[..self.at].rfind('\n').map_or(0, |p| p + 1)
        } else {
            0
        };
        Error::data(format!("{file}:{line}:{}: {}", before + e.column(), reason(e)))
            .remedy("correct the JSON of this row")
    }

    fn unclosed(&self, file: &str) -> Error {
        Error::data(format!("{file}:{}: the array of rows does not end, or a comma is missing", self.line))
            .remedy("the file may be truncated: write it again")
    }
}

fn object(place: &Place, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(values) => Ok(values),
        other => Err(Error::data(format!("{place}: a row must be an object, this is {}", kind(&other)))
            .remedy("write rows as {\"text\": …} or {\"messages\": […]}")),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn wrong_json(file: &str, line: u64, bytes: &[u8], e: &serde_json::Error) -> Error {
    if let Err(bad) = std::str::from_utf8(bytes) {
        let column = bad.valid_up_to();
        return Error::data(format!(
            "{file}:{line}:{}: not UTF-8 (byte 0x{:02x})",
            column + 1,
            bytes[column]
        ))
        .remedy("convert the file to UTF-8");
    }
    Error::data(format!("{file}:{line}:{}: {}", e.column(), reason(e)))
        .remedy("correct the JSON of this line; every line must be one object")
}

/// serde_json's message without its own position, which counts from elsewhere.
fn reason(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.rfind(" at line ").map_or(text.clone(), |at| text[..at].to_owned())
}

fn too_long(file: &str, line: u64, limit: usize) -> Error {
    Error::data(format!("{file}:{line}: the line is longer than the limit of {limit} bytes")).remedy(
        "check that the file has one row a line; if rows are really that long, raise `max-line-bytes` of the data",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::all;
    use super::*;

    fn error(name: &str, bytes: &[u8]) -> String {
        all(name, bytes, 1 << 20).err().unwrap().to_string()
    }

    #[test]
    fn lines_have_numbers_and_blank_ones_do_not_count_as_rows() {
        let (_, rows) =
            all("a.jsonl", b"\xef\xbb\xbf{\"text\":\"a\"}\r\n\n {\"text\":\"b\"} \n", 100).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].place.to_string().as_str(), &rows[1].values["text"]), ("a.jsonl:3", &"b".into()));
        let many = (0..100_000).fold(String::new(), |all, i| all + &format!("{{\"text\":\"row {i}\"}}\n"));
        assert!(many.len() as u64 > BLOCK);
        let (_, rows) = all("a.jsonl", many.trim_end().as_bytes(), 100).unwrap();
        assert_eq!((rows.len(), rows[99_999].values["text"].as_str()), (100_000, Some("row 99999")));
        assert_eq!(rows[77_777].place.number, 77_778);
    }

    #[test]
    fn wrong_json_names_line_and_column() {
        let e = error("a.jsonl", b"{\"text\":\"a\"}\n{\"text\": b}\n");
        assert!(e.starts_with("a.jsonl:2:10: expected value\n"), "{e}");
        let e = error("a.jsonl", b"{\"text\":\"\xff\"}");
        assert!(e.starts_with("a.jsonl:1:10: not UTF-8 (byte 0xff)"), "{e}");
        assert!(error("a.jsonl", b"[1]").contains("must be an object, this is a list"));
    }

    #[test]
    fn a_line_of_50_mb_is_read_and_one_over_the_limit_is_refused() {
        let mut bytes = b"{\"text\":\"".to_vec();
        bytes.resize(bytes.len() + (50 << 20), b'a');
        bytes.extend_from_slice(b"\"}");
        let limit = super::super::ReadOptions::default().max_line_bytes;
        let (_, rows) = all("a.jsonl", &bytes, limit).unwrap();
        assert_eq!(rows[0].values["text"].as_str().unwrap().len(), 50 << 20);
        let e = error("a.jsonl", &bytes);
        assert!(e.starts_with("a.jsonl:1: the line is longer than the limit of 1048576 bytes"), "{e}");
        assert!(e.contains("max-line-bytes"), "{e}");
    }

    #[test]
    fn arrays_know_their_lines() {
        let (_, rows) = all("a.json", b"[\n {\"text\": \"a\"},\n\n {\"text\":\n \"b\"}\n]\n", 100).unwrap();
        assert_eq!(rows.iter().map(|r| r.place.number).collect::<Vec<_>>(), [2, 4]);
        assert!(all("a.json", b"[]", 100).unwrap().1.is_empty());
        assert_eq!(all("a.json", b"{\"a\":1}\n{\"a\":2}", 100).unwrap().1.len(), 2);
        for (bad, at) in [
            ("[{\"a\":1}", "a.json:1:"),
            ("[{\"a\":1}\n{", "a.json:2:"),
            ("[{\"a\":1},\n{\"a\":}]", "a.json:2:6:"),
            ("[1]", "a.json:1:"),
            ("[{}] x", "a.json:1:"),
        ] {
            let e = error("a.json", bad.as_bytes());
            assert!(e.starts_with(at), "{bad}: {e}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(error("a.jsonl", deep.as_bytes()).contains("recursion limit"));
    }
}
