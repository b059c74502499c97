//! `arith`: sums, differences and products of natural numbers.
//!
//! ```text
//! 47+85=      none   #132
//!             short  47+80=127;127+5=132#132
//!             full   47+85:7+5=12,4+8+1=13:132#132
//! 60-4*7=     none   #32
//!             short  4*7=28;60-20=40;40-8=32#32
//!             full   4*7=28;60-28:10-8=2,6-1-2=3:32#32
//! ```
//! Products come first, then sums from left to right; [`columns`] says how one operation is written. Problems whose
//! running total falls below 0 are not drawn, so every number is natural. With `checks`, some operations of the working
//! are tested at its end: `47+85:7+5=12,4+8+1=13:132;check:132-85=47#132`.
//!
//! *Level*: the digits of all operands, and for each product also the pairs of digits that it multiplies: `7+5` is 2,
//! `47+85` 4, `47*8` 5, `347*85` 11.
//!
//! *Content*: the terms in any order, and the factors of each in any order: `47+85` and `85+47` share a split.
//!
//! *Guess rate*: the best constant answer is right in under 4 % of the default items (two or three numbers of one or
//! two digits). Two single digits are few problems: there it is right in up to 15 %, with `+` alone 22 %.

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result, Rng, Split};
use serde::{Deserialize, Serialize};

use super::answer::{judge, natural};
use super::op::Step;
use super::problem::{Item, Problems, alphabet};
use super::solution::check_worked;
use super::{Bounds, Format, Judgement, Op, Solution, Task, columns};
use crate::Example;

/// No value on the way to an answer is above this.
const LARGEST: u64 = 1_000_000_000_000;

/// The task `arith`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Arith {
    /// The operations, of `+`, `-` and `*`.
    pub ops: Vec<Op>,
    /// Digits of each operand, 1 to 6.
    pub digits: Bounds,
    /// The most digits of a factor behind `*`, 1 to 6: what keeps the working of products short.
    pub factor: u32,
    /// Operands of each problem, 2 to 8.
    pub terms: Bounds,
    /// The working of the gold reply.
    pub solution: Solution,
    /// The share of items that show it; the others have a bare answer.
    pub worked: f64,
    /// Check lines in each worked reply, 0 to 4.
    pub checks: Bounds,
    /// How gold replies mark the answer, one drawn for each item; the verifier takes any one of them.
    pub formats: Vec<Format>,
}

impl Default for Arith {
    fn default() -> Self {
        Self {
            ops: vec![Op::Add, Op::Sub, Op::Mul],
            digits: Bounds::new(1, 2),
            factor: 1,
            terms: Bounds::new(2, 3),
            solution: Solution::None,
            worked: 1.0,
            checks: Bounds::new(0, 0),
            formats: vec![Format::Hash],
        }
    }
}

/// `first op operand op operand …`
pub(super) struct Sum {
    first: u64,
    rest: Vec<(Op, u64)>,
}

impl Problems for Arith {
    type Problem = Sum;
    const KIND: &'static str = "arith";

    fn draw(&self, key: Key, attempt: u64) -> Option<Sum> {
        let terms = self.terms.draw(key.child("terms"));
        let mut rng = key.at(attempt).rng();
        let first = number(&mut rng, self.digits);
        let rest = (1..terms).map(|_| {
            let op = *rng.pick(&self.ops)?;
            let most = if op == Op::Mul { self.factor } else { u32::MAX };
            Some((op, number(&mut rng, Bounds::new(self.digits.lo.min(most), self.digits.hi.min(most)))))
        });
        let sum = Sum { first, rest: rest.collect::<Option<_>>()? };
        sum.steps().is_some().then_some(sum)
    }

    fn content(&self, sum: &Sum) -> String {
        let mut terms: Vec<String> =
            sum.products().into_iter().map(|(op, factors)| term(op, factors)).collect();
        terms.sort_unstable();
        terms.concat()
    }
}

fn term(op: Op, mut factors: Vec<u64>) -> String {
    factors.sort_unstable();
    let factors: Vec<String> = factors.iter().map(u64::to_string).collect();
    format!("{}{}", op.sign(), factors.join("*"))
}

/// A natural number above 0 of so many digits.
fn number(rng: &mut Rng, digits: Bounds) -> u64 {
    let length = rng.range(i64::from(digits.lo), i64::from(digits.hi)) as u32;
    let least = 10i64.pow(length - 1);
    rng.range(least, least * 10 - 1) as u64
}

