//! What a checkpoint is, without its weights.

use regimen_base::{Error, Result};
use regimen_data::Tokenizer;
use regimen_nn::hf::{Family, read_config};
use regimen_nn::{Arch, Shape};

use super::{Folder, read_if_there, text};

/// What is known of a model before its weights are read.
#[derive(Clone)]
pub enum Outline {
    /// A decoder with its tokenizer.
    Decoder(Box<Written>),
    /// A net of numbers.
    Numbers(Arch),
}

/// Architecture and tokenizer of a decoder.
#[derive(Clone)]
pub struct Written {
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
        let within = |e: Error| e.within("config.json");
        if let Some(arch) = Arch::of_config(&config).map_err(within)? {
            return Ok(Self::Numbers(arch));
        }
        let config = read_config(&config).map_err(within)?;
        let json = folder.read("tokenizer.json")?;
        let settings = read_if_there(folder, "tokenizer_config.json")?;
        let mut tokenizer =
            Tokenizer::from_json(&json, settings.as_deref()).map_err(|e| e.within("tokenizer.json"))?;
        if tokenizer.chat_template().is_none()
            && let Some(template) = read_if_there(folder, "chat_template.jinja")?
        {
            tokenizer = tokenizer.with_chat_template(&text("chat_template.jinja", template)?);
        }
        Written { shape: config.shape, tokenizer, family: config.family }.checked()
    }

    /// Architecture and tokenizer of a decoder.
    ///
    /// # Errors
    /// When the net reads no tokens.
    pub fn decoder(&self) -> Result<&Written> {
        match self {
            Self::Decoder(written) => Ok(written),
            Self::Numbers(_) => Err(super::speechless()),
        }
    }

    /// Tokenizer and shape of a decoder; `None` for a net of numbers.
    pub fn speech(&self) -> Option<(&Tokenizer, &Shape)> {
        self.decoder().ok().map(|written| (&written.tokenizer, &written.shape))
    }

    /// How it is built.
    pub fn arch(&self) -> Arch {
        match self {
            Self::Decoder(written) => Arch::Decoder(written.shape.clone()),
            Self::Numbers(arch) => arch.clone(),
        }
    }
}

impl Written {
    pub(super) fn checked(self) -> Result<Outline> {
        let (tokens, vocab) = (self.tokenizer.vocab_size(), self.shape.vocab);
        if tokens > vocab {
            return Err(Error::data(format!("the tokenizer has {tokens} tokens, the model only {vocab}"))
                .remedy("use the tokenizer that was saved with the model"));
        }
        Ok(Outline::Decoder(Box::new(self)))
    }
}
