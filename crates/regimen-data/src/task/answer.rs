//! Where the answer stands in a reply: behind one mark, at the end.
//!
//! `47+80=127;127+5=132#132` and bare `#132` hold the same answer. The mark must occur exactly once and nothing but white
//! space may follow the answer, so a reply cannot name two answers and hope. `#` is what GSM8K's `####` is, in one
//! character; no task uses it for anything else. The other [`Format`]s exist for studies of answer formats.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Judgement, Parse};
use crate::Example;

/// The mark in front of an answer in [`Format::Hash`], which all tasks use unless they are told otherwise.
pub const MARK: char = '#';

/// The longest answer that is read at all, in bytes; whatever is longer is malformed.
pub const LONGEST: usize = 256;

/// How an answer is marked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `#132`
    #[default]
    Hash,
    /// `=>132`
    Arrow,
    /// `[132]`
    Square,
    /// `{132}`
    Curly,
    /// `<132>`
    Angle,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hash, Self::Arrow, Self::Square, Self::Curly, Self::Angle];

    /// What opens and what closes an answer.
    pub fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Hash => ("#", ""),
            Self::Arrow => ("=>", ""),
            Self::Square => ("[", "]"),
            Self::Curly => ("{", "}"),
            Self::Angle => ("<", ">"),
        }
    }

    /// A reply: the working (may be empty), then the marked answer.
    pub fn reply(self, working: &str, answer: &str) -> String {
        let (open, close) = self.marks();
        format!("{working}{open}{answer}{close}")
    }
}

/// What stands where the answer should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// No mark.
    Missing,
    /// Several marks, or no single answer behind the one.
    Malformed,
    /// The text behind the mark, without white space around it; not empty.
    Answer(&'a str),
}

/// Finds the answer in `reply`, marked in any one of `formats`. Linear in the reply; never panics.
pub fn find<'a>(reply: &'a str, formats: &[Format]) -> Found<'a> {
    let mut marked = None;
    for &format in formats {
        let (open, close) = format.marks();
        for (at, _) in reply.match_indices(open).take(2) {
            if marked.replace((at + open.len(), close)).is_some() {
                return Found::Malformed;
            }
        }
    }
    let Some((start, close)) = marked else { return Found::Missing };
    match reply[start..].trim_ascii().strip_suffix(close).map(str::trim_ascii) {
        Some(answer) if !answer.is_empty() && answer.len() <= LONGEST => Found::Answer(answer),
        _ => Found::Malformed,
    }
}

/// The formats that a reply to `example` may use: its column `formats`, or `#` without one.
pub fn formats(example: &Example) -> Vec<Format> {
    let named = example.columns.get("formats").and_then(Value::as_array);
    let read = |names: &Vec<Value>| names.iter().filter_map(|n| Format::deserialize(n).ok()).collect();
    named.map_or_else(|| vec![Format::Hash], read)
}

/// Judges by comparing with the example's answer, after `normal` brought the reply's answer into the canonical form;
/// `normal` gives `None` for what has no such form.
pub(super) fn judge(example: &Example, reply: &str, normal: impl Fn(&str) -> Option<String>) -> Judgement {
    judge_by(example, reply, |answer| normal(answer).map(|given| example.answer.as_ref() == Some(&given)))
}

/// Judges by `right`, which gives `None` for what is not an answer at all.
pub(super) fn judge_by(example: &Example, reply: &str, right: impl Fn(&str) -> Option<bool>) -> Judgement {
    match find(reply, &formats(example)) {
        Found::Missing => Judgement { score: 0.0, parse: Parse::Missing },
        Found::Malformed => Judgement { score: 0.0, parse: Parse::Malformed },
        Found::Answer(answer) => match right(answer) {
            None => Judgement { score: 0.0, parse: Parse::Malformed },
            Some(right) => Judgement { score: f64::from(u8::from(right)), parse: Parse::Answer },
        },
    }
}

/// A natural number as everybody writes it: digits alone, no leading zero.
pub(super) fn natural(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_answer_stands_behind_one_mark() {
        let hash = [Format::Hash];
        for (reply, found) in [
            ("#132", Found::Answer("132")),
            ("40+80=120#132", Found::Answer("132")),
            ("40+80=120 # 132 \n", Found::Answer("132")),
            ("", Found::Missing),
            ("132", Found::Missing),
            ("40+80=120#", Found::Malformed),
            ("#131#132", Found::Malformed),
            ("#132#132", Found::Malformed),
        ] {
            assert_eq!(find(reply, &hash), found, "{reply}");
        }
    }

    #[test]
    fn several_formats_still_mean_one_answer() {
        for format in Format::ALL {
            assert_eq!(find(&format.reply("1+1=2;", "2"), &Format::ALL), Found::Answer("2"), "{format:?}");
        }
        assert_eq!(find("[2]#3", &Format::ALL), Found::Malformed);
        assert_eq!(find("[2", &Format::ALL), Found::Malformed);
        assert_eq!(find("[2]", &[Format::Hash]), Found::Missing);
    }

    #[test]
    fn naturals_have_one_spelling() {
        assert_eq!(natural("120").as_deref(), Some("120"));
        assert_eq!(natural("0").as_deref(), Some("0"));
        for text in ["", "007", "+7", "-7", "7.0", "7 ", "٧", "1e3"] {
            assert_eq!(natural(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(reply in any::<String>(), noise in "[#=>\\[\\]{}<0-9 é]{0,40}") {
            find(&reply, &Format::ALL);
            find(&noise, &Format::ALL);
        }
    }
}
