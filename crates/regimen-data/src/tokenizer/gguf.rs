//! Tokenizers as GGUF keeps them: a list of tokens, their types, and merges or scores.

use std::collections::BTreeMap;

use regimen_base::{Error, Result};
use serde_json::{Map, Value, json};

use super::Tokenizer;
use super::own::pretty;

/// The facts `tokenizer.ggml.*` of a GGUF file.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary {
    /// `gpt2` (BPE over bytes) or `llama` (SentencePiece).
    pub model: String,
    /// How `gpt2` parts words.
    pub pre: String,
    /// Tokens by id.
    pub tokens: Vec<String>,
    /// 1 normal, 2 unknown, 3 control, 4 the user's, 5 unused, 6 byte.
    pub types: Vec<i64>,
    /// Merges of `gpt2`, two tokens with a blank between.
    pub merges: Vec<String>,
    /// Scores of `llama`.
    pub scores: Vec<f64>,
    /// Ids by role: `bos`, `eos`, `unknown`, `padding`.
    pub roles: BTreeMap<String, usize>,
    /// Whether a text begins with `bos`.
    pub add_bos: bool,
    /// Whether `llama` puts a blank before a text.
    pub add_space: bool,
    /// The chat template.
    pub chat_template: Option<String>,
}

const CONTROL: i64 = 3;
const OWN: i64 = 4;

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// llama.cpp's names of the ways to part words.
const PARTERS: [&str; 5] = ["gpt-2", "smollm", "llama-bpe", "qwen2", "olmo"];

fn parter(pre: &str) -> Option<Value> {
    let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let split = |pattern: &str| {
        let split =
            json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]})
    };
    Some(match pre {
        "gpt-2" | "default" | "olmo" | "" => bytes(true),
        "smollm" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            json!({"type": "Sequence", "pretokenizers": [digits, bytes(true)]})
        }
        "llama-bpe" | "llama3" | "llama-v3" => split(LLAMA3),
        "qwen2" => split(QWEN2),
        _ => return None,
    })
}

impl Tokenizer {
    /// The tokenizer of a GGUF file.
    ///
    /// # Errors
    /// When it is of a kind that is not supported, or its lists do not fit together.
    pub fn from_gguf(v: &GgufVocabulary) -> Result<Self> {
        if v.tokens.is_empty() || v.types.len() != v.tokens.len() {
            let (tokens, types) = (v.tokens.len(), v.types.len());
            return Err(wrong(format!("the GGUF file has {tokens} tokens and {types} types of tokens")));
        }
        let root = match v.model.as_str() {
            "gpt2" => byte_level(v)?,
            "llama" => sentence_piece(v)?,
            other => {
                return Err(wrong(format!("the GGUF file's tokenizer is of the unknown kind `{other}`")));
            }
        };
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
            "add_bos_token": v.add_bos,
        });
        for (role, name) in
            [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")]
        {
            if let Some(token) = v.roles.get(role).and_then(|id| v.tokens.get(*id)) {
                config[name] = token.as_str().into();
            }
        }
        if let Some(template) = &v.chat_template {
            config["chat_template"] = template.as_str().into();
        }
        Self::from_json(&pretty(&root), Some(&pretty(&config)))
    }

    /// The facts `tokenizer.*` of a GGUF file, in the order they are written.
    ///
    /// # Errors
    /// When llama.cpp has no such tokenizer: it must be a BPE over bytes that parts words in a known way.
    pub fn to_gguf(&self) -> Result<Vec<(String, Value)>> {
        let json: Value = serde_json::from_slice(&self.0.json)
            .map_err(|e| Error::failed(format!("tokenizer.json cannot be read again: {e}")))?;
        let given = plain(&json["pre_tokenizer"]);
        let pre = PARTERS.iter().find(|pre| parter(pre).is_some_and(|p| plain(&p) == given));
        let Some(pre) = pre.filter(|_| json["model"]["type"] == "BPE") else {
            return Err(Error::usage("llama.cpp has no tokenizer of this kind: only a BPE over bytes that parts words as GPT-2, SmolLM, Llama 3 or Qwen2 do")
                .remedy("export to hf instead, or train with tokenizer = \"bpe\""));
        };
        let (mut tokens, mut types) = (Vec::new(), Vec::new());
        for id in 0..self.vocab_size() as u32 {
            let special = self.is_special(id);
            tokens.push(self.token(id).map_or_else(|| format!("[PAD{id}]"), str::to_owned));
            types.push(if self.token(id).is_none() {
                5
            } else if special {
                CONTROL
            } else {
                1
            });
        }
        let mut facts = vec![
            ("tokenizer.ggml.model".to_owned(), json!("gpt2")),
            ("tokenizer.ggml.pre".to_owned(), json!(pre)),
            ("tokenizer.ggml.tokens".to_owned(), json!(tokens)),
            ("tokenizer.ggml.token_type".to_owned(), json!(types)),
            ("tokenizer.ggml.merges".to_owned(), json!(merges(&json["model"]["merges"]))),
            ("tokenizer.ggml.add_bos_token".to_owned(), json!(self.adds_bos())),
        ];
        for (role, id) in [("bos", self.bos()), ("eos", self.eos()), ("padding", self.pad())] {
            facts.extend(id.map(|id| (format!("tokenizer.ggml.{role}_token_id"), json!(id))));
        }
        facts.extend(self.chat_template().map(|t| ("tokenizer.chat_template".to_owned(), json!(t))));
        Ok(facts)
    }
}

