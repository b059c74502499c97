//! CSV with a header line (RFC 4180): quotes, doubled quotes, line breaks inside quotes. All values are texts.

use std::ops::Range;
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, Span, utf8};
use crate::files::Parts;

/// The header, and where the records lie.
pub(super) fn scan(
    file: &Arc<str>,
    parts: &dyn Parts,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<(Vec<String>, Vec<Span>)> {
    let bytes = parts.read(0, parts.size() as usize)?;
    let text = utf8(file, &bytes)?;
    let skipped = bytes.len() - text.len();
    let mut records = records(file, text)?.into_iter();
    let Some(Record { fields: header, .. }) = records.next() else { return Ok((Vec::new(), Vec::new())) };
    let mut spans = Vec::new();
    for Record { line, bytes, fields } in records {
        let place = Place { file: file.clone(), number: line, lines: true };
        spans.push(Span::new(skipped + bytes.start, bytes.len(), line));
        each(Row { values: named(&place, &header, fields)?, place })?;
    }
    Ok((header, spans))
}

/// The columns of one record.
pub(super) fn row(place: &Place, header: &[String], bytes: &[u8]) -> Result<Map<String, Value>> {
    let record = records(&place.file, utf8(&place.file, bytes)?)?.into_iter().next();
    named(place, header, record.map(|r| r.fields).unwrap_or_default())
}

fn named(place: &Place, header: &[String], fields: Vec<String>) -> Result<Map<String, Value>> {
    if fields.len() != header.len() {
        return Err(Error::data(format!(
            "{place}: {} fields, the header has {}",
            fields.len(),
            header.len()
        ))
        .remedy("put fields with commas or line breaks into double quotes"));
    }
    Ok(header.iter().cloned().zip(fields.into_iter().map(Value::from)).collect())
}

struct Record {
    line: u64,
    bytes: Range<usize>,
    fields: Vec<String>,
}

/// The records with something in them, each with the line it starts at.
fn records(file: &str, text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut start, mut quoted, mut was_quoted) = (1u64, 1u64, false, false);
    let mut from = 0;
    let mut chars = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)).peekable();
    loop {
        let next = chars.next();
        let (end, c) = (next.map_or(text.len(), |(end, _)| end), next.map(|(_, c)| c));
        if c == Some('\n') {
            line += 1;
        }
        match c {
            None if quoted => {
                return Err(Error::data(format!("{file}:{start}: a quoted field does not end"))
                    .remedy("close the double quotes; a quote inside a field is written twice"));
            }
            Some('"') if quoted && chars.peek().is_some_and(|(_, c)| *c == '"') => {
                chars.next();
                field.push('"');
            }
            Some('"') if quoted => quoted = false,
            Some(c) if quoted => field.push(c),
            Some('"') if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            Some(',') => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            Some('\r') if chars.peek().is_some_and(|(_, c)| *c == '\n') => {}
            None | Some('\n') => {
                let blank = fields.is_empty() && field.is_empty() && !was_quoted;
                fields.push(std::mem::take(&mut field));
                let record = std::mem::take(&mut fields);
                if !blank {
                    records.push(Record { line: start, bytes: from..end, fields: record });
                }
                from = end;
                (start, was_quoted) = (line, false);
                if c.is_none() {
                    return Ok(records);
                }
            }
            Some(c) => field.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::all;

    #[test]
    fn reads_quotes_commas_and_breaks() {
        let (_, rows) = all("a.csv", "q,a\r\n\"x, \"\"y\"\"\nz\",2\n\n3,\"\"\n".as_bytes(), 100).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].values["q"], "x, \"y\"\nz");
        assert_eq!((rows[1].place.number, &rows[1].values["a"]), (5, &"".into()));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let e = all("a.csv", b"a,b\n1\n", 100).err().unwrap().to_string();
        assert!(e.starts_with("a.csv:2: 1 fields, the header has 2"), "{e}");
        let e = all("a.csv", b"a\n\"x\n", 100).err().unwrap().to_string();
        assert!(e.starts_with("a.csv:2: a quoted field"), "{e}");
    }
}
