//! A net with its tokenizer, as files that transformers loads; or a net of numbers, which has none.

mod gguf;
mod outline;

use regimen_base::{Error, Key, Result};
use regimen_data::{ChatTemplate, Tokenizer};
use regimen_nn::hf::{
    AdapterConfig, Config, Family, Generation, Hold, TensorFile, WeightReader, read_adapter,
    read_adapter_config, read_own_weights, write_adapter, write_adapter_config, write_config,
    write_generation_config, write_own_weights, write_weights,
};
use regimen_nn::{Arch, Device, Lora, Net, Shape, adapter, build};
use serde_json::Value;

pub use outline::{Outline, Written};

/// What a stage starts from and ends with.
pub struct Model {
    /// The net.
    pub net: Box<dyn Net>,
    /// What makes it speak; `None` for a net of numbers.
    pub language: Option<Language>,
}

/// What a decoder has beside its net.
#[derive(Clone)]
pub struct Language {
    /// What its ids mean.
    pub tokenizer: Tokenizer,
    /// The architecture that its files are written as, as long as that expresses it.
    pub family: &'static Family,
    /// What its adapters belong to: a folder, or a name on the hub.
    pub base: Option<String>,
}

/// A checkpoint's files, wherever they lie.
pub trait Folder {
    /// Whether there is a file of this name. One that is there and cannot be read is an error of [`Folder::read`].
    fn has(&self, name: &str) -> bool;
    /// The bytes of one file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn read(&self, name: &str) -> Result<Vec<u8>>;
}

/// The bytes of a file that need not be there.
pub(crate) fn read_if_there(folder: &dyn Folder, name: &str) -> Result<Option<Vec<u8>>> {
    if folder.has(name) { folder.read(name).map(Some) } else { Ok(None) }
}

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// PEFT's files.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER: &str = "adapter_model.safetensors";

impl Model {
    /// A net that no file described; only a decoder keeps the tokenizer.
    pub fn new(net: Box<dyn Net>, tokenizer: Option<Tokenizer>) -> Self {
        let family = net.arch().decoder().map(Family::of);
        let language = |(tokenizer, family)| Language { tokenizer, family, base: None };
        let language = tokenizer.zip(family).map(language);
        Self { net, language }
    }

    /// The decoder's shape.
    ///
    /// # Errors
    /// When the net reads no tokens.
    pub fn shape(&self) -> Result<&Shape> {
        self.net.arch().decoder().ok_or_else(speechless)
    }

    /// What makes it speak.
    ///
    /// # Errors
    /// When the net reads no tokens.
    pub fn language(&self) -> Result<&Language> {
        self.language.as_ref().ok_or_else(speechless)
    }

