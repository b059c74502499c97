//! `format`: whether the reply holds an answer of the expected form, right or wrong, and ended by itself.

use regimen_core::episode::Group;
use regimen_core::registry::Piece;
use regimen_core::reward::{Judge, Outcome, Reward};
use regimen_data::task::Parse;
use regimen_recipe::{KindSpec, Room};

/// 1 for an answer of the right form in a reply that ended by itself, else 0.
pub struct Format;

impl Reward for Format {
    fn score(&self, group: &Group, judge: Judge) -> Vec<Outcome> {
        let score = |e: &regimen_core::Episode| match judge(&group.example, &e.text) {
            Some(j) => Outcome::Score(f64::from(u8::from(j.parse == Parse::Answer && !e.stop.truncated()))),
            None => Outcome::Error("this data has no verifier and no `answer` column".to_owned()),
        };
        group.episodes.iter().map(score).collect()
    }
}

pub(super) const PIECE: Piece<dyn Reward> = Piece {
    spec: KindSpec::new(
        Room::Reward,
        "format",
        "1 when the reply holds an answer of the expected form, right or wrong, and ended by itself",
        &[],
    )
    .example(r#"{ kind = "format", weight = 0.2 }"#),
    build: |_, _| Ok(Box::new(Format)),
};
