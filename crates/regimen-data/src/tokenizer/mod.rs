//! Text to token ids and back. Every tokenizer, our own included, is a `tokenizer.json` that other tools load as it is.

mod bpe;
mod files;
mod load;
mod own;
mod pieces;
mod specials;
mod stream;
mod vocabulary;

use std::collections::BTreeSet;
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};
use tokenizers::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};

pub use own::Unknown;
pub(crate) use specials::{Piece, Specials};
pub use stream::DecodeStream;
use vocabulary::Vocabulary;

/// A tokenizer; cheap to clone.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    pipeline: PipelineTokenizer,
    /// `tokenizer.json`, as it was read or made.
    json: Arc<[u8]>,
    /// `tokenizer_config.json`.
    config: Map<String, Value>,
    vocabulary: Arc<Vocabulary>,
    specials: Arc<Specials>,
    /// All characters that can be encoded, where there are others.
    alphabet: Option<Arc<BTreeSet<char>>>,
    /// Whether a text beside a special token has the ids it would have alone.
    local: bool,
    /// A BPE over bytes without a normaliser: long texts can be encoded in pieces.
    byte_level: bool,
    adds_bos: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    /// What the model makes of unknown text: a special token that text may give.
    unk: Option<u32>,
}

impl Tokenizer {
    /// Encodes plain text. No special token comes out, whatever the text contains: `<eos>` inside it is five
    /// characters.
    ///
    /// # Errors
    /// A character outside the alphabet of a character tokenizer, which is named.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        self.check_alphabet(text)?;
        let ids = self.run(text, true)?;
        if ids.iter().any(|id| self.intrudes(*id)) { self.encode_apart(text) } else { Ok(ids) }
    }

    /// Encodes what a chat template rendered: special tokens are recognised, none is added.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_text`].
    pub fn encode_template(&self, text: &str) -> Result<Vec<u32>> {
        if self.0.alphabet.is_some() {
            for piece in self.0.specials.split(text) {
                if let Piece::Text(text) = piece {
                    self.check_alphabet(text)?;
                }
            }
        }
        self.run(text, false)
    }

    /// The text of these ids; bytes that are not UTF-8 become U+FFFD. `skip_special` leaves special tokens out.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        // ids past the vocabulary (padding of the embedding) have no text
        self.0.pipeline.decode(ids, skip_special).unwrap_or_default()
    }

    /// Decodes ids as they come.
    pub fn stream(&self, skip_special: bool) -> DecodeStream {
        DecodeStream::new(self.clone(), skip_special)
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.0.vocabulary.len()
    }

    /// The token that begins a document, if there is one.
    pub fn bos(&self) -> Option<u32> {
        self.0.bos
    }

    /// The token that ends a document.
    pub fn eos(&self) -> Option<u32> {
        self.0.eos
    }

    /// The token for padding. Batches here have none; other tools want it.
    pub fn pad(&self) -> Option<u32> {
        self.0.pad
    }

    /// Whether the tokenizer itself puts [`Tokenizer::bos`] before a plain text.
    pub fn adds_bos(&self) -> bool {
        self.0.adds_bos
    }

    /// The id of a token, by its name in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.0.vocabulary.id(token)
    }

    /// The name of an id in the vocabulary.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.0.vocabulary.token(id)
    }

    /// Whether this is a special token, which no text contains.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.specials.contains(id)
    }

    /// The name of a special token that stands in this text, which is encoded as the characters that it is.
    pub fn special_in(&self, text: &str) -> Option<&str> {
        self.0.specials.first_in(text)
    }

    /// How many bytes of text an id stands for; 0 for special tokens.
    pub fn byte_len(&self, id: u32) -> u32 {
        self.0.vocabulary.bytes(id).len() as u32
    }

    /// How many bytes of text these ids stand for, for bits per byte.
    pub fn bytes(&self, ids: &[u32]) -> u64 {
        ids.iter().map(|id| u64::from(self.byte_len(*id))).sum()
    }

    pub(crate) fn specials(&self) -> &Specials {
        &self.0.specials
    }

    pub(crate) fn is_local(&self) -> bool {
        self.0.local
    }

    fn intrudes(&self, id: u32) -> bool {
        self.0.specials.contains(id) && self.0.unk != Some(id)
    }

    fn check_alphabet(&self, text: &str) -> Result<()> {
        let Some(alphabet) = &self.0.alphabet else { return Ok(()) };
        match text.char_indices().find(|(_, c)| !alphabet.contains(c)) {
            None => Ok(()),
            Some((at, c)) => Err(Error::data(format!(
                "the character {c:?} (U+{:04X}, at byte {at} of the text) is not in the alphabet of the tokenizer",
                c as u32
            ))
            .remedy("add it to the alphabet, use the tokenizer `byte` or `bpe`, or let unknown characters be `unk`")),
        }
    }

    fn run(&self, text: &str, plain: bool) -> Result<Vec<u32>> {
        let options = EncodeOptions {
            add_special_tokens: false,
            encode_special_tokens: plain,
            padding: Override::Off,
            truncation: Override::Off,
        };
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        let pieces = if self.0.byte_level { pieces::pieces(text, &self.0.specials) } else { vec![text] };
        for piece in pieces {
            found.clear();
            let done = self.0.pipeline.encode_into(piece, &options, &mut found);
            done.map_err(|e| Error::data(format!("the tokenizer failed: {e}")))?;
            ids.extend(found.drain(..).map(PipelineToken::id));
        }
        Ok(ids)
    }

    /// Encodes text in which a model (Unigram, WordLevel) finds special tokens of its own accord: cut inside each.
    fn encode_apart(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut start = 0;
        for cut in self.0.specials.cuts(text).into_iter().chain([text.len()]) {
            ids.extend(self.run(&text[start..cut], true)?);
            start = cut;
        }
        match ids.iter().find(|id| self.intrudes(**id)) {
            None => Ok(ids),
            Some(id) => Err(Error::data(format!(
                "the tokenizer makes the special token `{}` of plain text",
                self.token(*id).unwrap_or_default()
            ))
            .remedy("remove it from the text")),
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.vocab_size())
    }
}

#[cfg(test)]
mod tests;
