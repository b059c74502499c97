//! `chain-arith`: a chain of assignments, each of which needs the one before, modulo a small number.
//!
//! ```text
//! a=3;b=a+4;c=b*3;d=c-a;d?   none   #8
//!                            short  a=3;b=7;c=1;d=8#8
//!                            full   a=3;b=3+4=7;c=7*3=21=1;d=1-3=-2=8#8
//! ```
//! All values are modulo `modulus`; one other than 10 is written: `…;d%7?`. Each variable is the one before it plus,
//! minus or times a constant, or plus or minus an earlier variable. Factors share no divisor with the modulus, so no
//! factor forgets what came before it. `distractors` are further variables that the question does not need (a full
//! working leaves them out); `shuffled` puts the assignments in any order; `renamed` gives the letters out at random
//! instead of from `a` on. With `checks`, some steps are written once more at the end: `…;check:c=7*3=21=1#8`.
//!
//! *Level*: the number of variables in the chain.
//!
//! *Content*: the chain alone, without names, order and distractors.
//!
//! *Guess rate*: answers are uniform, so 1 / modulus: 10 % by default. (The modulus is 5 or more.)

use std::ops::RangeInclusive;

use regimen_base::{Key, Result, Rng, Split};
use serde::{Deserialize, Serialize};

use super::answer::{judge, natural};
use super::problem::{Item, Problems, alphabet};
use super::solution::check_worked;
use super::{Bounds, Judgement, Op, Solution, Task};
use crate::Example;

/// The modulus that a prompt need not say.
const USUAL_MODULUS: u32 = 10;
/// Draws for one wanted answer, before another is wanted: short chains may not reach all.
const PATIENCE: u64 = 5_000;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// The task `chain-arith`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChainArith {
    /// Variables in the chain, 2 to 16.
    pub vars: Bounds,
    /// What values are taken modulo, 5 to 100.
    pub modulus: u32,
    /// Variables beside the chain, 0 to 10.
    pub distractors: Bounds,
    /// Whether assignments stand in any order, not only after what they need.
    pub shuffled: bool,
    /// Whether letters are given out at random, not from `a` on.
    pub renamed: bool,
    /// The working of the gold reply.
    pub solution: Solution,
    /// The share of items that show it; the others have a bare answer.
    pub worked: f64,
    /// Steps that a worked reply writes once more, 0 to 4.
    pub checks: Bounds,
}

impl Default for ChainArith {
    fn default() -> Self {
        Self {
            vars: Bounds::new(2, 5),
            modulus: USUAL_MODULUS,
            distractors: Bounds::new(0, 0),
            shuffled: false,
            renamed: false,
            solution: Solution::None,
            worked: 1.0,
            checks: Bounds::new(0, 0),
        }
    }
}

/// What stands right of an operation.
#[derive(Clone, Copy)]
enum Right {
    Constant(u32),
    /// A variable, by its place in the chain.
    Earlier(usize),
}

/// `first`, then each variable from the one before.
pub(super) struct Chain {
    first: u32,
    links: Vec<(Op, Right)>,
    /// The values of all variables.
    values: Vec<u32>,
}

impl ChainArith {
    fn reduce(&self, op: Op, a: u32, b: u32) -> (i64, u32) {
        let (a, b) = (i64::from(a), i64::from(b));
        let raw = match op {
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul | Op::Div => a * b,
        };
        (raw, raw.rem_euclid(i64::from(self.modulus)) as u32)
    }

    /// A constant's operation: the factors are those that lose nothing.
    fn constant(&self, rng: &mut Rng) -> (Op, u32) {
        let units: Vec<u32> = (2..self.modulus).filter(|&n| gcd(n, self.modulus) == 1).collect();
        match rng.below(3) {
            0 => (Op::Add, 1 + rng.below(u64::from(self.modulus) - 1) as u32),
            1 => (Op::Sub, 1 + rng.below(u64::from(self.modulus) - 1) as u32),
            _ => (Op::Mul, rng.pick(&units).copied().unwrap_or(1)),
        }
    }

