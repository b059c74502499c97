//! `knights-knaves`: knights tell the truth, knaves lie; who is what?
//!
//! ```text
//! A:Ak&Bn;B:B=C;C:Ak    none   #AkBnCk
//!                       short  kkxA;knk#AkBnCk
//!                       full   kkk:nx;kkn:nx;knk:knk#AkBnCk
//! ```
//! Each person says one thing: `Bn` (B is a knave), `Bk&Cn` (and), `Bk|Cn` (or), `Bk>Cn` (if the first then the
//! second), `B=C` (both of one kind), `B!C` (of different kinds). Exactly one assignment of kinds makes every knight's
//! claim true and every knave's false; the answer is that assignment, read in any order of people.
//!
//! The workings go by cases, knights first, `x` where a case fails:
//! - full: all kinds supposed, then person by person the kind that follows from their claim (`k` if it is true under the
//!   supposition), up to the first that differs; the case without a difference is the answer;
//! - short: kinds supposed one person after the other, and dropped with the name of the first person whose claim
//!   contradicts them.
//!
//! *Level*: the number of people.
//!
//! *Content*: the claims, whatever the people are called, with the sides of `& | = !` in any order.
//!
//! *Guess rate*: assignments are close to uniform, so about 1 / 2^people: 12.5 % by default (three people), 25 % with
//! two, 6 % with four.

use std::ops::RangeInclusive;

use regimen_base::{Key, Result, Split};
use serde::{Deserialize, Serialize};

use super::answer::judge;
use super::claim::{Claim, Kinds, kind, letter};
use super::problem::{Item, Problems, alphabet};
use super::solution::check_worked;
use super::{Bounds, Format, Judgement, Solution, Task};
use crate::Example;

/// Draws for one wanted assignment, before another is wanted: two people cannot say so much.
const PATIENCE: u64 = 500;

/// The task `knights-knaves`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KnightsKnaves {
    /// People of each puzzle, 2 to 6.
    pub people: Bounds,
    /// The working of the gold reply.
    pub solution: Solution,
    /// The share of items that show it; the others have a bare answer.
    pub worked: f64,
}

impl Default for KnightsKnaves {
    fn default() -> Self {
        Self { people: Bounds::new(3, 3), solution: Solution::None, worked: 1.0 }
    }
}

/// One claim a person, and the only kinds that fit.
pub(super) struct Puzzle {
    claims: Vec<Claim>,
    kinds: Kinds,
}

impl Problems for KnightsKnaves {
    type Problem = Puzzle;
    const KIND: &'static str = "knights-knaves";

    fn draw(&self, key: Key, attempt: u64) -> Option<Puzzle> {
        let people = self.people.draw(key.child("people")) as usize;
        let kinds = key.child("kinds").at(attempt / PATIENCE).rng().below(1 << people) as Kinds;
        let mut rng = key.at(attempt).rng();
        let mut claims = Vec::with_capacity(people);
        while claims.len() < people {
            let speaker = claims.len();
            let claim = Claim::draw(speaker, people, &mut rng);
            if claim.holds(kinds) == is_knight(kinds, speaker) {
                claims.push(claim);
            }
        }
        let fitting = (0..1 << people).filter(|&other| fits(&claims, other)).count();
        (fitting == 1).then_some(Puzzle { claims, kinds })
    }

    fn content(&self, puzzle: &Puzzle) -> String {
        let mut least: Option<Vec<Claim>> = None;
        for_each_naming(puzzle.claims.len(), &mut |names| {
            let mut renamed = puzzle.claims.clone();
            for (speaker, claim) in puzzle.claims.iter().enumerate() {
                renamed[names[speaker]] = claim.canonical(names);
            }
            if least.as_ref().is_none_or(|l| renamed < *l) {
                least = Some(renamed);
            }
        });
        written(&least.unwrap_or_default())
    }
}

fn is_knight(kinds: Kinds, person: usize) -> bool {
    kinds >> person & 1 == 1
}

fn fits(claims: &[Claim], kinds: Kinds) -> bool {
    claims.iter().enumerate().all(|(speaker, claim)| claim.holds(kinds) == is_knight(kinds, speaker))
}

