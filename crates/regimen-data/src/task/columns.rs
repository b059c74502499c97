//! Schoolbook arithmetic as text: what a worked `arith` reply is made of.
//!
//! | step | short | full |
//! |---|---|---|
//! | `47+85` | `47+80=127;127+5=132` | `47+85:7+5=12,4+8+1=13:132` |
//! | `132-27` | `132-20=112;112-7=105` | `132-27:12-7=5,3-1-2=0,1:105` |
//! | `47*8` | `40*8=320;7*8=56;320+56=376` | `47*8:7*8=56,4*8+5=37:376` |
//! | `47*85` | `47*80=3760;47*5=235;3760+235=3995` | `47*85:7*5=35,4*5+3=23:235;7*8=56,4*8+5=37:3760;235+3760:5+0=5,3+6=9,2+7=9,3:3995` |
//! | `7+5` | `7+5=12` | `7+5=12` |
//!
//! Full: the operation, its columns from the lowest digit on with the carry (or, for `-`, the borrow) written out, and
//! the result. Short: one operand split by place value.

use super::op::{Op, Step};

/// The step with its intermediate results.
pub(super) fn short(step: Step) -> String {
    let Step { a, op, b, .. } = step;
    match op {
        _ if a < 10 && b < 10 => step.to_string(),
        Op::Add | Op::Sub => running(a, op, &places(b)),
        _ if a < 10 || b < 10 => distribute(a.max(b), a.min(b), |place, by| format!("{place}*{by}")),
        _ => distribute(b, a, |place, by| format!("{by}*{place}")),
    }
}

/// The step with its columns.
pub(super) fn full(step: Step) -> String {
    let Step { a, op, b, c } = step;
    match op {
        _ if a < 10 && b < 10 => step.to_string(),
        Op::Add => format!("{a}+{b}:{}:{c}", add_columns(a, b)),
        Op::Sub => format!("{a}-{b}:{}:{c}", sub_columns(a, b)),
        Op::Mul | Op::Div => format!("{a}{}{b}:{}", op.sign(), mul_rows(a, b)),
    }
}

/// `a+80=…;…+5=…`: one place after the other.
fn running(a: u64, op: Op, places: &[u64]) -> String {
    let mut value = a;
    let steps = places.iter().filter_map(|&place| {
        let step = Step::new(value, op, place)?;
        value = step.c;
        Some(step.to_string())
    });
    steps.collect::<Vec<_>>().join(";")
}

/// The products of `by` with the places of `number`, and their sum.
fn distribute(number: u64, by: u64, write: impl Fn(u64, u64) -> String) -> String {
    let places = places(number);
    let mut parts: Vec<String> = places.iter().map(|&p| format!("{}={}", write(p, by), p * by)).collect();
    if places.len() > 1 {
        let rest: Vec<u64> = places[1..].iter().map(|p| p * by).collect();
        parts.push(running(places[0] * by, Op::Add, &rest));
    }
    parts.join(";")
}

/// 385 → 300, 80, 5; zeros are left out.
fn places(n: u64) -> Vec<u64> {
    let mut places: Vec<u64> =
        digits(n).iter().enumerate().map(|(at, d)| d * 10u64.pow(at as u32)).filter(|&p| p > 0).collect();
    places.reverse();
    places
}

/// Lowest first.
fn digits(n: u64) -> Vec<u64> {
    n.to_string().bytes().rev().map(|b| u64::from(b - b'0')).collect()
}

fn add_columns(a: u64, b: u64) -> String {
    let (a, b) = (digits(a), digits(b));
    let mut carry = 0;
    let mut columns = Vec::new();
    for at in 0..a.len().max(b.len()) {
        let carried = (carry > 0).then_some(carry);
        let parts: Vec<u64> =
            [a.get(at).copied(), b.get(at).copied(), carried].into_iter().flatten().collect();
        let sum: u64 = parts.iter().sum();
        columns.push(column(&parts, '+', sum));
        carry = sum / 10;
    }
    columns.join(",")
}

