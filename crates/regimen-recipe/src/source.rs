//! Texts that a recipe was put together from, and where in them each value stands.

use std::fmt;
use std::sync::Arc;

/// A text with a name.
#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: String,
    line_starts: Vec<usize>,
}

/// All texts of one recipe. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<Arc<Source>>);

/// A stretch of one text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct At {
    pub source: usize,
    pub start: usize,
    pub end: usize,
    name: Arc<str>,
    line: usize,
}

impl Sources {
    /// Keeps a text and gives its number.
    pub fn add(&mut self, name: &str, text: &str) -> usize {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        self.0.push(Arc::new(Source { name: name.into(), text: text.to_owned(), line_starts }));
        self.0.len() - 1
    }

    /// The stretch `start..end` of text `source`.
    pub fn at(&self, source: usize, start: usize, end: usize) -> At {
        let text = &self.0[source];
        let end = end.min(text.text.len());
        let start = start.min(end);
        let line = text.line_starts.partition_point(|&s| s <= start);
        At { source, start, end, name: text.name.clone(), line }
    }

    /// The words at `at`.
    pub fn text(&self, at: &At) -> &str {
        self.0[at.source].text.get(at.start..at.end).unwrap_or("")
    }

    /// Names and texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|s| (&*s.name, s.text.as_str()))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.line)
    }
}

/// Who wrote a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// Nobody: the default of this table.
    Default(Arc<str>),
    /// The recipe itself.
    File,
    /// A file that the recipe builds on.
    Base,
    /// An arm of the recipe.
    Arm(Arc<str>),
    /// `--set` on the command line.
    Set,
}

/// Where a value comes from. The higher layer wins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub via: Via,
    pub layer: usize,
    pub at: Option<At>,
}

impl Origin {
    /// The origin of a default.
    pub fn default_of(owner: &str) -> Self {
        Self { via: Via::Default(owner.into()), layer: 0, at: None }
    }

    /// Somebody wrote it.
    pub fn given(&self) -> bool {
        !matches!(self.via, Via::Default(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.via, &self.at) {
            (Via::Default(owner), _) if owner.is_empty() => f.write_str("default"),
            (Via::Default(owner), _) => write!(f, "default of {owner}"),
            (Via::Set, _) => f.write_str("--set"),
            (Via::Arm(arm), Some(at)) => write!(f, "arm {arm}, {at}"),
            (_, Some(at)) => write!(f, "{at}"),
            (_, None) => f.write_str("recipe"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let mut sources = Sources::default();
        let id = sources.add("a.toml", "x = 1\ny = 2\n");
        assert_eq!(sources.at(id, 0, 1).to_string(), "a.toml:1");
        assert_eq!(sources.at(id, 6, 7).to_string(), "a.toml:2");
        assert_eq!(sources.text(&sources.at(id, 10, 99)), "2\n");
    }
}
