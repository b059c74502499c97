//! Models in one GGUF file.

use std::collections::BTreeMap;

use regimen_base::Result;
use regimen_data::{GgufVocabulary, Tokenizer};
use regimen_nn::gguf::{self, Gguf, Store, Value};
use regimen_nn::{Device, Half};
use serde_json::Value as Json;

use super::{Language, Model, Outline, Written, enough};

impl Outline {
    /// Architecture and tokenizer of a GGUF file.
    ///
    /// # Errors
    /// What is wrong with the file, or not supported.
    pub fn of_gguf(bytes: &[u8]) -> Result<Self> {
        let file = Gguf::read(bytes)?;
        let config = gguf::read_config(&file)?;
        let tokenizer = Tokenizer::from_gguf(&vocabulary(&file))?;
        Written { shape: config.shape, tokenizer, family: config.family }.checked()
    }
}

impl Model {
    /// Reads a GGUF file, dequantised to f32, or its matrices to 16 bits.
    ///
    /// # Errors
    /// What is wrong with the file, or not supported.
    pub fn read_gguf(bytes: &[u8], device: &Device, half: Option<Half>) -> Result<Self> {
        let outline = Outline::of_gguf(bytes)?;
        let Written { shape, tokenizer, family } = outline.decoder()?.clone();
        let file = Gguf::read(bytes)?;
        let config = gguf::read_config(&file)?;
        // the sizes of tensors of unknown types were not checked
        let known = file.tensors().values().filter(|t| t.kind().is_some());
        let there = known.map(|t| t.shape.iter().product::<usize>()).sum();
        enough(regimen_kernels::Layout::new(&shape).len(), there)?;
        let net = gguf::read_net(&file, &config, device, half)?;
        Ok(Self { net, language: Some(Language { tokenizer, family, base: None }) })
    }

    /// The model without adapters as a GGUF file.
    ///
    /// # Errors
    /// When llama.cpp has no such architecture or tokenizer, or the model has adapters.
    pub fn to_gguf(&self, store: Store) -> Result<Vec<u8>> {
        let language = self.language()?;
        let facts = language.tokenizer.to_gguf()?;
        let tokenizer = facts.into_iter().map(|(name, value)| (name, fact(value))).collect();
        gguf::write(&language.config(self.shape()?), self.net.params(), store, tokenizer)
    }
}

fn vocabulary(file: &Gguf<'_>) -> GgufVocabulary {
    let get = |key: &str| file.facts().get(&format!("tokenizer.ggml.{key}"));
    let text = |key: &str| get(key).and_then(Value::text).unwrap_or("").to_owned();
    let list = |key: &str| get(key).and_then(Value::list).unwrap_or_default();
    let texts = |key: &str| list(key).iter().map(|v| v.text().unwrap_or("").to_owned()).collect();
    let flag = |key: &str| get(key).and_then(Value::flag);
    let model = text("model");
    let role = |role: &str| Some((role.to_owned(), get(&format!("{role}_token_id"))?.count()?));
    let roles: BTreeMap<String, usize> =
        ["bos", "eos", "unknown", "padding"].into_iter().filter_map(role).collect();
    let template = file.facts().get("tokenizer.chat_template").and_then(Value::text);
    GgufVocabulary {
        pre: text("pre"),
        tokens: texts("tokens"),
        types: list("token_type").iter().map(|v| v.number().unwrap_or(0.0) as i64).collect(),
        merges: texts("merges"),
        scores: list("scores").iter().map(|v| v.number().unwrap_or(0.0)).collect(),
        roles,
        // llama.cpp's defaults
        add_bos: flag("add_bos_token").unwrap_or(model == "llama"),
        add_space: flag("add_space_prefix").unwrap_or(true),
        chat_template: template.map(str::to_owned),
        model,
    }
}

fn fact(json: Json) -> Value {
    match json {
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(0.0)), Value::Int),
        Json::String(text) => Value::Text(text),
        Json::Array(list) => Value::List(list.into_iter().map(fact).collect()),
        Json::Null | Json::Object(_) => Value::List(Vec::new()),
    }
}
