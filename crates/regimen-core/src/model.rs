//! A net with its tokenizer, as files that transformers loads.

use regimen_base::{Error, Result};
use regimen_data::{ChatTemplate, Tokenizer};
use regimen_nn::hf::{
    Config, Generation, read_config, read_weights, write_config, write_generation_config, write_weights,
};
use regimen_nn::{Arch, Device, Net, Shape, build};

/// What a stage starts from and ends with.
pub struct Model {
    /// The net.
    pub net: Box<dyn Net>,
    /// What its ids mean.
    pub tokenizer: Tokenizer,
}

/// Reads one file of a checkpoint by name.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>>;

impl Model {
    /// The decoder's shape.
    pub fn shape(&self) -> &Shape {
        let Arch::Decoder(shape) = self.net.arch();
        shape
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> u64 {
        self.net.params().len() as u64
    }

    /// Reads a checkpoint in Hugging Face's layout.
    ///
    /// # Errors
    /// What is wrong with `config.json`, the weights or the tokenizer.
    pub fn read(read: ReadFile, device: &Device) -> Result<Self> {
        let config =
            read_config(&text("config.json", read("config.json")?)?).map_err(|e| e.within("config.json"))?;
        let mut net = build(&Arch::Decoder(config.shape), device)?;
        read_weights(&read("model.safetensors")?, net.params_mut())
            .map_err(|e| e.within("model.safetensors"))?;
        let json = read("tokenizer.json")?;
        let settings = read("tokenizer_config.json").ok();
        let mut tokenizer =
            Tokenizer::from_json(&json, settings.as_deref()).map_err(|e| e.within("tokenizer.json"))?;
        if tokenizer.chat_template().is_none()
            && let Ok(template) = read("chat_template.jinja")
        {
            tokenizer = tokenizer.with_chat_template(&text("chat_template.jinja", template)?);
        }
        let model = Self { net, tokenizer };
        if model.tokenizer.vocab_size() > model.shape().vocab {
            return Err(Error::data(format!(
                "the tokenizer has {} tokens, the model only {}",
                model.tokenizer.vocab_size(),
                model.shape().vocab
            ))
            .remedy("use the tokenizer that was saved with the model"));
        }
        Ok(model)
    }

    /// The checkpoint's files, by name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let (bos, pad) = (self.tokenizer.bos(), self.tokenizer.pad());
        let eos = stops(&self.tokenizer);
        let config = write_config(&Config { shape: self.shape().clone(), bos, eos: eos.clone(), pad });
        let generation = write_generation_config(&Generation { bos, eos, pad, ..Generation::default() });
        let mut files = vec![
            ("config.json".to_owned(), config.into_bytes()),
            ("generation_config.json".to_owned(), generation.into_bytes()),
            ("model.safetensors".to_owned(), write_weights(self.net.params())),
        ];
        files.extend(self.tokenizer.files());
        files
    }
}

/// The tokens that end a reply: what the chat template says, else the end of text.
pub fn stops(tokenizer: &Tokenizer) -> Vec<u32> {
    match ChatTemplate::of(tokenizer).and_then(|template| template.stops()) {
        Ok(stops) if !stops.is_empty() => stops,
        _ => tokenizer.eos().into_iter().collect(),
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        Error::data(format!("{name} is not UTF-8 text: byte {} is invalid", e.utf8_error().valid_up_to()))
    })
}
