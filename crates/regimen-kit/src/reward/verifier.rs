//! `verifier`: what the task's own judge says of the reply.

use regimen_core::episode::Group;
use regimen_core::registry::Piece;
use regimen_core::reward::{Judge, Outcome, Reward};
use regimen_recipe::{KindSpec, Room};

/// The verifier's score in [0, 1].
pub struct Verifier;

impl Reward for Verifier {
    fn score(&self, group: &Group, judge: Judge) -> Vec<Outcome> {
        let score = |e: &regimen_core::Episode| match judge(&group.example, &e.text) {
            Some(judgement) => Outcome::Score(judgement.score),
            None => Outcome::Error("this data has no verifier and no `answer` column".to_owned()),
        };
        group.episodes.iter().map(score).collect()
    }
}

pub(super) const PIECE: Piece<dyn Reward> = Piece {
    spec: KindSpec::new(Room::Reward, "verifier", "what the task's own judge says of the reply, 0 to 1", &[])
        .example(r#"{ kind = "verifier", weight = 1.0 }"#),
    build: |_, _| Ok(Box::new(Verifier)),
};
