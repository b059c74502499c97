//! `config.json` ↔ [`Shape`].
//!
//! Read and written: `LlamaForCausalLM`, `MistralForCausalLM` (without a sliding window), `Qwen2ForCausalLM`,
//! `Qwen3ForCausalLM`, `ArceeForCausalLM` (Llama with a squared ReLU). A shape that none of them can express is written with the model type `regimen`, which only this
//! program reads; the weights keep the same names.

mod read;
mod write;

use regimen_kernels::{Activation, Norm, Shape};

pub use read::read_config;
pub(super) use write::pretty;
pub use write::write_config;

/// What `config.json` says.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The architecture.
    pub shape: Shape,
    /// The token that starts a text.
    pub bos: Option<u32>,
    /// The tokens that end a reply.
    pub eos: Vec<u32>,
    /// The token that fills rows of a batch.
    pub pad: Option<u32>,
}

/// Which of the known architectures a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Arcee,
    Regimen,
}

impl Family {
    fn named(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "llama" => Self::Llama,
            "mistral" => Self::Mistral,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "arcee" => Self::Arcee,
            "regimen" => Self::Regimen,
            _ => return None,
        })
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Llama => ("llama", "LlamaForCausalLM"),
            Self::Mistral => ("mistral", "MistralForCausalLM"),
            Self::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Self::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
            Self::Arcee => ("arcee", "ArceeForCausalLM"),
            Self::Regimen => ("regimen", "RegimenForCausalLM"),
        }
    }

    /// The family that expresses `shape` exactly.
    fn of(shape: &Shape) -> Self {
        if shape.norm != Norm::Rms || shape.ffn == 0 {
            return Self::Regimen;
        }
        match (shape.activation, shape.attention_bias, shape.qk_norm) {
            (Activation::SwiGlu, false, false) => Self::Llama,
            (Activation::SwiGlu, true, false) => Self::Qwen2,
            (Activation::SwiGlu, false, true) => Self::Qwen3,
            (Activation::Relu2, false, false) => Self::Arcee,
            _ => Self::Regimen,
        }
    }
}

#[cfg(test)]
mod tests {
    use regimen_base::Result;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::testing::shapes;

    fn config(shape: Shape) -> Config {
        Config { shape, bos: Some(1), eos: vec![2, 3], pad: None }
    }

    #[test]
    fn every_shape_survives_the_round_trip() {
        for shape in shapes() {
            let written = write_config(&config(shape.clone()));
            assert_eq!(read_config(&written), Ok(config(shape)), "{written}");
        }
    }

    fn llama() -> Map<String, Value> {
        let text = r#"{"model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "rms_norm_eps": 1e-05, "bos_token_id": 1}"#;
        serde_json::from_str(text).expect("the test's own text")
    }

    fn read_with(key: &str, value: Value) -> Result<Config> {
        let mut file = llama();
        file.insert(key.to_owned(), value);
        read_config(&Value::Object(file).to_string())
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let shape = read_with("bos_token_id", Value::Null).expect("it is whole").shape;
        assert_eq!((shape.kv_heads, shape.head_dim, shape.rope_theta, shape.tied), (4, 8, 10000.0, false));
        let moved = read_with("rope_parameters", json!({"rope_type": "default", "rope_theta": 5e5}))
            .expect("it is whole");
        assert_eq!(moved.shape.rope_theta, 5e5);
        assert_eq!(read_with("eos_token_id", json!([7, 8])).map(|c| c.eos), Ok(vec![7, 8]));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let refused = [
            ("model_type", json!("gpt2"), "`gpt2` is not supported"),
            ("hidden_act", json!("gelu"), "activation `gelu`"),
            ("rope_scaling", json!({"rope_type": "llama3", "factor": 8.0}), "RoPE scaling"),
            ("attention_bias", json!(true), "bias in o_proj"),
            ("mlp_bias", json!(true), "bias in the MLP"),
            ("quantization_config", json!({}), "quantised"),
            ("vocab_size", json!("64"), "`vocab_size` is \"64\", not a count"),
            ("hidden_size", Value::Null, "has no `hidden_size`"),
        ];
        for (key, value, message) in refused {
            let e = read_with(key, value).expect_err(key);
            assert!(e.what.contains(message), "{}", e.what);
        }
        let mut mistral = llama();
        mistral.insert("model_type".to_owned(), json!("mistral"));
        mistral.insert("sliding_window".to_owned(), json!(4096));
        assert!(
            read_config(&Value::Object(mistral).to_string())
                .is_err_and(|e| e.what.contains("sliding window"))
        );
        assert!(read_config("{").is_err_and(|e| e.what.contains("not valid")));
    }

    #[test]
    fn a_foreign_shape_says_so() {
        let arcee = shapes().into_iter().find(|s| s.activation == Activation::Relu2).expect("there is one");
        let arcee = write_config(&config(Shape { norm: Norm::Rms, qk_norm: false, ..arcee }));
        assert!(arcee.contains("ArceeForCausalLM"), "{arcee}");
        let gelu = shapes().into_iter().find(|s| s.norm == Norm::Layer).expect("there is one");
        let written = write_config(&config(gelu));
        assert!(written.contains("\"model_type\": \"regimen\"") && written.contains("only regimen loads it"));
    }
}
