//! Training a BPE over bytes (Sennrich et al. 2016, "Neural machine translation of rare words with subword units").

use regimen_base::{Error, Result};
use tokenizers::Trainer;
use tokenizers::pipeline::{PreTokenizer, PreTokenizerScratch};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::trainers::BpeTrainer;
use tokenizers::vocab::bucket_added_vocabulary::AddedToken;

use super::Tokenizer;
use super::own::SPECIALS;

/// Special tokens and the 256 bytes: what every vocabulary has.
const BASE: usize = SPECIALS.len() + 256;

impl Tokenizer {
    /// Trains a byte-level BPE of at most `vocab_size` tokens, special ones included. The same texts in any order give
    /// the same tokenizer; a small corpus may give a smaller vocabulary, since a pair that occurs once is not merged.
    ///
    /// # Errors
    /// `vocab_size` has no room for the 256 bytes and the special tokens.
    pub fn train_bpe<I>(texts: I, vocab_size: usize) -> Result<Self>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: AsRef<str> + Send,
    {
        if vocab_size < BASE {
            return Err(Error::usage(format!(
                "a vocabulary of {vocab_size} tokens is too small for a BPE over bytes"
            ))
            .remedy(format!("at least {BASE}; 4096 suits a small model")));
        }
        let bytes = Self::byte()?;
        let letters = ByteLevel::alphabet();
        let special = |name: &&str| AddedToken::from(*name, true);
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(SPECIALS.iter().map(special).collect())
            .initial_alphabet(letters.iter().copied().collect())
            .build();
        let words = |text: &str| {
            let (mut scratch, mut spans) = (PreTokenizerScratch::default(), Vec::new());
            bytes.0.pipeline.get_pre_tokenizer().pre_tokenize(text, &mut scratch, &mut spans)?;
            let spell = |word: &str| word.bytes().map(|b| letters[b as usize]).collect::<String>();
            Ok(spans.iter().map(|span| spell(&text[span.range()])).collect())
        };
        let failed = |e: tokenizers::Error| Error::failed(format!("the BPE could not be trained: {e}"));
        trainer.feed(texts.into_iter(), words).map_err(failed)?;
        let (vocab, merges, _) = trainer.train_vocab().map_err(failed)?;
        let mut names: Vec<(u32, String)> = vocab.into_iter().map(|(name, id)| (id, name)).collect();
        names.sort_unstable();
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        Self::byte_level(&names, &merges)
    }
}
