//! A tokenizer as the files of a checkpoint.

use serde_json::{Map, Value};

use super::Tokenizer;
use super::own::pretty;

const ROLES: [&str; 6] = ["bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token"];

impl Tokenizer {
    /// `tokenizer.json` (byte for byte as it was read), `tokenizer_config.json` with the chat template, and
    /// `special_tokens_map.json`: transformers loads a folder with them as it is.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut config = self.0.config.clone();
        config.entry("tokenizer_class").or_insert_with(|| "PreTrainedTokenizerFast".into());
        let named =
            ROLES.iter().filter_map(|role| Some(((*role).to_owned(), Value::from(self.named(role)?))));
        let named: Map<String, Value> = named.collect();
        for (role, name) in &named {
            config.entry(role.clone()).or_insert_with(|| name.clone());
        }
        vec![
            ("tokenizer.json".to_owned(), self.0.json.to_vec()),
            ("tokenizer_config.json".to_owned(), pretty(&Value::Object(config))),
            ("special_tokens_map.json".to_owned(), pretty(&Value::Object(named))),
        ]
    }
}
