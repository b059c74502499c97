//! `generation_config.json`.

use serde_json::{Map, json};

/// What `generate` of other programs should do with a checkpoint by default.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Generation {
    /// The token that starts a text.
    pub bos: Option<u32>,
    /// The tokens that end a reply.
    pub eos: Vec<u32>,
    /// The token that fills rows of a batch.
    pub pad: Option<u32>,
    /// Sampling temperature; `None` decodes greedily.
    pub temperature: Option<f32>,
    /// Nucleus mass.
    pub top_p: Option<f32>,
    /// The most tokens of a reply.
    pub max_new_tokens: Option<usize>,
}

/// The file's text, pretty-printed.
pub fn write_generation_config(generation: &Generation) -> String {
    let mut file = Map::new();
    if let Some(bos) = generation.bos {
        file.insert("bos_token_id".to_owned(), json!(bos));
    }
    file.insert("do_sample".to_owned(), json!(generation.temperature.is_some()));
    match generation.eos.as_slice() {
        [] => None,
        [one] => file.insert("eos_token_id".to_owned(), json!(one)),
        several => file.insert("eos_token_id".to_owned(), json!(several)),
    };
    if let Some(tokens) = generation.max_new_tokens {
        file.insert("max_new_tokens".to_owned(), json!(tokens));
    }
    if let Some(pad) = generation.pad {
        file.insert("pad_token_id".to_owned(), json!(pad));
    }
    if let Some(temperature) = generation.temperature {
        file.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = generation.top_p {
        file.insert("top_p".to_owned(), json!(top_p));
    }
    super::config::pretty(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_written() {
        let greedy = Generation { eos: vec![2], ..Generation::default() };
        assert_eq!(
            write_generation_config(&greedy),
            "{\n  \"do_sample\": false,\n  \"eos_token_id\": 2\n}\n"
        );
        let warm = Generation { eos: vec![2, 3], temperature: Some(1.0), ..greedy };
        assert!(write_generation_config(&warm).contains("\"eos_token_id\": [\n    2,\n    3\n  ]"));
    }
}
