//! Examples that are longer than the model's context.

use regimen_base::{Error, Key, Result};

use super::{Notes, Transform, sequences_of};
use crate::Example;

/// What happens to an example that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Over {
    /// The run stops and names it.
    #[default]
    Error,
    /// It is left out, and counted.
    Drop,
    /// Its end is cut off, and counted. It is left out when nothing that is trained on remains (of either side of a
    /// pair).
    Truncate,
}

/// At most so many tokens an example.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxLength {
    /// The longest example, in tokens.
    pub tokens: usize,
    /// What happens to a longer one.
    pub over: Over,
}

impl Transform for MaxLength {
    fn name(&self) -> &'static str {
        "max-length"
    }

    fn apply(&self, mut example: Example, _: Key, notes: &mut Notes) -> Result<Vec<Example>> {
        let id = example.id;
        let mut sequences = sequences_of(&mut example, self.name())?;
        let longest = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        if longest <= self.tokens {
            return Ok(vec![example]);
        }
        match self.over {
            Over::Error => {
                return Err(Error::data(format!(
                    "the example has {longest} tokens, the limit is {}",
                    self.tokens
                ))
                .remedy(
                    "raise the context, or choose what happens: `over = \"drop\"` or `over = \"truncate\"`",
                ));
            }
            Over::Drop => {
                notes.add("dropped: too long", id);
                return Ok(Vec::new());
            }
            Over::Truncate => {
                for sequence in &mut sequences {
                    sequence.truncate(self.tokens);
                }
                if sequences.iter().any(|s| s.iter().skip(1).all(|t| t.weight == 0.0)) {
                    notes.add("dropped: nothing to train on was left after truncation", id);
                    return Ok(Vec::new());
                }
                notes.add("truncated", id);
            }
        }
        Ok(vec![example])
    }
}