impl Sum {
    /// The terms with their signs, each as its factors.
    fn products(&self) -> Vec<(Op, Vec<u64>)> {
        let mut terms = vec![(Op::Add, vec![self.first])];
        for &(op, operand) in &self.rest {
            match terms.last_mut() {
                Some((_, factors)) if op == Op::Mul => factors.push(operand),
                _ => terms.push((op, vec![operand])),
            }
        }
        terms
    }

    /// The operations in the order of the working; `None` where a value is below 0 or too large.
    fn steps(&self) -> Option<Vec<Step>> {
        let mut steps = Vec::with_capacity(self.rest.len());
        let mut carry_out = |a, op, b| {
            let step = Step::new(a, op, b).filter(|s| s.c <= LARGEST)?;
            steps.push(step);
            Some(step.c)
        };
        let mut terms = Vec::with_capacity(self.rest.len() + 1);
        for (op, factors) in self.products() {
            let product = factors[1..].iter().try_fold(factors[0], |a, &b| carry_out(a, Op::Mul, b))?;
            terms.push((op, product));
        }
        terms[1..].iter().try_fold(terms[0].1, |a, &(op, b)| carry_out(a, op, b))?;
        Some(steps)
    }

    fn prompt(&self) -> String {
        let mut prompt = self.first.to_string();
        for (op, operand) in &self.rest {
            prompt.push(op.sign());
            prompt += &operand.to_string();
        }
        prompt + "="
    }

    fn level(&self) -> u32 {
        let digits = |n: u64| n.to_string().len() as u32;
        let mut level = digits(self.first);
        let mut left = level;
        for &(op, operand) in &self.rest {
            let right = digits(operand);
            level += right + if op == Op::Mul { left * right } else { 0 };
            left = right;
        }
        level
    }
}

/// What undoes the step, or for a product the same with its factors swapped.
fn check_line(step: Step) -> String {
    let Step { a, op, b, c } = step;
    match op {
        Op::Add => format!(";check:{c}-{b}={a}"),
        Op::Sub => format!(";check:{c}+{b}={a}"),
        Op::Mul | Op::Div => format!(";check:{b}*{a}={c}"),
    }
}

impl Arith {
    fn working(&self, solution: Solution, steps: &[Step], key: Key) -> String {
        let write = match solution {
            Solution::None => return String::new(),
            Solution::Short => columns::short,
            Solution::Full => columns::full,
        };
        let mut working = steps.iter().map(|&step| write(step)).collect::<Vec<_>>().join(";");
        let mut rng = key.child("check").rng();
        for _ in 0..self.checks.draw(key.child("checks")) {
            working.extend(rng.pick(steps).map(|&step| check_line(step)));
        }
        working
    }

    fn check_ops(&self) -> Result<()> {
        if !self.ops.is_empty() && !self.ops.contains(&Op::Div) {
            return Ok(());
        }
        let ops: String = self.ops.iter().map(|op| op.sign()).collect();
        Err(Error::usage(format!("`ops` of task `arith` is \"{ops}\""))
            .remedy("write some of \"+\", \"-\" and \"*\""))
    }
}