    /// What its ids mean.
    ///
    /// # Errors
    /// When the net reads no tokens.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        Ok(&self.language()?.tokenizer)
    }

    /// Tokenizer and shape of a decoder; `None` for a net of numbers.
    pub fn speech(&self) -> Option<(&Tokenizer, &Shape)> {
        Some((&self.language.as_ref()?.tokenizer, self.net.arch().decoder()?))
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> u64 {
        self.net.params().len() as u64
    }

    /// Reads a checkpoint in Hugging Face's layout, with the adapters that lie beside it.
    ///
    /// # Errors
    /// What is wrong with `config.json`, the weights, the adapters or the tokenizer.
    pub fn read(folder: &dyn Folder, device: &Device, hold: Hold) -> Result<Self> {
        let Written { shape, tokenizer, family } = match Outline::read(folder)? {
            Outline::Numbers(arch) => return Self::of_numbers(&arch, &folder.read(WEIGHTS)?, device),
            Outline::Decoder(written) => *written,
        };
        BESIDE.iter().try_for_each(|name| whole(name, folder))?;
        let files = model_files(folder)?;
        plausible(&shape, &files, folder)?;
        let mut reader = WeightReader::new(family, &shape, hold);
        for file in files {
            reader.file(&folder.read(&file)?).map_err(|e| e.within(file))?;
        }
        let net = reader.net(device).map_err(|e| e.within(WEIGHTS))?;
        let model = Self { net, language: Some(Language { tokenizer, family, base: None }) };
        match read_if_there(folder, ADAPTER_CONFIG)? {
            Some(config) => model.adapted(&config, folder),
            None => Ok(model),
        }
    }

    fn of_numbers(arch: &Arch, weights: &[u8], device: &Device) -> Result<Self> {
        let there = TensorFile::read(weights).map_err(|e| e.within(WEIGHTS))?.numbers();
        enough(arch.layout().len(), there)?;
        let mut net = build(arch, device)?;
        read_own_weights(weights, net.params_mut()).map_err(|e| e.within(WEIGHTS))?;
        Ok(Self { net, language: None })
    }

    /// With the adapters of a PEFT folder.
    ///
    /// # Errors
    /// When they do not fit the model.
    pub fn adapted(self, config: &[u8], folder: &dyn Folder) -> Result<Self> {
        let config = text(ADAPTER_CONFIG, config.to_vec())?;
        let AdapterConfig { lora, base } = read_adapter_config(&config, self.shape()?)?;
        let bytes = folder.read(ADAPTER)?;
        let there = TensorFile::read(&bytes).map_err(|e| e.within(ADAPTER))?.numbers();
        let with = Shape { lora: Some(lora), ..self.shape()?.clone() };
        let more = |shape: &Shape| regimen_kernels::Layout::new(shape).len();
        enough(more(&with) - more(&Shape { lora: None, ..with.clone() }), there)?;
        let mut model = self.with_adapters(lora, Key::new(0))?;
        read_adapter(&bytes, model.net.params_mut()).map_err(|e| e.within(ADAPTER))?;
        if let Some(language) = &mut model.language {
            language.base = base;
        }
        Ok(model)
    }

    /// With fresh adapters, which alone train. Adapters that it has already are merged first.
    ///
    /// # Errors
    /// When they do not fit the model.
    pub fn with_adapters(self, lora: Lora, key: Key) -> Result<Self> {
        let model = self.merged()?;
        let net = adapter::attach(&*model.net, lora, key)?;
        Ok(Self { net, ..model })
    }

    /// Without adapters: they become part of the weights.
    ///
    /// # Errors
    /// When the net cannot be built anew.
    pub fn merged(self) -> Result<Self> {
        if self.shape()?.lora.is_none() {
            return Ok(self);
        }
        let language = self.language.map(|language| Language { base: None, ..language });
        Ok(Self { net: adapter::merge(&*self.net)?, language })
    }

    /// The checkpoint's files, by name. Those of adapters are PEFT's.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let params = self.net.params();
        let (Some(language), Some(shape)) = (&self.language, self.net.arch().decoder()) else {
            let config = self.net.arch().config().unwrap_or_default();
            return vec![
                ("config.json".to_owned(), config.into_bytes()),
                (WEIGHTS.to_owned(), write_own_weights(params)),
            ];
        };
        let config = language.config(shape);
        let Config { bos, eos, pad, .. } = config.clone();
        let generation = write_generation_config(&Generation { bos, eos, pad, ..Generation::default() });
        let mut files = vec![
            ("config.json".to_owned(), write_config(&config).into_bytes()),
            ("generation_config.json".to_owned(), generation.into_bytes()),
            (WEIGHTS.to_owned(), write_weights(language.family, &config.shape, params)),
        ];
        files.extend(self.adapter_files());
        files.extend(language.tokenizer.files());
        files
    }

    /// `adapter_config.json` and `adapter_model.safetensors`; none without adapters.
    pub fn adapter_files(&self) -> Vec<(String, Vec<u8>)> {
        let Some(lora) = self.net.arch().decoder().and_then(|shape| shape.lora) else { return Vec::new() };
        let base = self.language.as_ref().and_then(|language| language.base.clone());
        let config = write_adapter_config(&AdapterConfig { lora, base });
        let adapter = write_adapter(self.net.params());
        vec![(ADAPTER_CONFIG.to_owned(), config.into_bytes()), (ADAPTER.to_owned(), adapter)]
    }
}

