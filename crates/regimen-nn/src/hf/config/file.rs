//! Typed access to the keys of `config.json`.

use regimen_base::{Error, Result};
use regimen_kernels::{Activation, Positions, RopeScaling, Rotary};
use serde_json::{Map, Value};

use crate::hf::family::supported;

/// The keys of a `config.json`. A key that is `null` is absent.
pub(in crate::hf) struct File(Map<String, Value>);

impl File {
    pub(in crate::hf) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(|e| {
            Error::data(format!("config.json is not valid: {e}")).remedy("copy or download it again")
        })
    }

    pub(in crate::hf) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(in crate::hf) fn count(&self, key: &str) -> Result<usize> {
        self.opt_count(key)?.ok_or_else(|| missing(key))
    }

    pub(in crate::hf) fn count_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.opt_count(key)?.unwrap_or(default))
    }

    pub(in crate::hf) fn opt_count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        // a u32 for every axis: no product of two overflows
        let count = value.as_u64().and_then(|n| u32::try_from(n).ok()).map(|n| n as usize);
        count.map(Some).ok_or_else(|| wrong(key, value, "a count"))
    }

    pub(in crate::hf) fn number_or(&self, key: &str, default: f64) -> Result<f32> {
        let number = self.get(key).map_or(Some(default), Value::as_f64);
        number.map(|n| n as f32).ok_or_else(|| wrong(key, &self.0[key], "a number"))
    }

    pub(in crate::hf) fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key)
            .map_or(Some(default), Value::as_bool)
            .ok_or_else(|| wrong(key, &self.0[key], "true or false"))
    }

    pub(in crate::hf) fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        self.get(key).map_or(Some(default), Value::as_str).ok_or_else(|| wrong(key, &self.0[key], "a text"))
    }

    pub(in crate::hf) fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let tokens: Option<Vec<u32>> = list.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        tokens.ok_or_else(|| wrong(key, value, "a token id"))
    }

    pub(in crate::hf) fn first_token(&self, key: &str) -> Result<Option<u32>> {
        Ok(self.tokens(key)?.first().copied())
    }

    /// Errs when `key` is on: what it asks for is not supported.
    pub(in crate::hf) fn refuse(&self, key: &str, what: &str) -> Result<()> {
        if self.flag_or(key, false)? { Err(unsupported(what)) } else { Ok(()) }
    }

    /// The nonlinearity under `key`.
    pub(in crate::hf) fn activation(
        &self,
        key: &str,
        default: &str,
        known: &[Activation],
    ) -> Result<Activation> {
        let name = self.text_or(key, default)?;
        let activation = match name {
            "silu" | "swish" | "swiglu" => Some(Activation::SwiGlu),
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "relu2" => Some(Activation::Relu2),
            _ => None,
        };
        activation
            .filter(|a| known.contains(a))
            .ok_or_else(|| unsupported(&format!("the activation `{name}`")))
    }

    /// Refuses a sliding window that a context of `context` tokens would not fit in.
    pub(in crate::hf) fn window(&self, context: usize) -> Result<()> {
        match self.opt_count("sliding_window")? {
            Some(window) if window < context => Err(Error::data(format!(
                "config.json asks for a sliding window of {window} tokens in a context of {context}, which is not \
                 supported"
            ))
            .remedy(format!("set \"max_position_embeddings\": {window} in config.json: within it the window is no limit"))),
            _ => Ok(()),
        }
    }

    /// Rotary positions: `transformers` 5 moved everything about them into `rope_parameters`.
    pub(in crate::hf) fn rotary(
        &self,
        old_theta: &str,
        old_part: Option<(&str, f64)>,
        head_dim: usize,
    ) -> Result<Positions> {
        let inside = |key: &str| -> Result<Option<f64>> {
            for table in ["rope_parameters", "rope_scaling"].iter().filter_map(|table| self.get(table)) {
                if let Some(value) = table.get(key).filter(|v| !v.is_null()) {
                    return value.as_f64().map(Some).ok_or_else(|| wrong(key, value, "a number"));
                }
            }
            Ok(None)
        };
        let theta = match inside("rope_theta")? {
            Some(theta) => theta as f32,
            None => self.number_or(old_theta, 10000.0)?,
        };
        let part = match (inside("partial_rotary_factor")?, old_part) {
            (Some(part), _) => Some(part),
            (None, Some((key, default))) => Some(f64::from(self.number_or(key, default)?)),
            (None, None) => self.get("partial_rotary_factor").and_then(Value::as_f64),
        };
        // truncated, as transformers does
        let dims = part.map(|part| (head_dim as f64 * part) as usize).filter(|dims| *dims != head_dim);
        let number = |key: &str| inside(key)?.ok_or_else(|| missing(key));
        let scaling = match self.rope_type() {
            "default" => None,
            "linear" => Some(RopeScaling::Linear { factor: number("factor")? as f32 }),
            "llama3" => Some(RopeScaling::Llama3 {
                factor: number("factor")? as f32,
                low: number("low_freq_factor")? as f32,
                high: number("high_freq_factor")? as f32,
                original: number("original_max_position_embeddings")? as usize,
            }),
            other => {
                return Err(unsupported(&format!("the RoPE scaling `{other}`"))
                    .remedy("RoPE scaling that is supported: default, linear, llama3"));
            }
        };
        Ok(Positions::Rotary(Rotary { theta, dims, scaling }))
    }

    fn rope_type(&self) -> &str {
        let tables = ["rope_parameters", "rope_scaling"].into_iter().filter_map(|table| self.get(table));
        let mut types =
            tables.filter_map(|table| table.get("rope_type").or_else(|| table.get("type"))?.as_str());
        types.next().unwrap_or("default")
    }
}

pub(in crate::hf) fn missing(key: &str) -> Error {
    Error::data(format!("config.json has no `{key}`")).remedy(supported())
}

fn wrong(key: &str, value: &Value, wanted: &str) -> Error {
    Error::data(format!("config.json: `{key}` is {value}, not {wanted}"))
}

pub(in crate::hf) fn unsupported(what: &str) -> Error {
    Error::data(format!("config.json asks for {what}, which is not supported")).remedy(supported())
}
