//! Decoding while ids are still coming: only whole characters are given out.

use super::Tokenizer;

/// Decodes ids one by one.
pub struct DecodeStream {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// Ids whose text may still change, behind those whose text is the context of the next.
    ids: Vec<u32>,
    /// How much of the text of `ids` was given out.
    given: usize,
}

/// A broken character cannot be longer; after so many ids with nothing whole in them, what is broken stays broken.
const PATIENCE: usize = 8;

impl DecodeStream {
    pub(super) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, ids: Vec::new(), given: 0 }
    }

    /// Takes an id and gives the text that is now certain, often none.
    pub fn push(&mut self, id: u32) -> String {
        self.ids.push(id);
        let text = self.text();
        let broken = text.ends_with('\u{fffd}');
        if broken && self.ids.len() < PATIENCE {
            return String::new();
        }
        let new = text.get(self.given..).unwrap_or_default().to_owned();
        // the last id stays as context: some decoders treat the first token of a text differently
        self.ids.drain(..self.ids.len() - 1);
        self.given = if broken { self.restart() } else { self.text().len() };
        new
    }

    /// Gives what is left, broken characters as U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = self.text();
        self.ids.clear();
        let from = std::mem::take(&mut self.given);
        text.get(from..).unwrap_or_default().to_owned()
    }

    fn text(&self) -> String {
        self.tokenizer.decode(&self.ids, self.skip_special)
    }

    fn restart(&mut self) -> usize {
        self.ids.clear();
        0
    }
}
