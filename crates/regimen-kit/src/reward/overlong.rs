//! `overlong`: the soft punishment of DAPO (Yu et al. 2025, eq. 13), TRL's `get_soft_overlong_punishment`.

use regimen_core::episode::Group;
use regimen_core::registry::Piece;
use regimen_core::reward::{Judge, Outcome, Reward};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// 0 up to `longest − cache` drawn tokens, then falling linearly to −1 at `longest`.
pub struct Overlong {
    /// The length at which the punishment is complete, in tokens.
    pub longest: u64,
    /// Over how many tokens it grows.
    pub cache: u64,
}

impl Overlong {
    fn punishment(&self, length: u64) -> f64 {
        let free = self.longest.saturating_sub(self.cache);
        if length <= free {
            0.0
        } else if length >= self.longest {
            -1.0
        } else {
            -((length - free) as f64) / self.cache as f64
        }
    }
}

impl Reward for Overlong {
    fn score(&self, group: &Group, _: Judge) -> Vec<Outcome> {
        group.episodes.iter().map(|e| Outcome::Score(self.punishment(e.drawn() as u64))).collect()
    }
}

pub(super) const PIECE: Piece<dyn Reward> = Piece {
    spec: KindSpec::new(
        Room::Reward,
        "overlong",
        "a punishment that grows from 0 to −1 over the last tokens before the longest length",
        &[
            Field::new("longest", Ty::Count, "length of complete punishment, in tokens").required(),
            Field::new("cache", Ty::Count, "over how many tokens it grows").required().min(1.0),
        ],
    )
    .source("DAPO, Yu et al. 2025 (arXiv:2503.14476), eq. 13")
    .example(r#"{ kind = "overlong", longest = 96, cache = 24 }"#),
    build: |node, _| Ok(Box::new(Overlong { longest: node.u64("longest"), cache: node.u64("cache") })),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_over_the_cache() {
        let o = Overlong { longest: 100, cache: 20 };
        assert_eq!([80, 90, 100, 150].map(|n| o.punishment(n)), [0.0, -0.5, -1.0, -1.0]);
    }
}
