//! The loss falls on replies only.

use std::ops::Range;

use regimen_base::{Key, Result};

use super::{Notes, Transform, sequences_of};
use crate::{Example, Role, Token};

/// Which replies count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Turns {
    /// Every reply of the conversation.
    #[default]
    All,
    /// The last reply.
    Last,
    /// The completion of a prompt: all replies behind the prompt where the data has one (`prompt` and `completion`),
    /// otherwise the last reply.
    Completion,
}

/// Weight 0 for all but the assistant's tokens, the one that ends its turn included. Replies that the data leaves out
/// of the training stay out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrainOnReply {
    /// Which replies count.
    pub turns: Turns,
}

impl Transform for TrainOnReply {
    fn name(&self) -> &'static str {
        "train-on-reply"
    }

    fn apply(&self, mut example: Example, _: Key, notes: &mut Notes) -> Result<Vec<Example>> {
        let id = example.id;
        let mut empty = false;
        for tokens in sequences_of(&mut example, self.name())? {
            self.mask(tokens);
            empty |= tokens.iter().all(|t| t.weight == 0.0);
        }
        if empty {
            notes.add("have no reply to train on", id);
        }
        Ok(vec![example])
    }
}

impl TrainOnReply {
    fn mask(self, tokens: &mut [Token]) {
        let replies = replies(tokens);
        let kept = match self.turns {
            Turns::All => &replies[..],
            Turns::Completion if tokens.iter().any(|t| t.weight == 0.0) => &replies[..],
            Turns::Last | Turns::Completion => &replies[replies.len().saturating_sub(1)..],
        };
        for (i, token) in tokens.iter_mut().enumerate() {
            if !kept.iter().any(|r| r.contains(&i)) {
                token.weight = 0.0;
            }
        }
    }
}

/// The runs of the assistant's tokens.
fn replies(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (i, _) in tokens.iter().enumerate().filter(|(_, t)| t.role == Role::Assistant) {
        match found.last_mut().filter(|r| r.end == i) {
            Some(run) => run.end += 1,
            None => found.push(i..i + 1),
        }
    }
    found
}
