//! Decoding while ids are still coming: only whole characters are given out.

use super::Tokenizer;

/// Decodes ids one by one.
pub struct DecodeStream {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// The ids of the last text that was given out, then those whose text is still open. The former stay because some
    /// decoders treat the first token of a text, or a byte without its neighbours, in another way.
    ids: Vec<u32>,
    context: usize,
    /// The length of the context's text.
    given: usize,
}

/// A character has at most four bytes: after so many open ids, what is broken stays broken.
const PATIENCE: usize = 8;

impl DecodeStream {
    pub(super) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, ids: Vec::new(), context: 0, given: 0 }
    }

    /// Takes an id and gives the text that is now certain, often none.
    pub fn push(&mut self, id: u32) -> String {
        self.ids.push(id);
        let text = self.text();
        let broken = text.ends_with('\u{fffd}');
        if broken && self.ids.len() - self.context < PATIENCE {
            return String::new();
        }
        let new = text.get(self.given..).unwrap_or_default().to_owned();
        if broken {
            self.ids.clear();
        } else if !new.is_empty() {
            self.ids.drain(..self.context);
        }
        self.context = self.ids.len();
        self.given = self.text().len();
        new
    }

    /// Gives what is left, broken characters as U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = self.text();
        let left = text.get(self.given..).unwrap_or_default().to_owned();
        self.ids.clear();
        (self.context, self.given) = (0, 0);
        left
    }

    fn text(&self) -> String {
        self.tokenizer.decode(&self.ids, self.skip_special)
    }
}