impl Task for Arith {
    fn name(&self) -> &'static str {
        Self::KIND
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let (sum, content) = self.settle(split, key);
        let steps = sum.steps().expect("only sums with natural steps are drawn");
        let solution = self.solution.draw(self.worked, key);
        let format = key.child("format").rng().pick(&self.formats).copied().unwrap_or_default();
        Item {
            task: Self::KIND,
            content,
            prompt: sum.prompt(),
            working: self.working(solution, &steps, key),
            answer: steps.last().map_or(sum.first, |step| step.c).to_string(),
            format,
            level: sum.level(),
            solution,
            columns: vec![("formats", serde_json::json!(self.formats))],
        }
        .example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        judge(example, reply, natural)
    }

    fn alphabet(&self) -> String {
        let mut texts = vec!["0123456789+-*=:;,"];
        texts.extend(self.formats.iter().flat_map(|f| <[&str; 2]>::from(f.marks())));
        if self.checks.hi > 0 {
            texts.push("check");
        }
        alphabet(&texts)
    }

    fn check(&self) -> Result<()> {
        self.check_ops()?;
        self.digits.check(Self::KIND, "digits", 1..=6)?;
        self.terms.check(Self::KIND, "terms", 2..=8)?;
        self.checks.check(Self::KIND, "checks", 0..=4)?;
        Bounds::from(self.factor).check(Self::KIND, "factor", 1..=6)?;
        check_worked(Self::KIND, self.worked)?;
        if self.formats.is_empty() {
            return Err(Error::usage("`formats` of task `arith` is empty").remedy("write [\"hash\"]"));
        }
        self.probe()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        let products =
            if self.ops.contains(&Op::Mul) { self.digits.hi * self.digits.hi.min(self.factor) } else { 0 };
        let (least, most) = (self.digits.lo.min(self.factor), self.digits.hi);
        self.terms.lo * least..=self.terms.hi * most + (self.terms.hi - 1) * products
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(first: u64, rest: &[(Op, u64)]) -> Sum {
        Sum { first, rest: rest.to_vec() }
    }

    #[test]
    fn writes_the_examples_above() {
        let task = Arith { checks: Bounds::new(1, 1), ..Arith::default() };
        let working =
            |task: &Arith, sum: &Sum, solution| task.working(solution, &sum.steps().unwrap(), Key::new(0));
        let (one, two) = (sum(47, &[(Op::Add, 85)]), sum(60, &[(Op::Sub, 4), (Op::Mul, 7)]));
        assert_eq!((one.prompt(), two.prompt()), ("47+85=".to_owned(), "60-4*7=".to_owned()));
        assert_eq!(working(&Arith::default(), &one, Solution::Full), "47+85:7+5=12,4+8+1=13:132");
        assert_eq!(working(&task, &one, Solution::Full), "47+85:7+5=12,4+8+1=13:132;check:132-85=47");
        assert_eq!(working(&task, &one, Solution::None), "");
        assert_eq!(working(&Arith::default(), &two, Solution::Short), "4*7=28;60-20=40;40-8=32");
        assert_eq!(working(&Arith::default(), &two, Solution::Full), "4*7=28;60-28:10-8=2,6-1-2=3:32");
    }

    #[test]
    fn products_come_first() {
        let steps = sum(60, &[(Op::Sub, 4), (Op::Mul, 7), (Op::Add, 1)]).steps().unwrap();
        let text: Vec<String> = steps.iter().map(Step::to_string).collect();
        assert_eq!(text, ["4*7=28", "60-28=32", "32+1=33"]);
        assert_eq!(sum(4, &[(Op::Sub, 7), (Op::Add, 9)]).steps(), None);
    }

    #[test]
    fn the_order_of_terms_and_factors_is_no_content() {
        let task = Arith::default();
        let a = task.content(&sum(12, &[(Op::Add, 3), (Op::Mul, 5), (Op::Sub, 4)]));
        let b = task.content(&sum(5, &[(Op::Mul, 3), (Op::Sub, 4), (Op::Add, 12)]));
        assert_eq!(a, b);
        assert_ne!(a, task.content(&sum(12, &[(Op::Add, 3), (Op::Mul, 4), (Op::Sub, 5)])));
    }

    #[test]
    fn levels_count_digits() {
        assert_eq!(sum(7, &[(Op::Add, 5)]).level(), 2);
        assert_eq!(sum(47, &[(Op::Mul, 8)]).level(), 5);
        assert_eq!(sum(347, &[(Op::Mul, 85)]).level(), 11);
    }

    #[test]
    fn check_lines_are_true() {
        for (a, op, b) in [(47, Op::Add, 85), (60, Op::Sub, 28), (47, Op::Mul, 8)] {
            let line = check_line(Step::new(a, op, b).unwrap());
            let (left, right) = line.strip_prefix(";check:").unwrap().split_once('=').unwrap();
            assert_eq!(super::super::expression::read(left).unwrap().value, right.parse().ok(), "{line}");
        }
    }

    #[test]
    fn unusable_configurations_are_refused() {
        let arith = Arith::default;
        for bad in [
            Arith { ops: vec![], ..arith() },
            Arith { ops: vec![Op::Div], ..arith() },
            Arith { digits: Bounds::new(0, 2), ..arith() },
            Arith { terms: Bounds::new(3, 2), ..arith() },
            Arith { worked: 1.5, ..arith() },
            Arith { worked: f64::NAN, ..arith() },
            Arith { formats: vec![], ..arith() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reads_its_fields_from_a_recipe() {
        let read = serde_json::from_str::<Arith>;
        let task = read(r#"{"ops": ["+"], "digits": 2, "solution": "full", "formats": ["square"]}"#).unwrap();
        assert_eq!(
            (task.ops, task.digits, task.solution),
            (vec![Op::Add], Bounds::new(2, 2), Solution::Full)
        );
        assert!(read(r#"{"digit": 2}"#).is_err());
    }
}
