//! Plain text to documents.

use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, TextSplit, newlines, utf8};

pub(super) fn read(file: &Arc<str>, bytes: &[u8], split: TextSplit) -> Result<Vec<Row>> {
    let text = utf8(file, bytes)?;
    let pieces = match split {
        TextSplit::Files => vec![(0, text)],
        TextSplit::BlankLines => paragraphs(text),
        TextSplit::Bytes(0) => {
            return Err(
                Error::usage("documents of 0 bytes").remedy("give the size of a document in bytes, say 8192")
            );
        }
        TextSplit::Bytes(size) => cut(text, size),
        TextSplit::Auto => cut(text, (text.len() / 64).clamp(1 << 10, 16 << 10)),
    };
    let mut rows = Vec::with_capacity(pieces.len());
    let (mut line, mut seen) = (1, 0);
    for (at, piece) in pieces {
        line += newlines(&text.as_bytes()[seen..at]);
        seen = at;
        if !piece.trim().is_empty() {
            let values = Map::from_iter([("text".to_owned(), Value::from(piece))]);
            rows.push(Row { place: Place { file: file.clone(), number: line, lines: true }, values });
        }
    }
    Ok(rows)
}

/// Runs of lines with something in them, each with its offset.
fn paragraphs(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut start, mut at) = (None, 0);
    for line in text.split_inclusive('\n') {
        match (line.trim().is_empty(), start) {
            (true, Some(from)) => {
                found.push((from, text[from..at].trim_end_matches(['\r', '\n'])));
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
        at += line.len();
    }
    if let Some(from) = start {
        found.push((from, text[from..].trim_end_matches(['\r', '\n'])));
    }
    found
}

/// Pieces of at most `size` bytes (a single character may be longer), cut as late as possible at a blank line, else
/// at a line's end, else after a space, else anywhere.
fn cut(text: &str, size: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let mut limit = (at + size).min(text.len());
        while !text.is_char_boundary(limit) {
            limit -= 1;
        }
        if limit == at {
            limit = at + text[at..].chars().next().map_or(1, char::len_utf8);
        }
        let end = if limit == text.len() { limit } else { at + best_cut(&text[at..limit]) };
        found.push((at, &text[at..end]));
        at = end;
    }
    found
}

/// Where to end a piece: the last border of the best kind in its second half.
fn best_cut(window: &str) -> usize {
    let half = window.len() / 2;
    let found = ["\n\n", "\n", " "].iter().filter_map(|b| window.rfind(b).map(|p| p + b.len()));
    found.into_iter().find(|end| *end > half).unwrap_or(window.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(split: TextSplit, text: &str) -> Vec<(u64, String)> {
        let rows = read(&"a.txt".into(), text.as_bytes(), split).unwrap();
        rows.iter().map(|r| (r.place.number, r.values["text"].as_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn a_file_is_a_document() {
        assert_eq!(texts(TextSplit::Files, "\u{feff}a\n\nb\n"), [(1, "a\n\nb\n".to_owned())]);
        assert!(texts(TextSplit::Files, " \n ").is_empty());
    }

    #[test]
    fn blank_lines_part_documents_and_lines_are_counted() {
        let found = texts(TextSplit::BlankLines, "\na\nb\r\n\n \nc");
        assert_eq!(found, [(2, "a\nb".to_owned()), (6, "c".to_owned())]);
    }

    #[test]
    fn cutting_by_size_loses_nothing_and_prefers_borders() {
        let text = "one two three\nfour five six\n\nseven ä eight nine ten eleven";
        for size in [1, 2, 5, 16, 40, 1000] {
            let found = cut(text, size);
            assert_eq!(found.iter().map(|(_, p)| *p).collect::<String>(), text);
            assert!(found.iter().all(|(_, p)| p.len() <= size.max(2)));
        }
        assert_eq!(cut(text, 40)[0].1, "one two three\nfour five six\n\n");
    }
}