fn wrong(what: String) -> Error {
    Error::data(what)
        .remedy("take a GGUF file with a tokenizer of kind `gpt2` or `llama`, or the model's safetensors")
}

/// A pre-tokenizer without what only matters for offsets.
fn plain(pre: &Value) -> Value {
    match pre {
        Value::Object(table) => {
            let kept = table.iter().filter(|(key, _)| !matches!(key.as_str(), "trim_offsets" | "invert"));
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// Both spellings: `"a b"` and `["a", "b"]`.
fn merges(merges: &Value) -> Vec<String> {
    let one = |merge: &Value| match merge {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        _ => None,
    };
    merges.as_array().into_iter().flatten().filter_map(one).collect()
}

fn vocabulary(v: &GgufVocabulary) -> Map<String, Value> {
    v.tokens.iter().enumerate().map(|(id, token)| (token.clone(), Value::from(id))).collect()
}

fn added(v: &GgufVocabulary) -> Vec<Value> {
    let own = |(_, kind): &(usize, &i64)| [CONTROL, OWN].contains(*kind);
    let token = |(id, kind): (usize, &i64)| {
        json!({"id": id, "content": v.tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": *kind == CONTROL})
    };
    v.types.iter().enumerate().filter(own).map(token).collect()
}

fn byte_level(v: &GgufVocabulary) -> Result<Value> {
    let pre = parter(&v.pre).ok_or_else(|| {
        wrong(format!(
            "the GGUF file's tokenizer parts words as `{}`, which is not supported ({})",
            v.pre,
            PARTERS.join(", ")
        ))
    })?;
    let pair = |merge: &String| merge.split_once(' ').map(|(a, b)| json!([a, b]));
    let merges: Option<Vec<Value>> = v.merges.iter().map(pair).collect();
    let merges =
        merges.ok_or_else(|| wrong("a merge of the GGUF file's tokenizer is not two tokens".to_owned()))?;
    let normalizer = if v.pre == "qwen2" { json!({"type": "NFC"}) } else { Value::Null };
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added(v),
        "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                  "ignore_merges": matches!(v.pre.as_str(), "llama-bpe" | "llama3" | "llama-v3"),
                  "vocab": vocabulary(v), "merges": merges},
    }))
}

/// SentencePiece's BPE, as transformers converts it: every way to part a token into two others is a merge, in the order
/// of the scores.
fn sentence_piece(v: &GgufVocabulary) -> Result<Value> {
    if v.scores.len() != v.tokens.len() {
        return Err(wrong("the GGUF file's tokenizer has not one score a token".to_owned()));
    }
    let ids: BTreeMap<&str, usize> = v.tokens.iter().enumerate().map(|(id, t)| (t.as_str(), id)).collect();
    let mut merges: Vec<(f64, usize, usize)> = Vec::new();
    for (token, score) in v.tokens.iter().zip(&v.scores) {
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let mut own: Vec<(usize, usize)> =
            cuts.filter_map(|(a, b)| Some((*ids.get(a)?, *ids.get(b)?))).collect();
        own.sort_unstable();
        merges.extend(own.into_iter().map(|(a, b)| (*score, a, b)));
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let merges: Vec<Value> = merges.iter().map(|(_, a, b)| json!([v.tokens[*a], v.tokens[*b]])).collect();
    let unk = v.roles.get("unknown").and_then(|id| v.tokens.get(*id));
    let mut normalizers = vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if v.add_space {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added(v),
        "normalizer": {"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": null,
        "post_processor": null, "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "BPE", "dropout": null, "unk_token": unk, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                  "vocab": vocabulary(v), "merges": merges},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(facts: &[(String, Value)]) -> GgufVocabulary {
        let get =
            |key: &str| facts.iter().find(|(name, _)| name == key).map_or(&Value::Null, |(_, value)| value);
        let texts = |key: &str| -> Vec<String> {
            get(key)
                .as_array()
                .expect("a list")
                .iter()
                .map(|t| t.as_str().expect("a text").to_owned())
                .collect()
        };
        let role = |role: &str| {
            let id = get(&format!("tokenizer.ggml.{role}_token_id")).as_u64()?;
            Some((role.to_owned(), id as usize))
        };
        GgufVocabulary {
            model: "gpt2".to_owned(),
            pre: get("tokenizer.ggml.pre").as_str().expect("a text").to_owned(),
            tokens: texts("tokenizer.ggml.tokens"),
            types: get("tokenizer.ggml.token_type")
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(Value::as_i64)
                .collect(),
            merges: texts("tokenizer.ggml.merges"),
            roles: ["bos", "eos", "padding"].into_iter().filter_map(role).collect(),
            add_bos: get("tokenizer.ggml.add_bos_token").as_bool().expect("a flag"),
            chat_template: get("tokenizer.chat_template").as_str().map(str::to_owned),
            ..GgufVocabulary::default()
        }
    }

    #[test]
    fn out_and_back_encodes_the_same() {
        let tokenizer = Tokenizer::byte().expect("it is ours");
        let again = Tokenizer::from_gguf(&back(&tokenizer.to_gguf().expect("a BPE over bytes")))
            .expect("just written");
        for text in ["12 + 34 = 46\n", "Größe <eos> — 漢字", ""] {
            let ids = tokenizer.encode_text(text).expect("it encodes all");
            assert_eq!(again.encode_text(text), Ok(ids.clone()));
            assert_eq!(again.decode(&ids, false), text);
        }
        assert_eq!(
            (again.bos(), again.eos(), again.pad()),
            (tokenizer.bos(), tokenizer.eos(), tokenizer.pad())
        );
        assert_eq!(again.chat_template(), tokenizer.chat_template());
        assert_eq!(again.is_special(2), tokenizer.is_special(2));
    }

    #[test]
    fn other_tokenizers_are_told() {
        let char = Tokenizer::char("abc", super::super::Unknown::Refuse).expect("it is ours");
        assert!(char.to_gguf().is_err_and(|e| e.what.contains("no tokenizer of this kind")));
        let of = |model: &str, pre: &str| GgufVocabulary {
            model: model.to_owned(),
            pre: pre.to_owned(),
            tokens: vec!["a".to_owned()],
            types: vec![1],
            ..GgufVocabulary::default()
        };
        assert!(Tokenizer::from_gguf(&of("bert", "")).is_err_and(|e| e.what.contains("`bert`")));
        assert!(Tokenizer::from_gguf(&of("gpt2", "deepseek")).is_err_and(|e| e.what.contains("`deepseek`")));
        assert!(Tokenizer::from_gguf(&GgufVocabulary::default()).is_err_and(|e| e.what.contains("0 tokens")));
    }

    #[test]
    fn sentence_pieces_merge_by_score() {
        let pieces = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁a", "▁ab"].map(str::to_owned);
        let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
        let v = GgufVocabulary {
            model: "llama".to_owned(),
            tokens: pieces.into_iter().chain(bytes).collect(),
            types: [2, 3, 3, 1, 1, 1, 1, 1, 1].into_iter().chain([6; 256]).collect(),
            scores: [0.0, 0.0, 0.0, -9.0, -7.0, -8.0, -1.0, -2.0, -3.0]
                .into_iter()
                .chain([0.0; 256])
                .collect(),
            roles: [("bos", 1), ("eos", 2), ("unknown", 0)].map(|(r, id)| (r.to_owned(), id)).into(),
            add_space: true,
            ..GgufVocabulary::default()
        };
        let tokenizer = Tokenizer::from_gguf(&v).expect("it is whole");
        assert_eq!(tokenizer.encode_text("ab abc"), Ok(vec![8, 8, 9 + 0x63]));
        assert_eq!(tokenizer.decode(&[8, 8, 9 + 0x63], false), "ab abc");
        assert_eq!(tokenizer.eos(), Some(2));
    }
}
