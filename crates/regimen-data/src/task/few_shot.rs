//! `fewshot-relabel`: two exemplars with labels that mean nothing outside of the sequence, and one of them again.
//!
//! ```text
//! 丂3七1丂   →  3
//! ```
//! A class is one CJK letter, a label one ASCII character, so a character tokenizer gives each a token of its own. Labels
//! are drawn anew for every sequence: only the sequence says which belongs to which exemplar.
//!
//! *Splits*. Every fifth pair of labels never stands together in a training sequence, and the last tenth of the classes
//! (at least two) never stands in one. What is held out is, by `test`, sequences of trained classes with those pairs of
//! labels, or of those classes with trained pairs. So the splits are disjoint by construction. `seen` draws further
//! sequences like the trained ones, for comparison; these may be the same.
//!
//! *Level*: always 1.
//!
//! *Guess rate*: 1/2, for whoever names one of the two labels.
//!
//! *Source*: Singh et al. 2024 (arXiv:2404.07129), with letters for images.

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result, Rng, Split};

use super::problem::{Item, digest};
use super::{Format, Judgement, Parse, Solution, Task};
use crate::{Body, Example};

/// The first class; the others follow it without a gap.
const FIRST: u32 = 0x4e00;
const LABELS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// Of so many pairs of labels one is held out.
const PAIRS: usize = 5;
/// Of so many classes one is held out.
const CLASSES: u32 = 10;

/// What is held out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Pairs of labels.
    Labels,
    /// Classes.
    Classes,
    /// Nothing.
    Seen,
}

/// The task `fewshot-relabel`.
#[derive(Clone, PartialEq, Debug)]
pub struct FewShot {
    /// Classes that training shows, 2 to 5000; a tenth as many again are held out.
    pub classes: u32,
    /// Labels, 4 to 36.
    pub labels: u32,
    /// What is held out.
    pub test: Held,
}

impl Default for FewShot {
    fn default() -> Self {
        Self { classes: 50, labels: 5, test: Held::Labels }
    }
}

impl FewShot {
    /// Pairs of labels: those that training shows, or the others.
    fn pairs(&self, held_out: bool) -> Vec<[usize; 2]> {
        let labels = self.labels as usize;
        let all = (0..labels).flat_map(|a| (a + 1..labels).map(move |b| [a, b]));
        all.enumerate().filter(|(i, _)| (i % PAIRS == PAIRS - 1) == held_out).map(|(_, pair)| pair).collect()
    }

    fn held_out_classes(&self) -> u32 {
        (self.classes / CLASSES).max(2)
    }
}

fn letter(class: u32) -> char {
    char::from_u32(FIRST + class).unwrap_or('?')
}

fn label(label: usize) -> char {
    LABELS.chars().nth(label).unwrap_or('?')
}

/// Two different numbers below `n`.
fn two(n: u32, rng: &mut Rng) -> [u32; 2] {
    let first = rng.index(n as usize) as u32;
    let second = rng.index(n as usize - 1) as u32;
    [first, if second >= first { second + 1 } else { second }]
}

