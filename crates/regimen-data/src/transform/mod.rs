//! From examples to what the model sees: pure functions of an example and a key.

mod augment;
mod chat;
mod chunk;
mod max_length;
mod notes;
mod text;
mod train_on_reply;

use regimen_base::{Key, Result};

use crate::Example;

pub use augment::Augment;
pub use chat::Chat;
pub use chunk::Chunk;
pub use max_length::{MaxLength, Over};
pub use notes::Notes;
pub use text::Text;
pub use train_on_reply::{TrainOnReply, Turns};

/// Turns an example into none, one or several. The same example and key give the same result.
pub trait Transform: Send + Sync {
    /// Its kind, as recipes name it.
    fn name(&self) -> &'static str;
    /// The examples it makes. What it drops or cuts is entered into `notes`: nothing is lost silently.
    ///
    /// # Errors
    /// The example does not suit the transform; the caller says which row it was.
    fn apply(&self, example: Example, key: Key, notes: &mut Notes) -> Result<Vec<Example>>;
    /// The chat template that it renders with.
    fn template(&self) -> Option<&crate::ChatTemplate> {
        None
    }
}

/// Applies transforms one after the other. Each has its own key, by its position.
pub fn apply_all(
    transforms: &[Box<dyn Transform>],
    example: Example,
    key: Key,
    notes: &mut Notes,
) -> Result<Vec<Example>> {
    let mut examples = vec![example];
    for (i, transform) in transforms.iter().enumerate() {
        let key = key.child(transform.name()).at(i as u64);
        let mut next = Vec::with_capacity(examples.len());
        for (part, example) in examples.into_iter().enumerate() {
            next.extend(transform.apply(example, key.at(part as u64), notes)?);
        }
        examples = next;
    }
    Ok(examples)
}

/// The token sequences of an example, which a transform before must have made: one, or the two of a pair.
fn sequences_of<'a>(example: &'a mut Example, transform: &str) -> Result<Vec<&'a mut Vec<crate::Token>>> {
    match &mut example.body {
        crate::Body::Tokens(tokens) => Ok(vec![tokens]),
        crate::Body::Pair { chosen, rejected } => Ok(vec![chosen, rejected]),
        _ => Err(regimen_base::Error::usage(format!(
            "`{transform}` needs tokens, and the example is still text"
        ))
        .remedy("put the transform `chat` or `text` before it")),
    }
}

#[cfg(test)]
mod tests;