fn sub_columns(a: u64, b: u64) -> String {
    let (a, b) = (digits(a), digits(b));
    let mut borrow = 0;
    let mut columns = Vec::new();
    for (at, &top) in a.iter().enumerate() {
        let taken = borrow + b.get(at).copied().unwrap_or(0);
        let top = if top < taken { top + 10 } else { top };
        let borrowed = (borrow > 0).then_some(borrow);
        let parts: Vec<u64> = [Some(top), borrowed, b.get(at).copied()].into_iter().flatten().collect();
        columns.push(column(&parts, '-', top - taken));
        borrow = u64::from(top >= 10);
    }
    columns.join(",")
}

/// `a+b+1=c`, or the digit alone where there is nothing to do.
fn column(parts: &[u64], sign: char, result: u64) -> String {
    let written: Vec<String> = parts.iter().map(u64::to_string).collect();
    let equals = if parts.len() > 1 { format!("={result}") } else { String::new() };
    written.join(&sign.to_string()) + &equals
}

/// One row for each digit of the shorter factor but 0, then their running sum.
fn mul_rows(a: u64, b: u64) -> String {
    let (a, b) = if digits(a).len() < digits(b).len() { (b, a) } else { (a, b) };
    let mut rows = Vec::new();
    let mut sums = Vec::new();
    let mut total = 0;
    for (at, digit) in digits(b).into_iter().enumerate().filter(|&(_, d)| d > 0) {
        let row = a * digit * 10u64.pow(at as u32);
        rows.push(format!("{}:{row}", mul_columns(a, digit)));
        if total > 0 {
            sums.push(full(Step { a: total, op: Op::Add, b: row, c: total + row }));
        }
        total += row;
    }
    rows.extend(sums);
    rows.join(";")
}

fn mul_columns(a: u64, digit: u64) -> String {
    let mut carry = 0;
    let mut columns = Vec::new();
    for d in digits(a) {
        let product = d * digit + carry;
        let plus = if carry > 0 { format!("+{carry}") } else { String::new() };
        columns.push(format!("{d}*{digit}{plus}={product}"));
        carry = product / 10;
    }
    columns.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(a: u64, op: Op, b: u64) -> Step {
        Step::new(a, op, b).unwrap()
    }

    #[test]
    fn writes_what_the_table_above_says() {
        for (a, op, b, short_text, full_text) in [
            (47, Op::Add, 85, "47+80=127;127+5=132", "47+85:7+5=12,4+8+1=13:132"),
            (132, Op::Sub, 27, "132-20=112;112-7=105", "132-27:12-7=5,3-1-2=0,1:105"),
            (47, Op::Mul, 8, "40*8=320;7*8=56;320+56=376", "47*8:7*8=56,4*8+5=37:376"),
            (
                47,
                Op::Mul,
                85,
                "47*80=3760;47*5=235;3760+235=3995",
                "47*85:7*5=35,4*5+3=23:235;7*8=56,4*8+5=37:3760;235+3760:5+0=5,3+6=9,2+7=9,3:3995",
            ),
            (7, Op::Add, 5, "7+5=12", "7+5=12"),
            (100, Op::Sub, 7, "100-7=93", "100-7:10-7=3,10-1=9,1-1=0:93"),
            (132, Op::Add, 5, "132+5=137", "132+5:2+5=7,3,1:137"),
            (8, Op::Mul, 40, "40*8=320", "8*40:0*8=0,4*8=32:320"),
        ] {
            assert_eq!(short(step(a, op, b)), short_text);
            assert_eq!(full(step(a, op, b)), full_text);
        }
    }

    /// Every `left=right` of a text, evaluated from left to right within a product's column (`4*8+5`).
    fn every_equation_holds(text: &str) -> bool {
        text.split([';', ',', ':']).filter_map(|part| part.split_once('=')).all(|(left, right)| {
            super::super::expression::read(left).and_then(|r| r.value) == right.parse().ok()
        })
    }

    proptest! {
        #[test]
        fn every_written_equation_is_true(a in 0u64..10_000, b in 1u64..1_000) {
            let (a, b) = (a.max(b), a.min(b));
            for op in [Op::Add, Op::Sub, Op::Mul] {
                let step = step(a, op, b);
                for text in [short(step), full(step)] {
                    prop_assert!(every_equation_holds(&text), "{}", text);
                    prop_assert!(text.ends_with(&step.c.to_string()) || b == 0, "{}", text);
                }
            }
        }
    }
}
