//! Rows as a model reads them: tokens with who says them and how much they weigh.

use regimen_base::Result;
use regimen_core::feed::{RolloutFeed, prompt_tokens};
use regimen_data::{Role, Token, Tokenizer};

use super::Looked;

/// Rows that are kept to be shown.
#[derive(Default)]
pub struct Shown {
    /// How many a stream.
    pub most: usize,
    /// Those kept.
    pub rows: Vec<Sequence>,
}

/// One sequence.
pub struct Sequence {
    /// Where the row stands, with its stage and stream.
    pub place: String,
    /// Its tokens, in runs of one role and weight.
    pub runs: Vec<Run>,
}

/// Neighbours of one role and weight.
pub struct Run {
    /// Who says them.
    pub role: Role,
    /// Their weight in the loss.
    pub weight: f32,
    /// The text of each token.
    pub tokens: Vec<String>,
}

impl Sequence {
    fn new(place: String, tokens: &[Token], tokenizer: &Tokenizer) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for token in tokens {
            let text = tokenizer.decode(&[token.id], false);
            match runs
                .last_mut()
                .filter(|r| r.role == token.role && r.weight.to_bits() == token.weight.to_bits())
            {
                Some(run) => run.tokens.push(text),
                None => runs.push(Run { role: token.role, weight: token.weight, tokens: vec![text] }),
            }
        }
        Self { place, runs }
    }

    /// All tokens, and those that are trained on.
    pub fn counts(&self) -> (usize, usize) {
        let count = |trained: bool| {
            self.runs.iter().filter(|r| !trained || r.weight != 0.0).map(|r| r.tokens.len()).sum()
        };
        (count(false), count(true))
    }
}

impl Shown {
    /// Keeps the first rows of a stream of static data.
    pub fn keep(&mut self, within: &str, looked: &Looked, tokenizer: &Tokenizer) {
        for row in looked.rows.iter().take(self.most) {
            for sequence in row.sequences() {
                self.rows.push(Sequence::new(format!("{} ({within})", row.place), sequence, tokenizer));
            }
        }
    }

    /// Keeps the first prompts of a stream of rollouts.
    pub fn keep_prompts(
        &mut self,
        within: &str,
        looked: &Looked,
        feed: &RolloutFeed,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        for row in looked.rows.iter().take(self.most) {
            let tokens = prompt_tokens(&feed.template, &row.example)?;
            self.rows.push(Sequence::new(format!("{} ({within}, prompt)", row.place), &tokens, tokenizer));
        }
        Ok(())
    }
}