    fn link(&self, place: usize, rng: &mut Rng) -> (Op, Right) {
        if place >= 2 && rng.chance(1.0 / 3.0) {
            let op = if rng.chance(0.5) { Op::Add } else { Op::Sub };
            return (op, Right::Earlier(rng.index(place - 1)));
        }
        let (op, constant) = self.constant(rng);
        (op, Right::Constant(constant))
    }

    fn chain(&self, length: u32, rng: &mut Rng) -> Chain {
        let first = rng.below(u64::from(self.modulus)) as u32;
        let mut chain = Chain { first, links: Vec::new(), values: vec![first] };
        for place in 1..length as usize {
            let (op, right) = self.link(place, rng);
            let (_, value) = self.reduce(op, chain.values[place - 1], chain.right(right));
            chain.links.push((op, right));
            chain.values.push(value);
        }
        chain
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Chain {
    fn right(&self, right: Right) -> u32 {
        match right {
            Right::Constant(n) => n,
            Right::Earlier(place) => self.values[place],
        }
    }

    fn answer(&self) -> u32 {
        self.values[self.links.len()]
    }
}

impl Problems for ChainArith {
    type Problem = Chain;
    const KIND: &'static str = "chain-arith";

    fn draw(&self, key: Key, attempt: u64) -> Option<Chain> {
        let length = self.vars.draw(key.child("vars"));
        let wanted = key.child("answer").at(attempt / PATIENCE).rng().below(u64::from(self.modulus)) as u32;
        let chain = self.chain(length, &mut key.at(attempt).rng());
        (chain.answer() == wanted).then_some(chain)
    }

    fn content(&self, chain: &Chain) -> String {
        let links = chain.links.iter().map(|&(op, right)| match right {
            Right::Constant(n) => format!(";{}{n}", op.sign()),
            Right::Earlier(place) => format!(";{}v{place}", op.sign()),
        });
        format!("{}%{}{}", chain.first, self.modulus, links.collect::<String>())
    }
}

/// The letters of an item's variables and its assignments in the order of the prompt.
struct Layout {
    /// Letters of the chain's variables.
    letters: Vec<char>,
    assignments: Vec<String>,
}

impl ChainArith {
    fn layout(&self, chain: &Chain, key: Key) -> Layout {
        let mut rng = key.child("layout").rng();
        let chained = chain.values.len();
        let total = chained + self.distractors.draw(key.child("distractors")) as usize;
        let mut letters: Vec<char> = LETTERS.chars().take(total).collect();
        if self.renamed {
            rng.shuffle(&mut letters);
        }
        let places = choose(chained, total, &mut rng);
        let names: Vec<char> = places.iter().map(|&place| letters[place]).collect();
        let mut assignments: Vec<String> = (0..total)
            .map(|place| match places.binary_search(&place) {
                Ok(link) => format!("{}={}", letters[place], chained_right(chain, link, &names)),
                Err(_) => format!("{}={}", letters[place], self.loose_right(&letters[..place], &mut rng)),
            })
            .collect();
        if self.shuffled {
            rng.shuffle(&mut assignments);
        }
        Layout { letters: names, assignments }
    }

    /// The right side of a distractor, which may need any variable before it.
    fn loose_right(&self, before: &[char], rng: &mut Rng) -> String {
        match rng.pick(before) {
            Some(letter) if rng.chance(0.7) => {
                let (op, constant) = self.constant(rng);
                format!("{letter}{}{constant}", op.sign())
            }
            _ => rng.below(u64::from(self.modulus)).to_string(),
        }
    }

    fn prompt(&self, layout: &Layout) -> String {
        let asked = layout.letters.last().copied().unwrap_or('a');
        let modulus =
            if self.modulus == USUAL_MODULUS { String::new() } else { format!("%{}", self.modulus) };
        format!("{};{asked}{modulus}?", layout.assignments.join(";"))
    }

    fn working(&self, solution: Solution, chain: &Chain, letters: &[char], key: Key) -> String {
        let places = 0..chain.values.len();
        let mut lines: Vec<String> = match solution {
            Solution::None => return String::new(),
            Solution::Short => places.map(|p| format!("{}={}", letters[p], chain.values[p])).collect(),
            Solution::Full => places.map(|p| self.step(chain, p, letters)).collect(),
        };
        let mut rng = key.child("check").rng();
        for _ in 0..self.checks.draw(key.child("checks")) {
            let place = 1 + rng.index(chain.links.len());
            lines.push(format!("check:{}", self.step(chain, place, letters)));
        }
        lines.join(";")
    }

    /// `c=7*3=21=1`: values put in, the result, and what is left of it.
    fn step(&self, chain: &Chain, place: usize, letters: &[char]) -> String {
        let letter = letters[place];
        let Some(before) = place.checked_sub(1) else { return format!("{letter}={}", chain.first) };
        let (op, right) = chain.links[before];
        let (a, b) = (chain.values[before], chain.right(right));
        let (raw, value) = self.reduce(op, a, b);
        let reduced = if raw == i64::from(value) { String::new() } else { format!("={value}") };
        format!("{letter}={a}{}{b}={raw}{reduced}", op.sign())
    }
}

/// The right side of the chain's assignment at `link`.
fn chained_right(chain: &Chain, link: usize, names: &[char]) -> String {
    let Some(before) = link.checked_sub(1) else { return chain.first.to_string() };
    let (op, right) = chain.links[before];
    let left = names[before];
    match right {
        Right::Constant(n) => format!("{left}{}{n}", op.sign()),
        Right::Earlier(place) => format!("{left}{}{}", op.sign(), names[place]),
    }
}

/// So many of `0..total`, in order.
fn choose(count: usize, total: usize, rng: &mut Rng) -> Vec<usize> {
    let mut places: Vec<usize> = (0..total).collect();
    rng.shuffle(&mut places);
    places.truncate(count);
    places.sort_unstable();
    places
}

impl Task for ChainArith {
    fn name(&self) -> &'static str {
        Self::KIND
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let (chain, content) = self.settle(split, key);
        let layout = self.layout(&chain, key);
        let solution = self.solution.draw(self.worked, key);
        Item {
            task: Self::KIND,
            content,
            prompt: self.prompt(&layout),
            working: self.working(solution, &chain, &layout.letters, key),
            answer: chain.answer().to_string(),
            format: super::Format::Hash,
            level: chain.values.len() as u32,
            solution,
            columns: vec![("modulus", self.modulus.into())],
        }
        .example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        judge(example, reply, natural)
    }

    fn alphabet(&self) -> String {
        let letters = &LETTERS[..((self.vars.hi + self.distractors.hi) as usize).min(LETTERS.len())];
        let modulus = if self.modulus == USUAL_MODULUS { "" } else { "%" };
        let check = if self.checks.hi > 0 { "check:" } else { "" };
        alphabet(&["0123456789+-*=;?#", letters, modulus, check])
    }

    fn check(&self) -> Result<()> {
        self.vars.check(Self::KIND, "vars", 2..=16)?;
        self.distractors.check(Self::KIND, "distractors", 0..=10)?;
        self.checks.check(Self::KIND, "checks", 0..=4)?;
        Bounds::from(self.modulus).check(Self::KIND, "modulus", 5..=100)?;
        check_worked(Self::KIND, self.worked)?;
        self.probe()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        self.vars.lo..=self.vars.hi
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;
    use std::collections::BTreeMap;

    fn texts(task: &ChainArith, n: u64) -> (String, String, String) {
        let example = task.example(Split::Train, Key::new(n));
        let Body::Messages(messages) = example.body else { panic!("no messages") };
        (messages[0].content.clone(), messages[1].content.clone(), example.answer.unwrap())
    }

    /// Carries out the prompt's assignments as soon as their right sides are known.
    fn run(prompt: &str) -> i64 {
        let (text, asked) = prompt.trim_end_matches('?').rsplit_once(';').unwrap();
        let (asked, modulus) = asked.split_once('%').unwrap_or((asked, "10"));
        let modulus: i64 = modulus.parse().unwrap();
        let mut values: BTreeMap<String, i64> = BTreeMap::new();
        let assignments: Vec<(&str, &str)> = text.split(';').map(|a| a.split_once('=').unwrap()).collect();
        for _ in 0..assignments.len() {
            for (name, right) in &assignments {
                let known = |side: &str| side.parse().ok().or_else(|| values.get(side).copied());
                let value = match right.find(['+', '-', '*']) {
                    None => known(right),
                    Some(at) => match (known(&right[..at]), known(&right[at + 1..]), right.as_bytes()[at]) {
                        (Some(a), Some(b), b'+') => Some(a + b),
                        (Some(a), Some(b), b'-') => Some(a - b),
                        (Some(a), Some(b), _) => Some(a * b),
                        _ => None,
                    },
                };
                if let Some(value) = value {
                    values.insert((*name).to_owned(), value.rem_euclid(modulus));
                }
            }
        }
        values[asked]
    }

    #[test]
    fn writes_the_example_above() {
        let links =
            vec![(Op::Add, Right::Constant(4)), (Op::Mul, Right::Constant(3)), (Op::Sub, Right::Earlier(0))];
        let chain = Chain { first: 3, links, values: vec![3, 7, 1, 8] };
        let task = ChainArith::default();
        let layout = task.layout(&chain, Key::new(0));
        let working = |solution| task.working(solution, &chain, &layout.letters, Key::new(0));
        assert_eq!(task.prompt(&layout), "a=3;b=a+4;c=b*3;d=c-a;d?");
        assert_eq!(working(Solution::Short), "a=3;b=7;c=1;d=8");
        assert_eq!(working(Solution::Full), "a=3;b=3+4=7;c=7*3=21=1;d=1-3=-2=8");
    }

    #[test]
    fn the_prompt_alone_gives_the_answer() {
        let hard = ChainArith {
            distractors: Bounds::new(0, 4),
            shuffled: true,
            renamed: true,
            modulus: 13,
            ..ChainArith::default()
        };
        for task in [ChainArith::default(), hard] {
            for n in 0..300 {
                let (prompt, _, answer) = texts(&task, n);
                assert_eq!(run(&prompt).to_string(), answer, "{prompt}");
            }
        }
    }

    #[test]
    fn the_working_ends_in_the_answer() {
        let task = ChainArith { solution: Solution::Full, ..ChainArith::default() };
        for n in 0..300 {
            let (_, reply, answer) = texts(&task, n);
            let (working, _) = reply.split_once('#').unwrap();
            assert!(working.ends_with(&format!("={answer}")), "{reply}");
        }
    }

    #[test]
    fn names_order_and_distractors_are_no_content() {
        let plain = ChainArith::default();
        let noisy =
            ChainArith { shuffled: true, renamed: true, distractors: Bounds::new(3, 3), ..plain.clone() };
        let content = |task: &ChainArith| task.example(Split::Eval, Key::new(5)).columns["content"].clone();
        assert_eq!(content(&plain), content(&noisy));
    }

    #[test]
    fn answers_are_uniform() {
        let mut counts = [0u32; 10];
        let task = ChainArith::default();
        for n in 0..3_000 {
            counts[texts(&task, n).2.parse::<usize>().unwrap()] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 300.0).powi(2) / 300.0).sum();
        assert!(chi2 < 27.9, "chi2 {chi2} with 9 degrees of freedom"); // p = 0.001
    }

    #[test]
    fn unusable_configurations_are_refused() {
        let chain = ChainArith::default;
        for bad in [
            ChainArith { vars: Bounds::new(1, 3), ..chain() },
            ChainArith { modulus: 2, ..chain() },
            ChainArith { distractors: Bounds::new(0, 11), ..chain() },
            ChainArith { worked: -0.1, ..chain() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
