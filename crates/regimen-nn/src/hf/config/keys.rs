//! The keys of a `config.json` that is being written.

use regimen_kernels::{Activation, Positions, RopeScaling, Shape};
use serde_json::{Map, Value, json};

/// Keys in the order they are written.
#[derive(Default)]
pub(in crate::hf) struct Keys(pub(super) Map<String, Value>);

impl Keys {
    pub(in crate::hf) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(in crate::hf) fn number(&mut self, key: &str, value: f32) {
        self.put(key, number(value));
    }

    /// What Llama and its kin call the parts of a decoder.
    pub(in crate::hf) fn llama(&mut self, shape: &Shape) {
        self.put("vocab_size", shape.vocab);
        self.put("hidden_size", shape.width);
        self.put("intermediate_size", shape.ffn);
        self.put("num_hidden_layers", shape.layers);
        self.put("num_attention_heads", shape.heads);
        self.put("num_key_value_heads", shape.kv_heads);
        self.put("head_dim", shape.head_dim);
        self.put("hidden_act", activation(shape.activation));
        self.number("rms_norm_eps", shape.norm_eps);
        self.put("max_position_embeddings", shape.max_positions);
        self.put("tie_word_embeddings", shape.tied);
        self.rotary(shape);
        self.put("attention_dropout", json!(0.0));
    }

    /// `rope_theta` and `rope_scaling` for transformers 4, `rope_parameters` for transformers 5.
    pub(in crate::hf) fn rotary(&mut self, shape: &Shape) {
        let Positions::Rotary(rotary) = shape.positions else { return };
        let mut table = Map::new();
        let (kind, numbers) = match rotary.scaling {
            None => ("default", vec![]),
            Some(RopeScaling::Linear { factor }) => ("linear", vec![("factor", number(factor))]),
            Some(RopeScaling::Llama3 { factor, low, high, original }) => (
                "llama3",
                vec![
                    ("factor", number(factor)),
                    ("low_freq_factor", number(low)),
                    ("high_freq_factor", number(high)),
                    ("original_max_position_embeddings", json!(original)),
                ],
            ),
        };
        table.insert("rope_type".to_owned(), json!(kind));
        table.extend(numbers.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if rotary.scaling.is_some() {
            self.put("rope_scaling", Value::Object(table.clone()));
        }
        table.insert("rope_theta".to_owned(), number(rotary.theta));
        if let Some(dims) = rotary.dims {
            table.insert("partial_rotary_factor".to_owned(), json!(part(dims, shape.head_dim)));
        }
        self.number("rope_theta", rotary.theta);
        self.put("rope_parameters", Value::Object(table));
    }
}

/// The share of a head that is turned; transformers truncates the product of both.
pub(in crate::hf) fn part(dims: usize, head_dim: usize) -> f64 {
    let part = dims as f64 / head_dim as f64;
    if (part * head_dim as f64) as usize == dims { part } else { part + f64::EPSILON }
}

/// transformers' name.
pub(in crate::hf) fn activation(activation: Activation) -> &'static str {
    match activation {
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

pub(super) fn one_or_many(tokens: &[u32]) -> Value {
    match tokens {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    }
}

/// The text of a JSON file as people read it.
pub(in crate::hf) fn pretty(file: Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(file))
}
