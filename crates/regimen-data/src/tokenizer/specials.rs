//! Special tokens and where their names occur in a text.

use std::collections::BTreeMap;

/// A special token.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Special {
    pub name: String,
    pub id: u32,
    /// It swallows the white space before it.
    pub lstrip: bool,
    /// It swallows the white space after it.
    pub rstrip: bool,
}

/// All special tokens of a tokenizer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Specials {
    /// By the first byte of their names, longest first.
    by_byte: BTreeMap<u8, Vec<Special>>,
    ids: Vec<bool>,
}

/// A part of a text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Special(u32),
}

impl Specials {
    pub(super) fn new(all: Vec<Special>) -> Self {
        let mut specials = Self::default();
        for special in all {
            let Some(first) = special.name.bytes().next() else { continue };
            let id = special.id as usize;
            if id >= specials.ids.len() {
                specials.ids.resize(id + 1, false);
            }
            specials.ids[id] = true;
            specials.by_byte.entry(first).or_default().push(special);
        }
        for same in specials.by_byte.values_mut() {
            same.sort_by(|a, b| b.name.len().cmp(&a.name.len()).then(a.name.cmp(&b.name)));
        }
        specials
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.ids.get(id as usize).copied().unwrap_or(false)
    }

    /// The special token that stands at `at`.
    fn at(&self, text: &str, at: usize) -> Option<&Special> {
        let candidates = self.by_byte.get(&text.as_bytes()[at])?;
        candidates.iter().find(|s| text.as_bytes()[at..].starts_with(s.name.as_bytes()))
    }

    /// Text and special tokens in turn, found from the left, longest first.
    pub(crate) fn split<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let Some(special) = self.at(text, at) else {
                at += 1;
                continue;
            };
            let before = &text[start..at];
            let before = if special.lstrip { before.trim_end() } else { before };
            pieces.extend((!before.is_empty()).then_some(Piece::Text(before)));
            pieces.push(Piece::Special(special.id));
            at += special.name.len();
            if special.rstrip {
                at += text[at..].len() - text[at..].trim_start().len();
            }
            start = at;
        }
        pieces.extend((start < text.len()).then_some(Piece::Text(&text[start..])));
        pieces
    }

    /// The length of the longest name, in bytes.
    pub(crate) fn longest_name(&self) -> usize {
        self.by_byte.values().flatten().map(|s| s.name.len()).max().unwrap_or(0)
    }

    /// The first special token whose name occurs.
    pub(crate) fn first_in(&self, text: &str) -> Option<&str> {
        (0..text.len()).find_map(|at| self.at(text, at)).map(|special| special.name.as_str())
    }

    /// Whether the name of a special token occurs anywhere.
    pub(crate) fn occur_in(&self, text: &str) -> bool {
        self.first_in(text).is_some()
    }

    /// For every occurrence, overlapping ones too, the border behind its first character: a text that is cut there
    /// contains no special token any more (unless one is a single character).
    pub(crate) fn cuts(&self, text: &str) -> Vec<usize> {
        let starts = text.char_indices().filter(|(at, _)| self.at(text, *at).is_some());
        starts.map(|(at, c)| at + c.len_utf8()).collect()
    }

    /// Whether the text ends, or begins, with a special token that leaves its surroundings alone.
    pub(crate) fn border(&self, before: &str, after: &str) -> bool {
        let plain = self.by_byte.values().flatten().filter(|s| !s.lstrip && !s.rstrip);
        plain.into_iter().any(|s| before.ends_with(&s.name) || after.starts_with(&s.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specials() -> Specials {
        let special = |(id, name): (usize, &&str)| Special {
            name: (*name).to_owned(),
            id: id as u32,
            lstrip: false,
            rstrip: false,
        };
        let mut all: Vec<_> = ["<a>", "<a>b", "<a><a>x"].iter().enumerate().map(special).collect();
        all.push(Special { name: "<s>".into(), id: 9, lstrip: true, rstrip: true });
        Specials::new(all)
    }

    #[test]
    fn the_longest_is_found_from_the_left() {
        use Piece::{Special as S, Text as T};
        let s = specials();
        assert_eq!(s.split("x<a>b<a>ä"), [T("x"), S(1), S(0), T("ä")]);
        assert_eq!(s.split("x <s> y"), [T("x"), S(9), T("y")]);
        assert_eq!(s.split(""), []);
    }

    #[test]
    fn cutting_leaves_none() {
        let s = specials();
        let text = "<a><a>x ä<a>b";
        let mut broken = text.to_owned();
        s.cuts(text).into_iter().rev().for_each(|at| broken.insert(at, '\u{f8f0}'));
        assert!(!s.occur_in(&broken), "{broken}");
        assert_eq!(broken.replace('\u{f8f0}', ""), text);
    }
}
