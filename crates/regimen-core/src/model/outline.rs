//! Architecture and tokenizer of a checkpoint, without its weights.

use regimen_base::{Error, Result};
use regimen_data::Tokenizer;
use regimen_nn::Shape;
use regimen_nn::hf::{Family, read_config};

use super::{Folder, read_if_there, text};

/// What is known of a model before its weights are read.
#[derive(Clone)]
pub struct Outline {
    /// The decoder, without adapters.
    pub shape: Shape,
    /// What its ids mean.
    pub tokenizer: Tokenizer,
    /// The architecture that its files are.
    pub family: &'static Family,
}

impl Outline {
    /// Reads `config.json` and the tokenizer's files.
    ///
    /// # Errors
    /// What is wrong with them, or that they do not fit together.
    pub fn read(folder: &dyn Folder) -> Result<Self> {
        let config = text("config.json", folder.read("config.json")?)?;
        let config = read_config(&config).map_err(|e| e.within("config.json"))?;
        let json = folder.read("tokenizer.json")?;
        let settings = read_if_there(folder, "tokenizer_config.json")?;
        let mut tokenizer =
            Tokenizer::from_json(&json, settings.as_deref()).map_err(|e| e.within("tokenizer.json"))?;
        if tokenizer.chat_template().is_none()
            && let Some(template) = read_if_there(folder, "chat_template.jinja")?
        {
            tokenizer = tokenizer.with_chat_template(&text("chat_template.jinja", template)?);
        }
        Self { shape: config.shape, tokenizer, family: config.family }.checked()
    }

    pub(super) fn checked(self) -> Result<Self> {
        let (tokens, vocab) = (self.tokenizer.vocab_size(), self.shape.vocab);
        if tokens > vocab {
            return Err(Error::data(format!("the tokenizer has {tokens} tokens, the model only {vocab}"))
                .remedy("use the tokenizer that was saved with the model"));
        }
        Ok(self)
    }
}
