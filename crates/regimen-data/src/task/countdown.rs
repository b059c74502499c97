//! `countdown`: make a target from some numbers with `+ - * /`.
//!
//! ```text
//! 2,5,4->28    none   #(5+2)*4
//!              short  5+2=7,7*4=28#(5+2)*4
//!              full   5*2=10,10*4=40x;5-4=1,2+1=3x;5+2=7,7*4=28#(5+2)*4
//! ```
//! A full working tries one or two ways that fail (`x`), then the one that does not. Each number may be used once, with
//! `use-all` it must be. Any expression with the target's value is right, not only the gold one; a division must be
//! exact, and nothing but the given numbers may occur. The target is none of the numbers.
//!
//! *Level*: how many numbers there are.
//!
//! *Content*: the numbers in any order, and the target.
//!
//! *Guess rate*: no constant answer is right in 1 % of the items. Targets are drawn before it is asked whether the
//! numbers can reach them, so no fixed recipe such as "add them all" is right often: the best of all recipes over three
//! sorted numbers is right in under 10 % of the default items with three.

use std::ops::RangeInclusive;

use regimen_base::{Error, Key, Result, Split};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::judge_by;
use super::op::Step;
use super::problem::{Item, Problems, alphabet};
use super::reach::{reach, wander};
use super::solution::check_worked;
use super::{Bounds, Format, Judgement, Solution, Task, expression};
use crate::Example;

/// The task `countdown`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Countdown {
    /// Numbers of each problem, 3 to 5.
    pub numbers: Bounds,
    /// The largest number, 5 to 100; the least is 1.
    pub max_number: u32,
    /// The target, 1 to 999.
    pub target: Bounds,
    /// Whether a right answer must use every number.
    pub use_all: bool,
    /// The working of the gold reply.
    pub solution: Solution,
    /// The share of items that show it; the others have a bare answer.
    pub worked: f64,
}

impl Default for Countdown {
    fn default() -> Self {
        Self {
            numbers: Bounds::new(3, 4),
            max_number: 20,
            target: Bounds::new(10, 99),
            use_all: false,
            solution: Solution::None,
            worked: 1.0,
        }
    }
}

/// Numbers in the order of the prompt, and what to make of them.
pub(super) struct Puzzle {
    numbers: Vec<u64>,
    target: u64,
}

impl Problems for Countdown {
    type Problem = Puzzle;
    const KIND: &'static str = "countdown";

    fn draw(&self, key: Key, attempt: u64) -> Option<Puzzle> {
        let count = self.numbers.draw(key.child("numbers"));
        let mut rng = key.at(attempt).rng();
        let numbers: Vec<u64> = (0..count).map(|_| 1 + rng.below(u64::from(self.max_number))).collect();
        let target = rng.range(i64::from(self.target.lo), i64::from(self.target.hi)) as u64;
        (!numbers.contains(&target)).then_some(Puzzle { numbers, target })
    }

    fn content(&self, puzzle: &Puzzle) -> String {
        let mut sorted = puzzle.numbers.clone();
        sorted.sort_unstable();
        format!("{}->{}", joined(&sorted), puzzle.target)
    }

    fn accepts(&self, puzzle: &Puzzle) -> bool {
        reach(&puzzle.numbers, puzzle.target, self.use_all).is_some()
    }
}

