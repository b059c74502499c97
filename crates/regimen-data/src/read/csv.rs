//! CSV with a header line (RFC 4180): quotes, doubled quotes, line breaks inside quotes. All values are texts.

use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, utf8};

pub(super) fn read(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Row>> {
    let mut records = records(file, utf8(file, bytes)?)?.into_iter();
    let Some((_, header)) = records.next() else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for (number, fields) in records {
        let place = Place { file: file.clone(), number, lines: true };
        if fields.len() != header.len() {
            return Err(Error::data(format!(
                "{place}: {} fields, the header has {}",
                fields.len(),
                header.len()
            ))
            .remedy("put fields with commas or line breaks into double quotes"));
        }
        let values: Map<_, _> = header.iter().cloned().zip(fields.into_iter().map(Value::from)).collect();
        rows.push(Row { place, values });
    }
    Ok(rows)
}

/// The fields of each record, with the line it starts at; empty lines are skipped.
fn records(file: &str, text: &str) -> Result<Vec<(u64, Vec<String>)>> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut start, mut quoted, mut was_quoted) = (1u64, 1u64, false, false);
    let mut chars = text.chars().peekable();
    loop {
        let c = chars.next();
        if c == Some('\n') {
            line += 1;
        }
        match c {
            None if quoted => {
                return Err(Error::data(format!("{file}:{start}: a quoted field does not end"))
                    .remedy("close the double quotes; a quote inside a field is written twice"));
            }
            Some('"') if quoted && chars.peek() == Some(&'"') => {
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
            Some('\r') if chars.peek() == Some(&'\n') => {}
            None | Some('\n') => {
                let blank = fields.is_empty() && field.is_empty() && !was_quoted;
                fields.push(std::mem::take(&mut field));
                let record = std::mem::take(&mut fields);
                if !blank {
                    records.push((start, record));
                }
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
    use super::*;

    #[test]
    fn reads_quotes_commas_and_breaks() {
        let rows = read(&"a.csv".into(), "q,a\r\n\"x, \"\"y\"\"\nz\",2\n\n3,\"\"\n".as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].values["q"], "x, \"y\"\nz");
        assert_eq!((rows[1].place.number, &rows[1].values["a"]), (5, &Value::from("")));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let e = read(&"a.csv".into(), b"a,b\n1\n").unwrap_err().to_string();
        assert!(e.starts_with("a.csv:2: 1 fields, the header has 2"), "{e}");
        let e = read(&"a.csv".into(), b"a\n\"x\n").unwrap_err().to_string();
        assert!(e.starts_with("a.csv:2: a quoted field"), "{e}");
    }
}
