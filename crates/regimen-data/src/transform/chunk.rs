//! Long documents in pieces of the context's length.

use regimen_base::{Error, Key, Result};

use super::{Notes, Transform, sequences_of};
use crate::{Body, Example};

/// Cuts a document into pieces of at most so many tokens, all of about the same length. The first token of a piece is
/// only context: no piece predicts it, so pieces overlap by that one token and every token is predicted once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The longest piece, in tokens.
    pub tokens: usize,
}

impl Transform for Chunk {
    fn name(&self) -> &'static str {
        "chunk"
    }

    fn apply(&self, mut example: Example, _: Key, _: &mut Notes) -> Result<Vec<Example>> {
        if self.tokens < 2 {
            return Err(Error::usage("a piece needs at least 2 tokens").remedy("raise `tokens` of `chunk`"));
        }
        let mut sequences = sequences_of(&mut example, self.name())?;
        let [tokens] = &mut sequences[..] else {
            return Err(Error::usage("`chunk` would cut a preference pair apart")
                .remedy("use `max-length` for pairs, which drops those that are too long"));
        };
        let tokens = std::mem::take(*tokens);
        if tokens.len() <= self.tokens {
            example.body = Body::Tokens(tokens);
            return Ok(vec![example]);
        }
        let predicted = tokens.len() - 1;
        let pieces = predicted.div_ceil(self.tokens - 1);
        let piece = |i: usize| {
            let (from, to) = (predicted * i / pieces, predicted * (i + 1) / pieces);
            Example { body: Body::Tokens(tokens[from..=to].to_vec()), ..example.clone() }
        };
        Ok((0..pieces).map(piece).collect())
    }
}
