//! Our own tokenizers, spelled as the `tokenizer.json` (version 1.0) that transformers reads.

use std::collections::BTreeSet;

use regimen_base::{Error, Result};
use serde_json::{Map, Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::Tokenizer;
use crate::template::DEFAULT_TEMPLATE;

/// Ids 0.. of our own tokenizers. `<eos>` ends a document and a reply; the markers begin a turn.
pub(super) const SPECIALS: [&str; 7] =
    ["<pad>", "<bos>", "<eos>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"];
const UNK: &str = "<unk>";

/// What a character tokenizer does with a character outside its alphabet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unknown {
    /// Refuses the text and names the character.
    #[default]
    Refuse,
    /// Makes it `<unk>`.
    Unk,
}

impl Tokenizer {
    /// One token a character.
    ///
    /// # Errors
    /// An empty alphabet.
    pub fn char(alphabet: &str, unknown: Unknown) -> Result<Self> {
        if alphabet.is_empty() {
            return Err(
                Error::usage("a character tokenizer without characters").remedy("give it an alphabet")
            );
        }
        let mut names: Vec<String> = SPECIALS.iter().map(|s| (*s).to_owned()).collect();
        let unk = unknown == Unknown::Unk;
        names.extend(unk.then(|| UNK.to_owned()));
        let specials = names.len();
        let mut seen = BTreeSet::new();
        names.extend(alphabet.chars().filter(|c| seen.insert(*c)).map(String::from));
        let model = model(&names, &[], unk.then_some(UNK));
        build(&names[..specials], model, Value::Null, json!({"type": "Fuse"}))
    }

    /// One token a byte: 256 tokens and the special ones. Everything can be encoded.
    pub fn byte() -> Result<Self> {
        let mut names: Vec<String> = SPECIALS.iter().map(|s| (*s).to_owned()).collect();
        names.extend(ByteLevel::alphabet().iter().map(|c| String::from(*c)));
        Self::byte_level(&names, &[])
    }

    /// A BPE over bytes. Digits stand alone, words are parted as GPT-2 does: SmolLM2's choice, which suits arithmetic.
    pub(super) fn byte_level(names: &[String], merges: &[(String, String)]) -> Result<Self> {
        let bytes =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let parts = json!([{"type": "Digits", "individual_digits": true}, bytes]);
        let pre_tokenizer = json!({"type": "Sequence", "pretokenizers": parts});
        build(&names[..SPECIALS.len()], model(names, merges, None), pre_tokenizer, bytes)
    }
}

fn model(names: &[String], merges: &[(String, String)], unk: Option<&str>) -> Value {
    let vocab: Map<String, Value> =
        names.iter().enumerate().map(|(id, n)| (n.clone(), Value::from(id))).collect();
    json!({
        "type": "BPE", "dropout": null, "unk_token": unk, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab, "merges": merges,
    })
}

fn build(specials: &[String], model: Value, pre_tokenizer: Value, decoder: Value) -> Result<Tokenizer> {
    let added = |(id, name): (usize, &String)| {
        json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let root = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": specials.iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": pre_tokenizer, "post_processor": bos_first(),
        "decoder": decoder, "model": model,
    });
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
        "pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "chat_template": DEFAULT_TEMPLATE,
    });
    if specials.len() > SPECIALS.len() {
        config["unk_token"] = UNK.into();
    }
    Tokenizer::from_json(&pretty(&root), Some(&pretty(&config)))
}

/// `<bos>` before every text, as the transform `text` puts it.
fn bos_first() -> Value {
    let bos = json!({"SpecialToken": {"id": "<bos>", "type_id": 0}});
    let text = |id: &str, type_id: u32| json!({"Sequence": {"id": id, "type_id": type_id}});
    json!({
        "type": "TemplateProcessing", "single": [bos, text("A", 0)], "pair": [bos, text("A", 0), text("B", 1)],
        "special_tokens": {"<bos>": {"id": "<bos>", "ids": [1], "tokens": ["<bos>"]}},
    })
}

pub(super) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
