//! From `config.json`.

use regimen_base::{Error, Result};
use regimen_kernels::{Activation, Norm, Shape};
use serde_json::{Map, Value};

use super::{Config, Family};

const REMEDY: &str = "architectures: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, \
                      ArceeForCausalLM, or `regimen`";

/// Reads `config.json`.
///
/// # Errors
/// When the text is not JSON, when a key is missing or of a wrong type, or when the file asks for something that is
/// not supported: another architecture, a sliding window, RoPE scaling, biases of other projections.
pub fn read_config(text: &str) -> Result<Config> {
    let file: Map<String, Value> = serde_json::from_str(text).map_err(|e| {
        Error::data(format!("config.json is not valid: {e}")).remedy("copy or download it again")
    })?;
    let file = File(file);
    let family = file.family()?;
    file.refuse_unsupported(family)?;
    let shape = file.shape(family)?;
    shape.check().map_err(|why| Error::data(format!("config.json: {why}")))?;
    Ok(Config {
        shape,
        bos: file.first_token("bos_token_id")?,
        eos: file.tokens("eos_token_id")?,
        pad: file.first_token("pad_token_id")?,
    })
}

struct File(Map<String, Value>);

impl File {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn family(&self) -> Result<Family> {
        let named = |name: &str| {
            Error::data(format!("config.json: the architecture `{name}` is not supported")).remedy(REMEDY)
        };
        let kind = self.get("model_type").and_then(Value::as_str).ok_or_else(|| missing("model_type"))?;
        Family::named(kind).ok_or_else(|| named(kind))
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.count_or(key, None)
    }

    fn count_or(&self, key: &str, default: Option<usize>) -> Result<usize> {
        match self.get(key) {
            None => default.ok_or_else(|| missing(key)),
            Some(value) => value.as_u64().map(|n| n as usize).ok_or_else(|| wrong(key, value, "a count")),
        }
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f32> {
        let number = self.get(key).map_or(Some(default), Value::as_f64);
        number.map(|n| n as f32).ok_or_else(|| wrong(key, &self.0[key], "a number"))
    }

    fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key)
            .map_or(Some(default), Value::as_bool)
            .ok_or_else(|| wrong(key, &self.0[key], "true or false"))
    }

    fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        self.get(key).map_or(Some(default), Value::as_str).ok_or_else(|| wrong(key, &self.0[key], "a text"))
    }

    fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let tokens: Option<Vec<u32>> = list.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        tokens.ok_or_else(|| wrong(key, value, "a token id"))
    }

    fn first_token(&self, key: &str) -> Result<Option<u32>> {
        Ok(self.tokens(key)?.first().copied())
    }

    fn refuse_unsupported(&self, family: Family) -> Result<()> {
        let window = self.get("sliding_window").is_some()
            && match family {
                Family::Mistral => true,
                Family::Qwen2 | Family::Qwen3 => self.flag_or("use_sliding_window", false)?,
                Family::Llama | Family::Arcee | Family::Regimen => false,
            };
        if window {
            return Err(unsupported("a sliding window"));
        }
        let scaling = ["rope_scaling", "rope_parameters"].iter().filter_map(|key| self.get(key));
        for scaling in scaling {
            let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
            if kind.is_some_and(|kind| kind != "default") {
                return Err(unsupported("RoPE scaling"));
            }
        }
        if self.get("quantization_config").is_some() {
            return Err(unsupported("quantised weights"));
        }
        if family != Family::Regimen && self.flag_or("mlp_bias", false)? {
            return Err(unsupported("a bias in the MLP"));
        }
        // these put a bias on o_proj as well
        if !matches!(family, Family::Qwen2 | Family::Regimen) && self.flag_or("attention_bias", false)? {
            return Err(unsupported("a bias in o_proj"));
        }
        Ok(())
    }

    fn activation(&self, family: Family) -> Result<Activation> {
        let default = match family {
            Family::Arcee => "relu2",
            Family::Regimen => "swiglu",
            _ => "silu",
        };
        match (family, self.text_or("hidden_act", default)?) {
            (Family::Regimen, "swiglu") => Ok(Activation::SwiGlu),
            (Family::Regimen, "gelu") => Ok(Activation::Gelu),
            (Family::Regimen, "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            (Family::Regimen | Family::Arcee, "relu2") => Ok(Activation::Relu2),
            (Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3, "silu" | "swish") => {
                Ok(Activation::SwiGlu)
            }
            (_, name) => Err(unsupported(&format!("the activation `{name}`"))),
        }
    }

    fn norm(&self, family: Family) -> Result<Norm> {
        match self.text_or("norm", "rms")? {
            _ if family != Family::Regimen => Ok(Norm::Rms),
            "rms" => Ok(Norm::Rms),
            "layer" => Ok(Norm::Layer),
            other => Err(unsupported(&format!("the norm `{other}`"))),
        }
    }

    /// `transformers` 5 moved RoPE's base from the top into `rope_parameters`.
    fn rope_theta(&self) -> Result<f32> {
        match self.get("rope_parameters").and_then(|p| p.get("rope_theta")) {
            Some(value) => {
                value.as_f64().map(|n| n as f32).ok_or_else(|| wrong("rope_theta", value, "a number"))
            }
            None => self.number_or("rope_theta", 10000.0),
        }
    }

    fn shape(&self, family: Family) -> Result<Shape> {
        let (width, heads) = (self.count("hidden_size")?, self.count("num_attention_heads")?);
        // what `transformers` assumes where a file leaves these out
        let head_dim = if family == Family::Qwen3 { 128 } else { width / heads.max(1) };
        let kv_heads = match family {
            Family::Mistral => 8,
            Family::Qwen2 | Family::Qwen3 => 32,
            Family::Llama | Family::Arcee | Family::Regimen => heads,
        };
        let own = family == Family::Regimen;
        Ok(Shape {
            vocab: self.count("vocab_size")?,
            width,
            layers: self.count("num_hidden_layers")?,
            heads,
            kv_heads: self.count_or("num_key_value_heads", Some(kv_heads))?,
            head_dim: self.count_or("head_dim", Some(head_dim))?,
            ffn: self.count("intermediate_size")?,
            norm: self.norm(family)?,
            activation: self.activation(family)?,
            norm_eps: self.number_or("rms_norm_eps", 1e-6)?,
            rope_theta: self.rope_theta()?,
            qk_norm: family == Family::Qwen3 || (own && self.flag_or("qk_norm", false)?),
            tied: self.flag_or("tie_word_embeddings", false)?,
            attention_bias: family == Family::Qwen2 || (own && self.flag_or("attention_bias", false)?),
            max_positions: self.count_or("max_position_embeddings", Some(2048))?,
        })
    }
}

fn missing(key: &str) -> Error {
    Error::data(format!("config.json has no `{key}`")).remedy(REMEDY)
}

fn wrong(key: &str, value: &Value, wanted: &str) -> Error {
    Error::data(format!("config.json: `{key}` is {value}, not {wanted}"))
}

fn unsupported(what: &str) -> Error {
    Error::data(format!("config.json asks for {what}, which is not supported")).remedy(REMEDY)
}