fn joined(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

fn line(steps: &[Step]) -> String {
    steps.iter().map(Step::to_string).collect::<Vec<_>>().join(",")
}

/// One or two ways that miss the target at every step.
fn failures(puzzle: &Puzzle, key: Key) -> String {
    let mut rng = key.child("failures").rng();
    let count = 1 + rng.index(2);
    let ways = (0..10 * count).map(|_| wander(&puzzle.numbers, &mut rng));
    let misses = ways.filter(|way| !way.is_empty() && way.iter().all(|step| step.c != puzzle.target));
    let mut lines: Vec<String> = misses.map(|way| line(&way) + "x;").collect();
    lines.dedup();
    lines.truncate(count);
    lines.concat()
}

/// Whether an expression with these numbers may be an answer: none but the given, none too often.
fn allowed(used: &[u64], given: &[u64], use_all: bool) -> bool {
    let mut left = given.to_vec();
    let all_given =
        used.iter().all(|n| left.iter().position(|l| l == n).map(|at| left.swap_remove(at)).is_some());
    all_given && (!use_all || left.is_empty())
}

/// Whether `answer` is right for `example`; `None` when it is no expression.
fn right(example: &Example, answer: &str) -> Option<bool> {
    let reading = expression::read(answer)?;
    let column = |name: &str| example.columns.get(name);
    let given: Vec<u64> =
        column("numbers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
    let use_all = column("use-all").and_then(Value::as_bool).unwrap_or(false);
    let hit = reading.value.is_some() && reading.value == column("target").and_then(Value::as_i64);
    Some(hit && allowed(&reading.numbers, &given, use_all))
}

impl Task for Countdown {
    fn name(&self) -> &'static str {
        Self::KIND
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let (puzzle, content) = self.settle(split, key);
        let path = reach(&puzzle.numbers, puzzle.target, self.use_all)
            .expect("only puzzles with a way are accepted");
        let solution = self.solution.draw(self.worked, key);
        let working = match solution {
            Solution::None => String::new(),
            Solution::Short => line(&path.steps),
            Solution::Full => failures(&puzzle, key) + &line(&path.steps),
        };
        Item {
            task: Self::KIND,
            content,
            prompt: format!("{}->{}", joined(&puzzle.numbers), puzzle.target),
            working,
            answer: path.expression,
            format: Format::Hash,
            level: puzzle.numbers.len() as u32,
            solution,
            columns: vec![
                ("numbers", puzzle.numbers.into()),
                ("target", puzzle.target.into()),
                ("use-all", self.use_all.into()),
            ],
        }
        .example()
    }

    fn judge(&self, example: &Example, reply: &str) -> Judgement {
        judge_by(example, reply, |answer| right(example, answer))
    }

    fn alphabet(&self) -> String {
        alphabet(&["0123456789+-*/()=,;x>#"])
    }

    fn check(&self) -> Result<()> {
        self.numbers.check(Self::KIND, "numbers", 3..=5)?;
        self.target.check(Self::KIND, "target", 1..=999)?;
        Bounds::from(self.max_number).check(Self::KIND, "max-number", 5..=100)?;
        check_worked(Self::KIND, self.worked)?;
        if self.target.hi - self.target.lo < 19 {
            let what = format!("`target` of task `countdown` is [{}, {}]", self.target.lo, self.target.hi);
            return Err(Error::usage(what).remedy("let it take 20 values or more, or it can be guessed"));
        }
        self.probe()
    }

    fn levels(&self) -> RangeInclusive<u32> {
        self.numbers.lo..=self.numbers.hi
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Parse;
    use crate::{Body, ExampleId};

    fn example(numbers: &[u64], target: u64, use_all: bool) -> Example {
        let mut example = Example::new(ExampleId { source: 0, index: 0 }, Body::Text(String::new()));
        for (name, value) in
            [("numbers", Value::from(numbers)), ("target", target.into()), ("use-all", use_all.into())]
        {
            example.columns.insert(name.to_owned(), value);
        }
        example
    }

    fn judged(example: &Example, answer: &str) -> (f64, Parse) {
        let judgement = Countdown::default().judge(example, &format!("#{answer}"));
        (judgement.score, judgement.parse)
    }

    #[test]
    fn any_right_expression_is_right() {
        let one = example(&[3, 5, 7, 7], 26, false);
        for answer in ["7*3+5", "5+3*7", "(3*7)+5", " 7 * 3 + 5 "] {
            assert_eq!(judged(&one, answer), (1.0, Parse::Answer), "{answer}");
        }
        assert_eq!(judged(&example(&[3, 5, 7, 7], 8, false), "7/7*(3+5)").0, 1.0);
        for answer in ["26", "13*2", "7*7-23", "3*7+5-7", "5*5+1", "7*3+5*1", "3+3*7+5-3", "21+5"] {
            assert_eq!(judged(&one, answer), (0.0, Parse::Answer), "{answer}");
        }
        for answer in ["7*3+", "7*3+5=26", "x", "-5+31", "7*3+5,5+7*3"] {
            assert_eq!(judged(&one, answer), (0.0, Parse::Malformed), "{answer}");
        }
    }

    #[test]
    fn every_number_once_where_it_says_so() {
        let all = example(&[2, 3, 4], 6, true);
        assert_eq!(judged(&all, "2*3").0, 0.0);
        assert_eq!(judged(&all, "3*4/2").0, 1.0);
        assert_eq!(judged(&all, "3/2*4").0, 0.0, "3/2 is not exact");
    }

    #[test]
    fn writes_the_example_above() {
        let puzzle = Puzzle { numbers: vec![2, 5, 4], target: 28 };
        let path = reach(&puzzle.numbers, puzzle.target, false).unwrap();
        assert_eq!((line(&path.steps).as_str(), path.expression.as_str()), ("5+2=7,7*4=28", "(5+2)*4"));
        let failed = failures(&puzzle, Key::new(0));
        assert!(failed.ends_with("x;") && !failed.contains("=28"), "{failed}");
    }

    #[test]
    fn order_is_no_content() {
        let task = Countdown::default();
        let content = |numbers: &[u64]| task.content(&Puzzle { numbers: numbers.to_vec(), target: 26 });
        assert_eq!(content(&[3, 5, 7]), content(&[7, 3, 5]));
        assert_ne!(content(&[3, 5, 7]), content(&[3, 5, 8]));
    }

    /// Every recipe "this number, that operation, …" over the sorted numbers, used on every item.
    #[test]
    fn no_fixed_recipe_is_right_often() {
        let task = Countdown { numbers: Bounds::new(3, 3), ..Countdown::default() };
        let items: Vec<Example> = (0..3_000).map(|n| task.example(Split::Train, Key::new(n))).collect();
        let mut best = 0.0f64;
        for recipe in recipes() {
            let score: f64 = items.iter().map(|item| judged(item, &apply(&recipe, item)).0).sum();
            best = best.max(score / 3_000.0);
        }
        assert!(best < 0.1, "{best}");
    }

    /// `0`, `1` and `2` stand for the least, the middle and the greatest number.
    fn recipes() -> Vec<String> {
        let mut recipes = Vec::new();
        for order in ["012", "021", "102", "120", "201", "210"] {
            let n: Vec<char> = order.chars().collect();
            for p in "+-*/".chars() {
                recipes.push(format!("{}{p}{}", n[0], n[1]));
                for q in "+-*/".chars() {
                    recipes.push(format!("({}{p}{}){q}{}", n[0], n[1], n[2]));
                    recipes.push(format!("{}{p}({}{q}{})", n[0], n[1], n[2]));
                }
            }
        }
        recipes
    }

    fn apply(recipe: &str, item: &Example) -> String {
        let mut numbers: Vec<u64> =
            item.columns["numbers"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        numbers.sort_unstable();
        let put = |c: char| {
            c.to_digit(10).map_or_else(|| c.to_string(), |place| numbers[place as usize].to_string())
        };
        recipe.chars().map(put).collect()
    }

    #[test]
    fn unusable_configurations_are_refused() {
        let countdown = Countdown::default;
        for bad in [
            Countdown { numbers: Bounds::new(2, 3), ..countdown() },
            Countdown { numbers: Bounds::new(3, 6), ..countdown() },
            Countdown { target: Bounds::new(24, 24), ..countdown() },
            Countdown {
                max_number: 5,
                target: Bounds::new(900, 999),
                numbers: Bounds::new(3, 3),
                ..countdown()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
