//! Dotted paths: `stage.main.lr`, `stage."my run".lr`.

/// One step of a path, and where it stands in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub name: String,
    pub start: usize,
    pub end: usize,
}

/// No recipe is as deep as this; the walks over trees are recursive.
const DEEPEST: usize = 32;

/// Splits a path at its dots; a segment in quotes keeps its dots. `None` when a segment is empty, a quote is open, or
/// there are more than 32 segments.
pub(crate) fn split(path: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (i, c) in path.char_indices() {
        match (quote, c) {
            (None, '.') => {
                segments.push(segment(path, start, i)?);
                start = i + 1;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            _ => {}
        }
    }
    if quote.is_some() {
        return None;
    }
    segments.push(segment(path, start, path.len())?);
    (segments.len() <= DEEPEST).then_some(segments)
}

fn segment(path: &str, start: usize, end: usize) -> Option<Segment> {
    let raw = &path[start..end];
    let start = start + (raw.len() - raw.trim_start().len());
    let raw = raw.trim();
    let unquoted = |q: char| raw.strip_prefix(q).and_then(|r| r.strip_suffix(q));
    let name = unquoted('"').or_else(|| unquoted('\'')).unwrap_or(raw);
    (!name.is_empty()).then(|| Segment { name: name.to_owned(), start, end: start + raw.len() })
}

/// Where the value begins in `path=value`: the first `=` outside quotes.
pub(crate) fn equals(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (None, '=') => return Some(i),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

/// A path from its parts.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Option<Vec<String>> {
        Some(split(path)?.into_iter().map(|s| s.name).collect())
    }

    #[test]
    fn splits_at_dots_outside_quotes() {
        assert_eq!(names("stage.main.lr").unwrap(), ["stage", "main", "lr"]);
        assert_eq!(names("a.\"b.c\".d").unwrap(), ["a", "b.c", "d"]);
        assert_eq!(split("a. bc").unwrap()[1], Segment { name: "bc".to_owned(), start: 3, end: 5 });
        for bad in ["", "a..b", ".a", "a.", "a.\"b", "\"\""] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }

    #[test]
    fn finds_the_equals_sign() {
        assert_eq!(equals("a.b=c=d"), Some(3));
        assert_eq!(equals("\"a=b\"=1"), Some(5));
        assert_eq!(equals("ab"), None);
    }
}
