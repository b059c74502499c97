//! Plain text to documents.

use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::{Place, Row, Span, TextSplit, newlines, utf8};
use crate::files::Parts;

/// Bytes that are read at a time.
const BLOCK: usize = 4 << 20;

type Each<'a> = &'a mut dyn FnMut(Row) -> Result<()>;

/// Where the documents lie.
pub(super) fn scan(file: &Arc<str>, parts: &dyn Parts, split: TextSplit, each: Each) -> Result<Vec<Span>> {
    let size = match split {
        TextSplit::Bytes(0) => {
            return Err(
                Error::usage("documents of 0 bytes").remedy("give the size of a document in bytes, say 8192")
            );
        }
        TextSplit::Bytes(size) => size,
        TextSplit::Auto => (parts.size() as usize / 64).clamp(1 << 10, 16 << 10),
        TextSplit::Files | TextSplit::BlankLines => {
            let bytes = parts.read(0, parts.size() as usize)?;
            let text = utf8(file, &bytes)?;
            let pieces = if split == TextSplit::Files { vec![(0, text)] } else { paragraphs(text) };
            let mut documents = Documents { file, each, spans: Vec::new(), line: 1 };
            documents.add(text, bytes.len() - text.len(), &pieces)?;
            return Ok(documents.spans);
        }
    };
    blocks(parts, size, Documents { file, each, spans: Vec::new(), line: 1 })
}

/// Cuts block by block. A piece is settled when the bytes behind it could not have made it longer.
fn blocks(parts: &dyn Parts, size: usize, mut documents: Documents) -> Result<Vec<Span>> {
    let (mut carry, mut at) = (Vec::new(), 0u64);
    loop {
        let from = at + carry.len() as u64;
        let block = parts.read(from, (BLOCK + 2 * size).min((parts.size() - from) as usize))?;
        let last = from + block.len() as u64 == parts.size();
        carry.extend_from_slice(&block);
        let skip = if at == 0 && carry.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = match std::str::from_utf8(&carry[skip..]) {
            Err(e) if !last && e.error_len().is_none() => {
                std::str::from_utf8(&carry[skip..skip + e.valid_up_to()]).unwrap_or_default()
            }
            _ => utf8(documents.file, &carry[skip..]).map_err(|e| match documents.line {
                1 => e,
                line => e.within(format!("counted from line {line}")),
            })?,
        };
        let mut pieces = cut(text, size);
        if !last {
            pieces.retain(|(start, _)| start + size + 4 <= text.len());
        }
        let done = pieces.last().map_or(0, |(start, piece)| start + piece.len());
        documents.add(&text[..done], at as usize + skip, &pieces)?;
        if last {
            return Ok(documents.spans);
        }
        at += (skip + done) as u64;
        carry.drain(..skip + done);
    }
}

/// What was found so far.
struct Documents<'a> {
    file: &'a Arc<str>,
    each: Each<'a>,
    spans: Vec<Span>,
    line: u64,
}

impl Documents<'_> {
    /// Adds the pieces of `text`, which stands at byte `at` of the file.
    fn add(&mut self, text: &str, at: usize, pieces: &[(usize, &str)]) -> Result<()> {
        let mut seen = 0;
        for (start, piece) in pieces {
            self.line += newlines(&text.as_bytes()[seen..*start]);
            seen = *start;
            if !piece.trim().is_empty() {
                let place = Place { file: self.file.clone(), number: self.line, lines: true };
                self.spans.push(Span::new(at + start, piece.len(), self.line));
                (self.each)(Row { place, values: row(piece) })?;
            }
        }
        self.line += newlines(&text.as_bytes()[seen..]);
        Ok(())
    }
}

/// The columns of a document: its text.
pub(super) fn row(text: &str) -> Map<String, Value> {
    Map::from_iter([("text".to_owned(), Value::from(text))])
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
pub(crate) fn cut(text: &str, size: usize) -> Vec<(usize, &str)> {
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
    use crate::InMemory;
    use crate::read::{ReadOptions, Rows};
    use std::path::Path;

    fn texts(split: TextSplit, text: &str) -> Vec<(u64, String)> {
        let files = InMemory::new().with("a.txt", text);
        let mut rows = Vec::new();
        let mut keep = |row| {
            rows.push(row);
            Ok(())
        };
        let found =
            Rows::open(Path::new("a.txt"), &files, &ReadOptions::default(), split, &mut keep).unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(&found.get(i).unwrap(), row);
        }
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
    fn blocks_are_cut_as_the_whole_is() {
        let text = (0..400_000).fold(String::from("\u{feff}"), |all, i| all + &format!("äöü {i} words\n\n"));
        assert!(text.len() > BLOCK);
        let found = texts(TextSplit::Bytes(5000), &text);
        let whole = cut(&text[3..], 5000);
        assert_eq!(found.len(), whole.len());
        let mut line = 1;
        for ((number, piece), (_, want)) in found.iter().zip(&whole) {
            assert_eq!((*number, piece.as_str()), (line, *want));
            line += newlines(want.as_bytes());
        }
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
