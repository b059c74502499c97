//! `trace-drop`: leaves out parts of a maze's written search, by levels that follow its structure (arXiv:2410.09918).
//!
//! ```text
//! 0   +А02-А02+Г13+Б11-Б11#АБВ    all of it
//! 1   +А02+Г13+Б11#АБВ            without the clauses of expanded cells
//! 2   +А+Г+Б#АБВ                  and without costs
//! 3   +А+Б#АБВ                    and without a random share of the clauses that are left
//! 4   #АБВ                        nothing of it
//! ```

use regimen_base::{Error, Key, Result};
use regimen_core::registry::Piece;
use regimen_data::task::answer::MARK;
use regimen_data::transform::Notes;
use regimen_data::{Body, Example, Role, Transform};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// Levels that there are, the untouched trace included.
const LEVELS: usize = 5;
/// Characters of a clause: its mark, its cell, its cost and its estimate.
const CLAUSE: usize = 4;
/// Characters of a clause without its costs.
const BARE: usize = 2;

/// Draws a level for every view of an example, so that the same maze is seen with different parts of its trace.
pub struct TraceDrop {
    /// The chance of each level, up to a common factor.
    pub levels: [f64; LEVELS],
    /// The share of clauses that level 3 leaves out.
    pub share: f64,
}

impl TraceDrop {
    fn level(&self, key: Key) -> usize {
        let mut left = key.child("level").rng().f64() * self.levels.iter().sum::<f64>();
        let hit = self.levels.iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        // rounding may leave nothing of the last one's share
        hit.or_else(|| self.levels.iter().rposition(|chance| *chance > 0.0)).unwrap_or(0)
    }

    /// What `level` leaves of a trace.
    fn kept(&self, clauses: &[&[char]], level: usize, key: Key) -> String {
        let mut rng = key.child("clauses").rng();
        let mut created: Vec<&[char]> = clauses.to_vec();
        match level {
            0 => {}
            4 => created.clear(),
            _ => created.retain(|clause| clause[0] == '+'),
        }
        if level == 3 {
            created.retain(|_| !rng.chance(self.share));
        }
        let length = if level >= 2 { BARE } else { CLAUSE };
        created.into_iter().flat_map(|clause| &clause[..length]).collect()
    }
}

impl Transform for TraceDrop {
    fn name(&self) -> &'static str {
        "trace-drop"
    }

    fn apply(&self, mut example: Example, key: Key, _: &mut Notes) -> Result<Vec<Example>> {
        let reply = match &mut example.body {
            Body::Messages(messages) => messages.last_mut().filter(|m| m.role == Role::Assistant),
            _ => None,
        };
        let reply = reply.ok_or_else(|| wrong("an example without a reply"))?;
        let (trace, way) =
            reply.content.split_once(MARK).ok_or_else(|| wrong("a reply without an answer"))?;
        let trace: Vec<char> = trace.chars().collect();
        let clauses: Vec<&[char]> = trace.chunks(CLAUSE).collect();
        if !clauses.iter().all(|clause| clause.len() == CLAUSE && matches!(clause[0], '+' | '-')) {
            return Err(wrong("a reply whose working is no full trace"));
        }
        reply.content = format!("{}{MARK}{way}", self.kept(&clauses, self.level(key), key));
        Ok(vec![example])
    }
}

fn wrong(what: &str) -> Error {
    Error::usage(format!("`trace-drop` met {what}"))
        .remedy("use it on the task `maze` with solution = \"full\", before `chat`")
}