impl Language {
    fn config(&self, shape: &Shape) -> Config {
        Config {
            shape: Shape { lora: None, ..shape.clone() },
            family: self.family,
            bos: self.tokenizer.bos(),
            eos: stops(&self.tokenizer),
            pad: self.tokenizer.pad(),
        }
    }
}

fn speechless() -> Error {
    Error::usage("the model reads numbers, not text").remedy("this needs a decoder with a tokenizer")
}

/// Files that say nothing to us; cut short they are a sign that more of the checkpoint is damaged.
const BESIDE: [&str; 2] = ["generation_config.json", "special_tokens_map.json"];

/// Refuses a JSON file that is there and not whole.
fn whole(name: &str, folder: &dyn Folder) -> Result<()> {
    let Some(bytes) = read_if_there(folder, name)? else { return Ok(()) };
    let read = serde_json::from_slice::<Value>(&bytes);
    read.map(drop).map_err(|e| {
        Error::data(format!("it is not whole JSON: {e}")).within(name).remedy("copy the checkpoint again")
    })
}

/// The files of a checkpoint that hold weights: of the model in one file or several, and of adapters.
///
/// # Errors
/// When there is none, or one that is named cannot be read.
pub fn weight_files(folder: &dyn Folder) -> Result<Vec<(String, Vec<u8>)>> {
    let adapter = folder.has(ADAPTER);
    let only = adapter && !folder.has(WEIGHTS) && !folder.has(INDEX);
    let mut names = if only { Vec::new() } else { model_files(folder)? };
    names.extend(adapter.then(|| ADAPTER.to_owned()));
    names.into_iter().map(|name| folder.read(&name).map(|bytes| (name, bytes))).collect()
}

/// The names of the files that hold the model's weights: one, or those of the index.
fn model_files(folder: &dyn Folder) -> Result<Vec<String>> {
    if folder.has(WEIGHTS) || !folder.has(INDEX) {
        return Ok(vec![WEIGHTS.to_owned()]);
    }
    shards(&folder.read(INDEX)?).map_err(|e| e.within(INDEX))
}

/// So many parameters are made room for without a look at the weights: 1 GiB.
const UNSUSPICIOUS: usize = 1 << 28;

/// Refuses a configuration that describes a larger model than the files hold, before room is made for it.
fn plausible(shape: &Shape, files: &[String], folder: &dyn Folder) -> Result<()> {
    let wanted = regimen_kernels::Layout::new(shape).len();
    if wanted <= UNSUSPICIOUS {
        return Ok(());
    }
    let mut there = 0_usize;
    for file in files {
        let bytes = folder.read(file)?;
        there += TensorFile::read(&bytes).map_err(|e| e.within(file))?.numbers();
    }
    enough(wanted, there)
}

fn enough(wanted: usize, there: usize) -> Result<()> {
    if wanted <= UNSUSPICIOUS || there >= wanted {
        return Ok(());
    }
    let what =
        format!("the configuration describes {wanted} parameters, but the weights are {there} numbers");
    Err(Error::data(what).remedy("check that the configuration and the weights belong together"))
}

/// The files of a sharded checkpoint, each once.
fn shards(index: &[u8]) -> Result<Vec<String>> {
    let index: Value =
        serde_json::from_slice(index).map_err(|e| Error::data(format!("it is not JSON: {e}")))?;
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::data("it has no `weight_map`"))?;
    let mut files = std::collections::BTreeSet::new();
    for (tensor, file) in map {
        let plain = |file: &str| {
            file.ends_with(".safetensors") && !file.starts_with('.') && !file.contains(['/', '\\', ':', '\0'])
        };
        let file = file.as_str().filter(|file| plain(file)).ok_or_else(|| {
            Error::data(format!(
                "tensor `{tensor}` lies in {file}, which is not a safetensors file beside the index"
            ))
            .remedy("do not use this checkpoint: its index points outside of its folder")
        })?;
        files.insert(file.to_owned());
    }
    Ok(files.into_iter().collect())
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

#[cfg(test)]
mod tests;
