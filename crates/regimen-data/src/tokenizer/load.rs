//! From `tokenizer.json` (and `tokenizer_config.json`) to a tokenizer.

use std::collections::BTreeSet;
use std::sync::Arc;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};
use tokenizers::pipeline::{EncodeOptions, PipelineTokenizer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::specials::Special;
use super::vocabulary::{MAX_ID, Spelling, Vocabulary};
use super::{Inner, Specials, Tokenizer};

impl Tokenizer {
    /// Reads a `tokenizer.json` of any version, and what `tokenizer_config.json` adds: which tokens begin and end a
    /// text, and the chat template.
    ///
    /// # Errors
    /// The files do not parse, or name a component that is not supported.
    pub fn from_json(json: &[u8], config: Option<&[u8]>) -> Result<Self> {
        // the library slices without looking where a merge or a name is shorter than the prefix that it should have
        let read = regimen_base::guarded(|| Self::read(json, config));
        read.unwrap_or_else(|| Err(wrong("tokenizer.json contradicts itself")))
    }

    fn read(json: &[u8], config: Option<&[u8]>) -> Result<Self> {
        let config = match config {
            None => Map::new(),
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|e| wrong(&format!("tokenizer_config.json: {e}")))?
            }
        };
        let mut root: Value =
            serde_json::from_slice(json).map_err(|e| wrong(&format!("tokenizer.json: {e}")))?;
        tokenizers::canonicalize_value(&mut root).map_err(|e| wrong(&format!("tokenizer.json: {e}")))?;
        let model = root.get("model").unwrap_or(&Value::Null);
        let spelling = spelling(model);
        let mut vocabulary = Vocabulary::of_model(model, spelling)
            .ok_or_else(|| wrong("tokenizer.json: `model.vocab` is not a vocabulary"))?;
        let alphabet = alphabet(&root, model, &vocabulary);
        let specials = Specials::new(added(&root, &mut vocabulary)?);
        let unk = unknown(model, &vocabulary);
        let byte_level = is_byte_level(model) && root.get("normalizer").is_none_or(Value::is_null);
        if is_byte_level(model) {
            fill_bytes(&mut root, vocabulary.len());
        }
        // only now that no id is absurd: the library makes tables as long as the highest
        let pipeline =
            tokenizers::from_json(&root.to_string()).map_err(|e| wrong(&format!("tokenizer.json: {e}")))?;
        let mut inner = Inner {
            json: json.into(),
            vocabulary: Arc::new(vocabulary),
            specials: Arc::new(specials),
            alphabet: alphabet.map(Arc::new),
            local: root.get("normalizer").is_none_or(Value::is_null),
            byte_level,
            adds_bos: false,
            bos: None,
            eos: None,
            pad: None,
            unk,
            pipeline,
            config,
        };
        inner.find_roles();
        Ok(Self(Arc::new(inner)))
    }

    /// The same tokenizer with this chat template in its `tokenizer_config.json`.
    #[must_use]
    pub fn with_chat_template(&self, source: &str) -> Self {
        let mut inner = (*self.0).clone();
        inner.config.insert("chat_template".to_owned(), Value::from(source));
        Self(Arc::new(inner))
    }

    /// The source of the chat template; of several named ones, `default`.
    pub fn chat_template(&self) -> Option<&str> {
        match self.0.config.get("chat_template")? {
            Value::String(source) => Some(source),
            Value::Array(named) => named
                .iter()
                .find(|t| t.get("name").is_some_and(|n| n == "default"))?
                .get("template")?
                .as_str(),
            _ => None,
        }
    }

    /// A named special token of the configuration: `bos_token`, `unk_token`, …
    pub(crate) fn named(&self, role: &str) -> Option<&str> {
        self.0.named(role)
    }
}

impl Inner {
    fn named(&self, role: &str) -> Option<&str> {
        let given = self.config.get(role).and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
        given.or_else(|| self.pipeline.get_token_for_role(role))
    }

