//! The four operations of arithmetic on natural numbers.

use serde::{Deserialize, Serialize};

/// An operation; a recipe writes its sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Op {
    /// `+`
    #[serde(rename = "+")]
    Add,
    /// `-`
    #[serde(rename = "-")]
    Sub,
    /// `*`
    #[serde(rename = "*")]
    Mul,
    /// `/`, exact
    #[serde(rename = "/")]
    Div,
}

impl Op {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Add, Self::Sub, Self::Mul, Self::Div];

    /// Its sign.
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
            Self::Div => '/',
        }
    }

    /// The result where it is a natural number (and fits).
    pub fn apply(self, a: u64, b: u64) -> Option<u64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => (b != 0 && a.is_multiple_of(b)).then(|| a / b),
        }
    }

    /// Whether it binds tighter than `+` and `-`.
    pub(super) fn is_product(self) -> bool {
        matches!(self, Self::Mul | Self::Div)
    }
}

/// One operation carried out: `a op b = c`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub a: u64,
    pub op: Op,
    pub b: u64,
    pub c: u64,
}

impl Step {
    /// `a op b`, where the result is a natural number.
    pub(super) fn new(a: u64, op: Op, b: u64) -> Option<Self> {
        Some(Self { a, op, b, c: op.apply(a, b)? })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}={}", self.a, self.op.sign(), self.b, self.c)
    }
}
