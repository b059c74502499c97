//! What knights and knaves say, and whether it is true.

use std::fmt;

use regimen_base::Rng;

/// Who is a knight: bit `i` for person `i`.
pub(super) type Kinds = u32;

/// `Bk` or `Bn`: what one person is said to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Atom {
    pub person: usize,
    pub knight: bool,
}

/// What somebody says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Claim {
    /// `Bn`
    Is(Atom),
    /// `Bk&Cn`
    And(Atom, Atom),
    /// `Bk|Cn`
    Or(Atom, Atom),
    /// `Bk>Cn`: if the first then the second
    If(Atom, Atom),
    /// `B=C`: both of one kind
    Same(usize, usize),
    /// `B!C`: of different kinds
    Differ(usize, usize),
}

/// Person 0 is `A`.
pub(super) fn letter(person: usize) -> char {
    char::from(b'A' + person as u8)
}

/// `k` or `n`.
pub(super) fn kind(knight: bool) -> char {
    if knight { 'k' } else { 'n' }
}

impl Atom {
    fn holds(self, kinds: Kinds) -> bool {
        (kinds >> self.person & 1 == 1) == self.knight
    }

    fn renamed(self, names: &[usize]) -> Self {
        Self { person: names[self.person], ..self }
    }
}

impl Claim {
    /// What `speaker`, one of `people`, may say: about one other person, or about any two.
    pub(super) fn draw(speaker: usize, people: usize, rng: &mut Rng) -> Self {
        let a = rng.index(people);
        let b = (a + 1 + rng.index(people - 1)) % people;
        let (p, q) =
            (Atom { person: a, knight: rng.chance(0.5) }, Atom { person: b, knight: rng.chance(0.5) });
        match rng.below(6) {
            0 => Self::Is(if a == speaker { q } else { p }),
            1 => Self::And(p, q),
            2 => Self::Or(p, q),
            3 => Self::If(p, q),
            4 => Self::Same(a, b),
            _ => Self::Differ(a, b),
        }
    }

    /// Whether it is true.
    pub(super) fn holds(self, kinds: Kinds) -> bool {
        let knight = |person: usize| kinds >> person & 1 == 1;
        match self {
            Self::Is(p) => p.holds(kinds),
            Self::And(p, q) => p.holds(kinds) && q.holds(kinds),
            Self::Or(p, q) => p.holds(kinds) || q.holds(kinds),
            Self::If(p, q) => !p.holds(kinds) || q.holds(kinds),
            Self::Same(a, b) => knight(a) == knight(b),
            Self::Differ(a, b) => knight(a) != knight(b),
        }
    }

    /// The last of the people it is about.
    pub(super) fn last_person(self) -> usize {
        match self {
            Self::Is(p) => p.person,
            Self::And(p, q) | Self::Or(p, q) | Self::If(p, q) => p.person.max(q.person),
            Self::Same(a, b) | Self::Differ(a, b) => a.max(b),
        }
    }

    /// The same with person `i` called `names[i]`, sides in order where order means nothing.
    pub(super) fn canonical(self, names: &[usize]) -> Self {
        let atoms = |p: Atom, q: Atom| {
            let (p, q) = (p.renamed(names), q.renamed(names));
            (p.min(q), p.max(q))
        };
        let people = |a: usize, b: usize| (names[a].min(names[b]), names[a].max(names[b]));
        match self {
            Self::Is(p) => Self::Is(p.renamed(names)),
            Self::And(p, q) => {
                let (p, q) = atoms(p, q);
                Self::And(p, q)
            }
            Self::Or(p, q) => {
                let (p, q) = atoms(p, q);
                Self::Or(p, q)
            }
            Self::If(p, q) => Self::If(p.renamed(names), q.renamed(names)),
            Self::Same(a, b) => {
                let (a, b) = people(a, b);
                Self::Same(a, b)
            }
            Self::Differ(a, b) => {
                let (a, b) = people(a, b);
                Self::Differ(a, b)
            }
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", letter(self.person), kind(self.knight))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Is(p) => write!(f, "{p}"),
            Self::And(p, q) => write!(f, "{p}&{q}"),
            Self::Or(p, q) => write!(f, "{p}|{q}"),
            Self::If(p, q) => write!(f, "{p}>{q}"),
            Self::Same(a, b) => write!(f, "{}={}", letter(a), letter(b)),
            Self::Differ(a, b) => write!(f, "{}!{}", letter(a), letter(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AK: Atom = Atom { person: 0, knight: true };
    const BN: Atom = Atom { person: 1, knight: false };

    /// Truth over nobody, A, B, both being knights.
    fn table(claim: Claim) -> [bool; 4] {
        [0, 1, 2, 3].map(|kinds| claim.holds(kinds))
    }

    #[test]
    fn truth_tables() {
        assert_eq!(table(Claim::Is(BN)), [true, true, false, false]);
        assert_eq!(table(Claim::And(AK, BN)), [false, true, false, false]);
        assert_eq!(table(Claim::Or(AK, BN)), [true, true, false, true]);
        assert_eq!(table(Claim::If(AK, BN)), [true, true, true, false]);
        assert_eq!(table(Claim::Same(0, 1)), [true, false, false, true]);
        assert_eq!(table(Claim::Differ(0, 1)), [false, true, true, false]);
    }

    #[test]
    fn writes_symbols() {
        let texts =
            [Claim::Is(BN), Claim::If(AK, BN), Claim::Same(0, 1), Claim::Differ(1, 0)].map(|c| c.to_string());
        assert_eq!(texts, ["Bn", "Ak>Bn", "A=B", "B!A"]);
    }

    #[test]
    fn sides_are_sorted_only_where_order_means_nothing() {
        assert_eq!(Claim::Or(BN, AK).canonical(&[0, 1]), Claim::Or(AK, BN));
        assert_eq!(Claim::If(BN, AK).canonical(&[0, 1]), Claim::If(BN, AK));
        assert_eq!(Claim::Same(0, 1).canonical(&[1, 0]), Claim::Same(0, 1));
    }
}
