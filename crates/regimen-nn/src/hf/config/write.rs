//! To `config.json`.

use regimen_kernels::{Activation, Norm};
use serde_json::{Map, Value, json};

use super::{Config, Family};

/// Writes `config.json`: the family that expresses the shape exactly, or `regimen` with a note where none does.
pub fn write_config(config: &Config) -> String {
    let shape = &config.shape;
    let family = Family::of(shape);
    let (kind, class) = family.names();
    let mut file = Map::new();
    let mut put = |key: &str, value: Value| file.insert(key.to_owned(), value);
    put("architectures", json!([class]));
    put("model_type", json!(kind));
    put("vocab_size", json!(shape.vocab));
    put("hidden_size", json!(shape.width));
    put("intermediate_size", json!(shape.ffn));
    put("num_hidden_layers", json!(shape.layers));
    put("num_attention_heads", json!(shape.heads));
    put("num_key_value_heads", json!(shape.kv_heads));
    put("head_dim", json!(shape.head_dim));
    put("hidden_act", json!(activation_name(family, shape.activation)));
    put("rms_norm_eps", number(shape.norm_eps));
    put("rope_theta", number(shape.rope_theta)); // transformers 4
    put("rope_parameters", json!({ "rope_type": "default", "rope_theta": number(shape.rope_theta) })); // transformers 5
    put("max_position_embeddings", json!(shape.max_positions));
    put("tie_word_embeddings", json!(shape.tied));
    match family {
        Family::Llama | Family::Arcee => {
            put("attention_bias", json!(false));
            put("mlp_bias", json!(false));
        }
        Family::Qwen3 => {
            put("attention_bias", json!(false));
        }
        Family::Regimen => {
            put("norm", json!(if shape.norm == Norm::Rms { "rms" } else { "layer" }));
            put("qk_norm", json!(shape.qk_norm));
            put("attention_bias", json!(shape.attention_bias));
            put("note", json!("no architecture of transformers expresses this shape: only regimen loads it"));
        }
        Family::Mistral | Family::Qwen2 => {}
    }
    put("attention_dropout", json!(0.0));
    put("initializer_range", json!(0.02));
    put("bos_token_id", json!(config.bos));
    put("eos_token_id", one_or_many(&config.eos));
    put("pad_token_id", json!(config.pad));
    put("torch_dtype", json!("float32"));
    put("use_cache", json!(true));
    pretty(file)
}

fn activation_name(family: Family, activation: Activation) -> &'static str {
    match activation {
        Activation::SwiGlu if family == Family::Regimen => "swiglu",
        Activation::SwiGlu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::Relu2 => "relu2",
    }
}

/// The shortest decimal that reads back as the same f32: 1e-6, not 9.999999974752427e-7.
fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, |v| json!(v))
}

fn one_or_many(tokens: &[u32]) -> Value {
    match tokens {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    }
}

/// The text of a JSON file as people read it.
pub(in super::super) fn pretty(file: Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(file))
}
