//! `config.json` ↔ [`Shape`].

mod file;
mod keys;

use regimen_base::{Error, Result};
use regimen_kernels::Shape;
use serde_json::{Value, json};

pub(super) use file::{File, missing, unsupported};
pub(super) use keys::{Keys, activation, part, pretty};

use super::family::{Family, supported};

/// What `config.json` says.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The decoder.
    pub shape: Shape,
    /// Which architecture the file is.
    pub family: &'static Family,
    /// The token that starts a text.
    pub bos: Option<u32>,
    /// The tokens that end a reply.
    pub eos: Vec<u32>,
    /// The token that fills rows of a batch.
    pub pad: Option<u32>,
}

/// Reads `config.json`.
///
/// # Errors
/// When the text is not JSON, when a key is missing or of a wrong type, or when the file asks for something that is
/// not supported: another architecture, a sliding window shorter than the context, another RoPE scaling, …
pub fn read_config(text: &str) -> Result<Config> {
    let file = File::parse(text)?;
    let kind = file.get("model_type").and_then(Value::as_str).ok_or_else(|| missing("model_type"))?;
    let family = Family::named(kind).ok_or_else(|| {
        Error::data(format!("config.json: the architecture `{kind}` is not supported")).remedy(supported())
    })?;
    if file.get("quantization_config").is_some() {
        return Err(unsupported("quantised weights"));
    }
    let shape = (family.read)(&file)?;
    shape.check().map_err(|why| Error::data(format!("config.json: {why}")))?;
    Ok(Config {
        shape,
        family,
        bos: file.first_token("bos_token_id")?,
        eos: file.tokens("eos_token_id")?,
        pad: file.first_token("pad_token_id")?,
    })
}

/// Writes `config.json`. A family that cannot express the shape gives way to one that does: `regimen`, which only this
/// program reads, where there is no other.
pub fn write_config(config: &Config) -> String {
    let family = config.family.or_other(&config.shape);
    let mut keys = Keys::default();
    keys.put("architectures", json!([family.class]));
    keys.put("model_type", family.model_type);
    (family.write)(&config.shape, &mut keys);
    keys.put("initializer_range", json!(0.02));
    keys.put("bos_token_id", json!(config.bos));
    keys.put("eos_token_id", keys::one_or_many(&config.eos));
    keys.put("pad_token_id", json!(config.pad));
    keys.put("torch_dtype", "float32");
    keys.put("use_cache", true);
    pretty(keys.0)
}

#[cfg(test)]
mod tests {
    use regimen_kernels::{Activation, Norm, Positions, RopeScaling, Rotary};
    use serde_json::Map;

    use super::*;
    use crate::testing::shapes;

    fn config(shape: Shape) -> Config {
        Config { family: Family::of(&shape), shape, bos: Some(1), eos: vec![2, 3], pad: None }
    }

    #[test]
    fn every_shape_survives_the_round_trip() {
        for shape in shapes().into_iter().filter(|s| s.lora.is_none()) {
            let written = write_config(&config(shape.clone()));
            assert_eq!(read_config(&written), Ok(config(shape)), "{written}");
        }
    }

    #[test]
    fn a_family_stays_what_it_was() {
        let mistral =
            Config { family: Family::named("mistral").expect("known"), ..config(shapes()[0].clone()) };
        let written = write_config(&mistral);
        assert!(written.contains("MistralForCausalLM"), "{written}");
        assert_eq!(read_config(&written), Ok(mistral.clone()));
        // until it has something that the family lacks
        let normed = Config { shape: Shape { qk_norm: true, ..mistral.shape.clone() }, ..mistral };
        assert!(write_config(&normed).contains("Qwen3ForCausalLM"));
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
        assert_eq!((shape.kv_heads, shape.head_dim, shape.tied), (4, 8, false));
        assert_eq!(shape.positions, Positions::rotary(1e4));
        let moved = read_with("rope_parameters", json!({"rope_type": "default", "rope_theta": 5e5}))
            .expect("it is whole");
        assert_eq!(moved.shape.positions, Positions::rotary(5e5));
        assert_eq!(read_with("eos_token_id", json!([7, 8])).map(|c| c.eos), Ok(vec![7, 8]));
    }

    #[test]
    fn rope_scaling_is_read_from_old_and_new_files() {
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 8192});
        let scaling = Some(RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192 });
        let positions = Positions::Rotary(Rotary { theta: 1e4, dims: None, scaling });
        for key in ["rope_scaling", "rope_parameters"] {
            assert_eq!(read_with(key, llama3.clone()).map(|c| c.shape.positions), Ok(positions));
        }
        let linear = read_with("rope_scaling", json!({"type": "linear", "factor": 2.0}));
        let scaling = Some(RopeScaling::Linear { factor: 2.0 });
        let positions = Positions::Rotary(Rotary { theta: 1e4, dims: None, scaling });
        assert_eq!(linear.map(|c| c.shape.positions), Ok(positions));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let refused = [
            ("model_type", json!("mamba"), "`mamba` is not supported"),
            ("hidden_act", json!("gelu"), "activation `gelu`"),
            ("rope_scaling", json!({"rope_type": "yarn", "factor": 8.0}), "the RoPE scaling `yarn`"),
            ("quantization_config", json!({}), "quantised"),
            ("vocab_size", json!("64"), "`vocab_size` is \"64\", not a count"),
            ("vocab_size", json!(1_u64 << 40), "not a count"),
            ("hidden_size", Value::Null, "has no `hidden_size`"),
        ];
        for (key, value, message) in refused {
            let e = read_with(key, value).expect_err(key);
            assert!(e.what.contains(message), "{}", e.what);
        }
        let e = read_with("model_type", json!("mamba")).expect_err("unknown");
        assert!(e.remedy.is_some_and(|r| r.contains("GPTNeoXForCausalLM") && r.contains("Qwen3ForCausalLM")));
        let mut mistral = llama();
        mistral.insert("model_type".to_owned(), json!("mistral"));
        mistral.insert("sliding_window".to_owned(), json!(4096));
        mistral.insert("max_position_embeddings".to_owned(), json!(8192));
        let e = read_config(&Value::Object(mistral.clone()).to_string()).expect_err("too short a window");
        assert!(e.what.contains("sliding window of 4096 tokens in a context of 8192"), "{}", e.what);
        mistral.insert("max_position_embeddings".to_owned(), json!(4096));
        mistral.insert("num_key_value_heads".to_owned(), json!(4));
        assert!(read_config(&Value::Object(mistral).to_string()).is_ok());
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
