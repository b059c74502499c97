//! JSONL, and JSON files with one array of rows.

use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, newlines, utf8};

/// One object a line; blank lines are skipped.
pub(super) fn lines(file: &Arc<str>, bytes: &[u8], limit: usize) -> Result<Vec<Row>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut rows = Vec::new();
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = i as u64 + 1;
        if line.len() > limit {
            return Err(too_long(file, number, line.len(), limit));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let place = Place { file: file.clone(), number, lines: true };
        let value = serde_json::from_slice(line).map_err(|e| wrong_json(file, number, line, &e))?;
        rows.push(Row { values: object(&place, value)?, place });
    }
    Ok(rows)
}

/// A `.json` file: an array of objects, or (as many data sets are named) lines after all.
pub(super) fn file(file: &Arc<str>, bytes: &[u8], limit: usize) -> Result<Vec<Row>> {
    let text = utf8(file, bytes)?;
    if !text.trim_start().starts_with('[') {
        return lines(file, text.as_bytes(), limit);
    }
    array(file, text)
}

/// Reads the elements one by one, so that every row knows its line.
fn array(file: &Arc<str>, text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut cursor = Cursor { text, at: 0, line: 1 };
    cursor.skip_space();
    cursor.advance(1); // the bracket that brought us here
    loop {
        cursor.skip_space();
        if rows.is_empty() && cursor.peek() == Some(b']') {
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
        rows.push(Row { values: object(&place, value)?, place });
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
        None => Ok(rows),
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

fn too_long(file: &str, line: u64, bytes: usize, limit: usize) -> Error {
    Error::data(format!("{file}:{line}: the line has {bytes} bytes, more than the limit of {limit}")).remedy(
        "check that the file has one row a line; if rows are really that long, raise `max-line-bytes` of the data",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(r: Result<T>) -> String {
        r.err().unwrap().to_string()
    }

    #[test]
    fn lines_have_numbers_and_blank_ones_do_not_count_as_rows() {
        let rows = lines(&"a.jsonl".into(), b"{\"text\":\"a\"}\r\n\n {\"text\":\"b\"} \n", 100).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].place.to_string(), "a.jsonl:3");
        assert_eq!(rows[1].values["text"], "b");
    }

    #[test]
    fn wrong_json_names_line_and_column() {
        let e = error(lines(&"a.jsonl".into(), b"{\"text\":\"a\"}\n{\"text\": b}\n", 100));
        assert!(e.starts_with("a.jsonl:2:10: expected value\n"), "{e}");
        let e = error(lines(&"a.jsonl".into(), b"{\"text\":\"\xff\"}", 100));
        assert!(e.starts_with("a.jsonl:1:10: not UTF-8 (byte 0xff)"), "{e}");
        let e = error(lines(&"a.jsonl".into(), b"[1]", 100));
        assert!(e.contains("must be an object, this is a list"), "{e}");
    }

    #[test]
    fn a_line_of_50_mb_is_read_and_one_over_the_limit_is_refused() {
        let mut bytes = b"{\"text\":\"".to_vec();
        bytes.resize(bytes.len() + (50 << 20), b'a');
        bytes.extend_from_slice(b"\"}");
        let rows =
            lines(&"a.jsonl".into(), &bytes, super::super::ReadOptions::default().max_line_bytes).unwrap();
        assert_eq!(rows[0].values["text"].as_str().unwrap().len(), 50 << 20);
        let e = error(lines(&"a.jsonl".into(), &bytes, 1 << 20));
        assert!(
            e.starts_with("a.jsonl:1: the line has 52428811 bytes, more than the limit of 1048576"),
            "{e}"
        );
        assert!(e.contains("max-line-bytes"), "{e}");
    }

    #[test]
    fn arrays_know_their_lines() {
        let rows =
            file(&"a.json".into(), b"[\n {\"text\": \"a\"},\n\n {\"text\":\n \"b\"}\n]\n", 100).unwrap();
        assert_eq!(rows.iter().map(|r| r.place.number).collect::<Vec<_>>(), [2, 4]);
        assert!(file(&"a.json".into(), b"[]", 100).unwrap().is_empty());
        assert_eq!(file(&"a.json".into(), b"{\"a\":1}\n{\"a\":2}", 100).unwrap().len(), 2);
        for (bad, at) in [
            ("[{\"a\":1}", "a.json:1:"),
            ("[{\"a\":1}\n{", "a.json:2:"),
            ("[{\"a\":1},\n{\"a\":}]", "a.json:2:6:"),
            ("[1]", "a.json:1:"),
            ("[{}] x", "a.json:1:"),
        ] {
            let e = error(file(&"a.json".into(), bad.as_bytes(), 100));
            assert!(e.starts_with(at), "{bad}: {e}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(error(lines(&"a.jsonl".into(), deep.as_bytes(), 1 << 20)).contains("recursion limit"));
    }
}
