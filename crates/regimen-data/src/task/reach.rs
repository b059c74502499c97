//! Which expression over some numbers has a wanted value: the search behind `countdown`.

use regimen_base::Rng;

use super::op::{Op, Step};

/// No value on the way is above this.
const LARGEST: u64 = 9_999;

/// One number of the pool: given, or made by a step.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Number(u64),
    Made(Op, Box<Node>, Box<Node>),
}

/// A way to the target: its steps, and the same as one expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path {
    pub steps: Vec<Step>,
    pub expression: String,
}

/// The first way to `target` in a fixed order; with `use_all` one that uses every number. No step multiplies or divides
/// by 1, and none gives 0.
pub(super) fn reach(numbers: &[u64], target: u64, use_all: bool) -> Option<Path> {
    let mut moves = Vec::new();
    search(numbers, target, use_all, &mut moves).then(|| replay(numbers, &moves))
}

/// A way that some reckless player might try: steps by chance until one number is left.
pub(super) fn wander(numbers: &[u64], rng: &mut Rng) -> Vec<Step> {
    let mut pool = numbers.to_vec();
    let mut steps = Vec::new();
    while pool.len() > 1 {
        let options: Vec<Move> = moves(&pool).collect();
        let Some(&chosen) = rng.pick(&options) else { break };
        steps.push(chosen.step);
        pool = chosen.after(&pool);
    }
    steps
}

/// A step with the places of its operands in the pool.
#[derive(Clone, Copy)]
struct Move {
    a: usize,
    b: usize,
    step: Step,
}

impl Move {
    /// The pool without the operands, with the result at its end.
    fn after(self, pool: &[u64]) -> Vec<u64> {
        let kept = pool.iter().enumerate().filter(|&(at, _)| at != self.a && at != self.b).map(|(_, &n)| n);
        kept.chain([self.step.c]).collect()
    }
}

fn moves(pool: &[u64]) -> impl Iterator<Item = Move> {
    let pairs = (0..pool.len()).flat_map(move |i| (i + 1..pool.len()).map(move |j| (i, j)));
    pairs.flat_map(move |(i, j)| {
        let (a, b) = if pool[i] >= pool[j] { (i, j) } else { (j, i) };
        Op::ALL.into_iter().filter_map(move |op| {
            let step = Step::new(pool[a], op, pool[b])?;
            let idle = op.is_product() && step.b == 1;
            (!idle && step.c > 0 && step.c <= LARGEST).then_some(Move { a, b, step })
        })
    })
}

fn search(pool: &[u64], target: u64, use_all: bool, found: &mut Vec<Move>) -> bool {
    if (!use_all || pool.len() == 2)
        && let Some(last) = moves(pool).find(|m| m.step.c == target)
    {
        found.push(last);
        return true;
    }
    if pool.len() == 2 {
        return false;
    }
    moves(pool).any(|m| {
        found.push(m);
        search(&m.after(pool), target, use_all, found) || {
            found.pop();
            false
        }
    })
}

fn replay(numbers: &[u64], moves: &[Move]) -> Path {
    let mut pool: Vec<Node> = numbers.iter().map(|&n| Node::Number(n)).collect();
    for m in moves {
        let made = Node::Made(m.step.op, Box::new(pool[m.a].clone()), Box::new(pool[m.b].clone()));
        pool.remove(m.a.max(m.b));
        pool.remove(m.a.min(m.b));
        pool.push(made);
    }
    let expression = pool.last().map_or_else(String::new, Node::write);
    Path { steps: moves.iter().map(|m| m.step).collect(), expression }
}

impl Node {
    /// With no more brackets than it needs.
    fn write(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Made(op, a, b) => {
                let left = a.bracketed(op.is_product() && !a.binds());
                let right = b.bracketed(match op {
                    Op::Add => false,
                    Op::Sub | Op::Mul => !b.binds(),
                    Op::Div => !matches!(**b, Self::Number(_)),
                });
                format!("{left}{}{right}", op.sign())
            }
        }
    }

    fn bracketed(&self, brackets: bool) -> String {
        if brackets { format!("({})", self.write()) } else { self.write() }
    }

    /// Whether it needs no brackets as a factor.
    fn binds(&self) -> bool {
        !matches!(self, Self::Made(Op::Add | Op::Sub, ..))
    }
}

#[cfg(test)]
mod tests {
    use super::super::expression::read;
    use super::*;
    use proptest::prelude::*;
    use regimen_base::Key;

    #[test]
    fn finds_a_way_where_there_is_one() {
        let path = reach(&[3, 5, 7], 26, true).unwrap();
        assert_eq!(path.steps.len(), 2);
        assert_eq!(read(&path.expression).unwrap().value, Some(26));
        assert_eq!(reach(&[1, 1, 1], 50, false), None);
        assert_eq!(reach(&[2, 3, 10], 6, false).unwrap().steps.len(), 1);
        assert_eq!(reach(&[2, 3, 10], 6, true), None);
    }

    proptest! {
        #[test]
        fn the_expression_has_the_value_of_its_steps(
            numbers in prop::collection::vec(1u64..30, 2..5), target in 1u64..100, use_all: bool,
        ) {
            if let Some(path) = reach(&numbers, target, use_all) {
                let reading = read(&path.expression).unwrap();
                prop_assert_eq!(reading.value, Some(target as i64), "{}", path.expression);
                prop_assert_eq!(path.steps.last().unwrap().c, target);
                prop_assert_eq!(reading.numbers.len(), path.steps.len() + 1);
                prop_assert!(!use_all || reading.numbers.len() == numbers.len());
            }
        }

        #[test]
        fn wandering_stays_within_the_numbers(numbers in prop::collection::vec(1u64..50, 2..6), seed: u64) {
            for step in wander(&numbers, &mut Key::new(seed).rng()) {
                prop_assert_eq!(step.op.apply(step.a, step.b), Some(step.c));
            }
        }
    }
}