pub(super) const PIECE: Piece<dyn Transform> = Piece {
    spec: KindSpec::new(
        Room::Transform,
        "trace-drop",
        "leaves out parts of a maze's search trace: nothing, expanded cells, costs too, some clauses too, or all",
        &[
            Field::new("levels", Ty::List(&Ty::Float), "chance of each of the five levels, up to a common factor")
                .or("[0.45, 0.1667, 0.1667, 0.1666, 0.05]")
                .min(0.0),
            Field::new("share", Ty::Float, "share of the clauses that level 3 leaves out").or("0.3").min(0.0).max(1.0),
        ],
    )
    .source("Su et al. 2024 (arXiv:2410.09918)")
    .example(r#"{ kind = "trace-drop", levels = [0.5, 0.0, 0.0, 0.0, 0.5] }"#),
    build: |node, _| {
        let levels = node.f64s("levels");
        match <[f64; LEVELS]>::try_from(levels) {
            Ok(levels) if levels.iter().sum::<f64>() > 0.0 => {
                Ok(Box::new(TraceDrop { levels, share: node.f64("share") }))
            }
            _ => Err(node.error("`levels` needs five chances, not all 0")),
        }
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_base::Split;
    use regimen_data::task::{Maze, Solution, Task};

    const TRACE: &str = "+А02-А02+Г13+Б11-Б11+В20-В20#АБВ";

    fn example(reply: &str) -> Example {
        let mut example =
            Maze { solution: Solution::Full, ..Maze::default() }.example(Split::Train, Key::new(1));
        if let Body::Messages(messages) = &mut example.body {
            messages[1].content = reply.to_owned();
        }
        example
    }

    fn reply(example: &Example) -> &str {
        match &example.body {
            Body::Messages(messages) => &messages[1].content,
            other => panic!("{other:?}"),
        }
    }

    fn only(level: usize) -> TraceDrop {
        let mut levels = [0.0; LEVELS];
        levels[level] = 1.0;
        TraceDrop { levels, share: 0.5 }
    }

    fn dropped(drop: &TraceDrop, key: u64) -> String {
        let done = drop.apply(example(TRACE), Key::new(key), &mut Notes::default()).expect("a trace");
        reply(&done[0]).to_owned()
    }

    #[test]
    fn each_level_leaves_out_more() {
        for (level, left) in [(0, TRACE), (1, "+А02+Г13+Б11+В20#АБВ"), (2, "+А+Г+Б+В#АБВ"), (4, "#АБВ")]
        {
            assert_eq!(dropped(&only(level), 3), left, "level {level}");
        }
    }

    #[test]
    fn the_third_level_leaves_a_random_share() {
        let texts: Vec<String> = (0..400).map(|n| dropped(&only(3), n)).collect();
        let clauses = texts.iter().map(|t| t.matches('+').count()).sum::<usize>() as f64 / 1600.0;
        assert!((clauses - 0.5).abs() < 0.06, "{clauses}");
        assert!(
            texts.iter().all(|t| t.ends_with("#АБВ") && !t.contains('-')),
            "costs and ends are as they are"
        );
        assert!(texts.iter().any(|t| t.starts_with("+А+Б#")) && texts.contains(&"+А+Г+Б+В#АБВ".to_owned()));
    }

    #[test]
    fn every_view_draws_its_own_level_with_the_chances_given() {
        let drop = TraceDrop { levels: [0.5, 0.0, 0.0, 0.0, 1.5], share: 0.3 };
        let texts: Vec<String> = (0..800).map(|n| dropped(&drop, n)).collect();
        let bare = texts.iter().filter(|t| *t == "#АБВ").count() as f64 / 800.0;
        assert!((bare - 0.75).abs() < 0.05, "{bare}");
        assert!(texts.iter().all(|t| t == "#АБВ" || t == TRACE), "no other level");
        assert_eq!(dropped(&drop, 7), texts[7], "a function of the key");
    }

    /// What is left of a gold reply is still a gold reply.
    #[test]
    fn the_answer_stays_right() {
        let maze = Maze { solution: Solution::Full, ..Maze::default() };
        let drop = TraceDrop { levels: [1.0; LEVELS], share: 0.3 };
        for n in 0..60 {
            let item = maze.example(Split::Train, Key::new(n));
            let done = drop.apply(item.clone(), Key::new(n), &mut Notes::default()).expect("a trace");
            assert_eq!(maze.judge(&item, reply(&done[0])).score, 1.0, "{}", reply(&done[0]));
        }
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        for text in ["+А02", "+А0#АБВ", "1+1=2#2"] {
            assert!(only(1).apply(example(text), Key::new(1), &mut Notes::default()).is_err(), "{text}");
        }
        assert_eq!(
            reply(&only(1).apply(example("#АБВ"), Key::new(1), &mut Notes::default()).unwrap()[0]),
            "#АБВ"
        );
    }
}