/// All ways to name so many people (Heap 1963).
fn for_each_naming(people: usize, visit: &mut impl FnMut(&[usize])) {
    fn permute(names: &mut [usize], free: usize, visit: &mut impl FnMut(&[usize])) {
        if free <= 1 {
            return visit(names);
        }
        for i in 0..free {
            permute(names, free - 1, visit);
            names.swap(if free.is_multiple_of(2) { i } else { 0 }, free - 1);
        }
    }
    permute(&mut (0..people).collect::<Vec<_>>(), people, visit);
}

/// `A:Bn;B:A=C`
fn written(claims: &[Claim]) -> String {
    let said: Vec<String> =
        claims.iter().enumerate().map(|(speaker, c)| format!("{}:{c}", letter(speaker))).collect();
    said.join(";")
}

/// `AkBn`
fn answer(kinds: Kinds, people: usize) -> String {
    (0..people).flat_map(|person| [letter(person), kind(is_knight(kinds, person))]).collect()
}

/// `BnAk`, `Ak Bn`, `Ak,Bn` → `AkBn`: each of `people` once.
fn normal(text: &str, people: usize) -> Option<String> {
    let mut kinds = vec![None; people];
    let mut letters = text.chars().filter(|c| !matches!(c, ' ' | ','));
    while let Some(name) = letters.next() {
        let person = (0..people).find(|&person| letter(person) == name)?;
        let knight = match letters.next()? {
            'k' => true,
            'n' => false,
            _ => return None,
        };
        if kinds[person].replace(knight).is_some() {
            return None;
        }
    }
    let kinds: Vec<bool> = kinds.into_iter().collect::<Option<_>>()?;
    Some(kinds.iter().enumerate().flat_map(|(person, &knight)| [letter(person), kind(knight)]).collect())
}

/// The first kinds as text: `kn`.
fn supposed(kinds: Kinds, people: usize) -> String {
    (0..people).map(|person| kind(is_knight(kinds, person))).collect()
}

/// The `n`-th supposition, knights first and the last person changing fastest.
fn supposition(n: u32, people: usize) -> Kinds {
    (0..people)
        .filter(|&person| n >> (people - 1 - person) & 1 == 0)
        .fold(0, |kinds, person| kinds | 1 << person)
}

/// One supposition after the other, with what follows from it.
fn full_working(puzzle: &Puzzle) -> String {
    let people = puzzle.claims.len();
    let mut text = String::new();
    for kinds in (0..1 << people).map(|n| supposition(n, people)) {
        text += &supposed(kinds, people);
        text.push(':');
        for (speaker, claim) in puzzle.claims.iter().enumerate() {
            let follows = claim.holds(kinds);
            text.push(kind(follows));
            if follows != is_knight(kinds, speaker) {
                text += "x;";
                break;
            }
        }
        if kinds == puzzle.kinds {
            break;
        }
    }
    text
}

/// Suppositions person by person, dropped at the first contradiction.
fn short_working(puzzle: &Puzzle) -> String {
    fn suppose(puzzle: &Puzzle, kinds: Kinds, known: usize, text: &mut String) -> bool {
        if let Some(liar) = contradiction(puzzle, kinds, known) {
            text.push_str(&supposed(kinds, known));
            text.extend(['x', letter(liar), ';']);
            return false;
        }
        if known == puzzle.claims.len() {
            *text += &supposed(kinds, known);
            return true;
        }
        suppose(puzzle, kinds | 1 << known, known + 1, text) || suppose(puzzle, kinds, known + 1, text)
    }
    let mut text = String::new();
    suppose(puzzle, 0, 0, &mut text);
    text
}

/// The first person whose claim contradicts the kinds of the first `known` people.
fn contradiction(puzzle: &Puzzle, kinds: Kinds, known: usize) -> Option<usize> {
    let decided = |speaker: usize, claim: Claim| speaker.max(claim.last_person()) < known;
    let mut claims = puzzle.claims.iter().copied().enumerate();
    claims.find(|&(i, c)| decided(i, c) && c.holds(kinds) != is_knight(kinds, i)).map(|(speaker, _)| speaker)
}