impl Task for FewShot {
    fn name(&self) -> &'static str {
        "fewshot-relabel"
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let mut rng = key.child(split.name()).rng();
        let test = split == Split::Eval;
        let new = test && self.test == Held::Classes;
        let count = if new { self.held_out_classes() } else { self.classes };
        let classes =
            two(count, &mut rng).map(|class| letter(if new { self.classes + class } else { class }));
        let pairs = self.pairs(test && self.test == Held::Labels);
        let mut labels = pairs[rng.index(pairs.len())].map(label);
        rng.shuffle(&mut labels);
        let asked = rng.index(2);
        let prompt = format!("{}{}{}{}{}", classes[0], labels[0], classes[1], labels[1], classes[asked]);
        let answer = labels[asked].to_string();
        let item = Item {
            task: "fewshot-relabel",
            content: digest("fewshot-relabel", &prompt),
            prompt,
            working: String::new(),
            answer: answer.clone(),
            format: Format::Hash,
            level: 1,
            solution: Solution::None,
            columns: Vec::new(),
        };
        let mut example = item.example();
        // the label alone, without the mark of an answer
        if let Body::Messages(messages) = &mut example.body {
            messages[1].content = answer;
        }
        example
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let right = example.answer.as_deref() == Some(reply.trim());
        let parse = if reply.trim().is_empty() { Parse::Missing } else { Parse::Answer };
        Judgement { score: f64::from(u8::from(right)), parse }
    }

    fn alphabet(&self) -> String {
        let classes = (0..self.classes + self.held_out_classes()).map(letter);
        classes.chain((0..self.labels as usize).map(label)).collect()
    }

    fn check(&self) -> Result<()> {
        if (2..=5000).contains(&self.classes) && (4..=36).contains(&self.labels) {
            return Ok(());
        }
        Err(Error::usage("task `fewshot-relabel` has a setting out of its range")
            .remedy("`classes` from 2 to 5000, `labels` from 4 to 36"))
    }

    fn levels(&self) -> RangeInclusive<u32> {
        1..=1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn parts(example: &Example) -> (Vec<char>, String) {
        match &example.body {
            Body::Messages(messages) => (messages[0].content.chars().collect(), messages[1].content.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn items(task: &FewShot, split: Split) -> Vec<(Vec<char>, String)> {
        (0..500).map(|n| parts(&task.example(split, Key::new(n)))).collect()
    }

    #[test]
    fn the_answer_is_the_label_of_the_exemplar_that_comes_again() {
        for (sequence, answer) in items(&FewShot::default(), Split::Train) {
            let [a, x, b, y, query] = sequence[..] else { panic!("{sequence:?}") };
            assert!(a != b && x != y && (query == a || query == b));
            assert_eq!(answer, if query == a { x } else { y }.to_string());
        }
    }

    #[test]
    fn the_splits_share_no_sequence() {
        let pair = |sequence: &[char]| BTreeSet::from([sequence[1], sequence[3]]);
        let train = items(&FewShot::default(), Split::Train);
        let trained: BTreeSet<_> = train.iter().map(|(s, _)| pair(s)).collect();
        let shown: BTreeSet<char> = train.iter().flat_map(|(s, _)| [s[0], s[2]]).collect();
        assert_eq!((trained.len(), shown.len()), (8, 50));
        for (sequence, _) in items(&FewShot::default(), Split::Eval) {
            assert!(!trained.contains(&pair(&sequence)) && shown.contains(&sequence[0]));
        }
        for (sequence, _) in items(&FewShot { test: Held::Classes, ..FewShot::default() }, Split::Eval) {
            assert!(trained.contains(&pair(&sequence)) && !shown.contains(&sequence[0]));
        }
        for (sequence, _) in items(&FewShot { test: Held::Seen, ..FewShot::default() }, Split::Eval) {
            assert!(trained.contains(&pair(&sequence)) && shown.contains(&sequence[0]));
        }
    }

    #[test]
    fn every_character_is_in_the_alphabet() {
        let task = FewShot { classes: 200, labels: 15, test: Held::Classes };
        let alphabet: BTreeSet<char> = task.alphabet().chars().collect();
        for split in [Split::Train, Split::Eval] {
            for (sequence, answer) in items(&task, split) {
                assert!(
                    sequence.iter().chain(&answer.chars().collect::<Vec<_>>()).all(|c| alphabet.contains(c))
                );
            }
        }
        assert!(FewShot { labels: 3, ..FewShot::default() }.check().is_err());
    }

    #[test]
    fn the_gold_label_is_right_and_others_are_not() {
        let task = FewShot::default();
        let item = task.example(Split::Eval, Key::new(3));
        let (sequence, answer) = parts(&item);
        let other = if sequence[1].to_string() == answer { sequence[3] } else { sequence[1] };
        assert_eq!(task.judge(&item, &answer).score, 1.0);
        assert_eq!(task.judge(&item, &other.to_string()).score, 0.0);
        assert_eq!(task.judge(&item, "").parse, Parse::Missing);
    }
}