    fn find_roles(&mut self) {
        let id = |role: &str| self.named(role).and_then(|name| self.vocabulary.id(name));
        (self.bos, self.eos, self.pad) = (id("bos_token"), id("eos_token"), id("pad_token"));
        let says = self.config.get("add_bos_token").and_then(Value::as_bool);
        let adds = says.unwrap_or_else(|| self.bos.is_some() && first_added(&self.pipeline) == self.bos);
        self.adds_bos = adds && self.bos.is_some();
    }
}

/// The first token of an empty text: what the post-processor puts before every text.
fn first_added(pipeline: &PipelineTokenizer) -> Option<u32> {
    let mut ids = Vec::new();
    pipeline.encode_into("", &EncodeOptions::default(), &mut ids).ok()?;
    ids.first().map(|token| token.id())
}

fn wrong(why: &str) -> Error {
    Error::data(format!("the tokenizer cannot be read: {why}"))
        .remedy("take tokenizer.json and tokenizer_config.json of one and the same checkpoint")
}

/// The library wants a token for every byte; some vocabularies (SmolLM2's) lack a few that no text holds. They get ids
/// past the vocabulary, which [`Tokenizer`] refuses when a text does hold one.
fn fill_bytes(root: &mut Value, first: usize) {
    let Some(vocab) = root.pointer_mut("/model/vocab").and_then(Value::as_object_mut) else { return };
    let missing: BTreeSet<String> = ByteLevel::alphabet().iter().map(|c| String::from(*c)).collect();
    let missing = missing.into_iter().filter(|name| !vocab.contains_key(name)).collect::<Vec<_>>();
    vocab.extend(missing.into_iter().enumerate().map(|(i, name)| (name, Value::from(first + i))));
}

fn is_byte_level(model: &Value) -> bool {
    model.get("byte_level").and_then(Value::as_bool).unwrap_or(false)
}

fn spelling(model: &Value) -> Spelling {
    match model.get("type").and_then(Value::as_str) {
        Some("WordPiece") => Spelling::WordPiece,
        Some("BPE") if is_byte_level(model) => Spelling::ByteLevel,
        _ => Spelling::Metaspace,
    }
}

/// The id of what is not in the vocabulary.
fn unknown(model: &Value, vocabulary: &Vocabulary) -> Option<u32> {
    let named = model.get("unk_token").and_then(Value::as_str).and_then(|name| vocabulary.id(name));
    named.or_else(|| u32::try_from(model.get("unk_id")?.as_u64()?).ok())
}

/// The characters that a BPE over characters knows, where no others can be encoded: it would drop them silently.
fn alphabet(root: &Value, model: &Value, vocabulary: &Vocabulary) -> Option<BTreeSet<char>> {
    let on = |key: &str| model.get(key).is_some_and(|v| !v.is_null() && v != false);
    let bpe = model.get("type").is_some_and(|t| t == "BPE");
    let rewritten = root.get("normalizer").is_some_and(|n| !n.is_null());
    if !bpe || rewritten || is_byte_level(model) || on("byte_fallback") || on("unk_token") {
        return None;
    }
    let single = |name: &str| {
        let mut chars = name.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    Some(vocabulary.names().filter_map(single).collect())
}

/// Enters the added tokens into the vocabulary and returns the special ones.
fn added(root: &Value, vocabulary: &mut Vocabulary) -> Result<Vec<Special>> {
    let mut specials = Vec::new();
    for token in root.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
        let flag = |key: &str| token.get(key).and_then(Value::as_bool).unwrap_or(false);
        let name = token.get("content").and_then(Value::as_str);
        let (Some(name), Some(id)) =
            (name, token.get("id").and_then(Value::as_u64).filter(|id| *id < MAX_ID))
        else {
            return Err(wrong("tokenizer.json: an added token without `id` or `content`"));
        };
        let id = id as u32;
        if vocabulary.id(name).is_some_and(|known| known != id) {
            return Err(wrong(&format!("tokenizer.json: the added token `{name}` has two ids")));
        }
        let special = flag("special");
        vocabulary.enter(name, id, if special { Vec::new() } else { name.as_bytes().to_vec() });
        if special {
            specials.push(Special {
                name: name.to_owned(),
                id,
                lstrip: flag("lstrip"),
                rstrip: flag("rstrip"),
            });
        }
    }
    Ok(specials)
}