impl Task for KnightsKnaves {
    fn name(&self) -> &'static str {
        Self::KIND
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let (puzzle, content) = self.settle(split, key);
        let solution = self.solution.draw(self.worked, key);
        let working = match solution {
            Solution::None => String::new(),
            Solution::Short => short_working(&puzzle),
            Solution::Full => full_working(&puzzle),
        };
        Item {
            task: Self::KIND,
            content,
            prompt: written(&puzzle.claims),
            working,
            answer: answer(puzzle.kinds, puzzle.claims.len()),
            format: Format::Hash,
            level: puzzle.claims.len() as u32,
            solution,
            columns: Vec::new(),
        }
        .example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        let people = example.answer.as_ref().map_or(0, |answer| answer.len() / 2);
        judge(example, reply, |text| normal(text, people))
    }

    fn alphabet(&self) -> String {
        let people: String = (0..self.people.hi as usize).map(letter).collect();
        alphabet(&["kn:;&|>=!x#", &people])
    }

    fn check(&self) -> Result<()> {
        self.people.check(Self::KIND, "people", 2..=6)?;
        check_worked(Self::KIND, self.worked)?;
        self.probe()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        self.people.lo..=self.people.hi
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Atom;
    use super::*;
    use proptest::prelude::*;

    fn atom(person: usize, knight: bool) -> Atom {
        Atom { person, knight }
    }

    fn puzzle() -> Puzzle {
        let claims =
            vec![Claim::And(atom(0, true), atom(1, false)), Claim::Same(1, 2), Claim::Is(atom(0, true))];
        Puzzle { claims, kinds: 0b101 }
    }

    #[test]
    fn writes_the_example_above() {
        let puzzle = puzzle();
        let fitting: Vec<Kinds> = (0..8).filter(|&kinds| fits(&puzzle.claims, kinds)).collect();
        assert_eq!(fitting, [puzzle.kinds]);
        assert_eq!(written(&puzzle.claims), "A:Ak&Bn;B:B=C;C:Ak");
        assert_eq!(answer(puzzle.kinds, 3), "AkBnCk");
        assert_eq!(short_working(&puzzle), "kkxA;knk");
        assert_eq!(full_working(&puzzle), "kkk:nx;kkn:nx;knk:knk");
    }

    #[test]
    fn names_are_no_content() {
        let task = KnightsKnaves::default();
        let base = puzzle();
        let mut contents = Vec::new();
        for_each_naming(3, &mut |names| {
            let mut claims = base.claims.clone();
            for (speaker, claim) in base.claims.iter().enumerate() {
                claims[names[speaker]] = claim.canonical(names);
            }
            contents.push(task.content(&Puzzle { claims, kinds: 0 }));
        });
        assert_eq!(contents.len(), 6);
        assert!(contents.iter().all(|content| *content == contents[0]), "{contents:?}");
    }

    #[test]
    fn naming_visits_every_permutation() {
        let mut seen = std::collections::BTreeSet::new();
        for_each_naming(4, &mut |names| assert!(seen.insert(names.to_vec())));
        assert_eq!(seen.len(), 24);
    }

    #[test]
    fn people_may_be_named_in_any_order() {
        for text in ["AkBnCk", "CkAkBn", "Ak Bn Ck", "Bn,Ak,Ck"] {
            assert_eq!(normal(text, 3).as_deref(), Some("AkBnCk"), "{text}");
        }
        for text in ["AkBn", "AkBnCkAk", "AkBnCkDk", "AkBnCx", "AkBnC", "akbnck", "kkn", "AkBnCn Cn", ""] {
            assert_eq!(normal(text, 3), None, "{text}");
        }
    }

    #[test]
    fn assignments_are_close_to_uniform() {
        let task = KnightsKnaves::default();
        for split in [Split::Train, Split::Eval] {
            let mut counts = std::collections::BTreeMap::new();
            for n in 0..2_000 {
                *counts.entry(task.example(split, Key::new(n)).answer).or_insert(0u32) += 1;
            }
            assert_eq!(counts.len(), 8);
            assert!(counts.values().all(|&c| c < 320), "{counts:?}");
        }
    }

    #[test]
    fn unusable_configurations_are_refused() {
        for people in [Bounds::new(1, 2), Bounds::new(3, 7), Bounds::new(4, 3)] {
            assert!(KnightsKnaves { people, ..KnightsKnaves::default() }.check().is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), near in "[A-Hknx, ]{0,20}", people in 0usize..7) {
            normal(&text, people);
            normal(&near, people);
        }
    }
}
