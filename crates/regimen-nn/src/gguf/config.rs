//! A GGUF's facts ↔ [`Config`].

use regimen_base::{Error, Result};
use regimen_kernels::{Activation, Norm, Positions, RopeScaling, Rotary, Shape};

use super::names::ARCHITECTURES;
use super::read::Gguf;
use super::value::Value;
use crate::hf::{Config, Family};

/// Reads the architecture.
///
/// # Errors
/// When a fact is missing, or the file asks for something that is not supported.
pub fn read_config(file: &Gguf<'_>) -> Result<Config> {
    let arch = file.facts().get("general.architecture").and_then(Value::text).unwrap_or("");
    let Some((_, family)) = ARCHITECTURES.iter().find(|(name, _)| *name == arch) else {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return Err(Error::data(format!("the GGUF file's architecture `{arch}` is not supported"))
            .remedy(format!("supported architectures: {}", names.join(", "))));
    };
    let facts = Facts { file, arch };
    let shape = facts.shape()?;
    shape.check().map_err(|why| Error::data(format!("the GGUF file: {why}")))?;
    let family = Family::named(family).unwrap_or_else(|| Family::of(&shape)).or_other(&shape);
    let token = |key: &str| {
        let id = file.facts().get(&format!("tokenizer.ggml.{key}_token_id"))?.count()?;
        u32::try_from(id).ok()
    };
    Ok(Config {
        shape,
        family,
        bos: token("bos"),
        eos: token("eos").into_iter().collect(),
        pad: token("padding"),
    })
}

struct Facts<'a> {
    file: &'a Gguf<'a>,
    arch: &'a str,
}

impl Facts<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.file.facts().get(&format!("{}.{key}", self.arch))
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.opt(key).ok_or_else(|| {
            Error::data(format!("the GGUF file has no `{}.{key}`", self.arch))
                .remedy("convert the model anew")
        })
    }

    /// Axes are counts below 2³²: no product of two overflows.
    fn opt(&self, key: &str) -> Option<usize> {
        self.get(key).and_then(Value::count).filter(|n| u32::try_from(*n).is_ok())
    }

    fn number(&self, key: &str, default: f32) -> f32 {
        self.get(key).and_then(Value::number).map_or(default, |x| x as f32)
    }

    fn has(&self, tensor: &str) -> bool {
        self.file.tensors().contains_key(tensor)
    }

    fn shape(&self) -> Result<Shape> {
        let (width, heads) = (self.count("embedding_length")?, self.count("attention.head_count")?);
        let head_dim = self.opt("attention.key_length").unwrap_or(width / heads.max(1));
        let embedding = self.file.tensors().get("token_embd.weight");
        let vocab = embedding.and_then(|t| t.shape.first().copied());
        let vocab = vocab.ok_or_else(|| Error::data("the GGUF file has no tensor `token_embd.weight`"))?;
        let old = matches!(self.arch, "gpt2" | "gptneox");
        let max_positions = self.count("context_length")?;
        if self.opt("attention.sliding_window").is_some_and(|window| window < max_positions) {
            return Err(unsupported("a sliding window that is shorter than the context"));
        }
        Ok(Shape {
            vocab,
            width,
            layers: self.count("block_count")?,
            heads,
            kv_heads: self.opt("attention.head_count_kv").unwrap_or(heads),
            head_dim,
            ffn: self.count("feed_forward_length")?,
            norm: if old { Norm::Layer } else { Norm::Rms },
            activation: match self.arch {
                "gpt2" => Activation::GeluTanh,
                "gptneox" => Activation::Gelu,
                _ => Activation::SwiGlu,
            },
            norm_eps: self.number(if old { "attention.layer_norm_epsilon" } else { EPS }, 1e-5),
            positions: self.positions(head_dim)?,
            qk_norm: self.has("blk.0.attn_q_norm.weight"),
            tied: !self.has("output.weight"),
            attention_bias: self.has("blk.0.attn_q.bias") || self.has("blk.0.attn_qkv.bias"),
            output_bias: self.has("blk.0.attn_output.bias"),
            mlp_bias: self.has("blk.0.ffn_up.bias"),
            parallel: self.get("use_parallel_residual").and_then(Value::flag).unwrap_or(false),
            max_positions,
            lora: None,
        })
    }

    fn positions(&self, head_dim: usize) -> Result<Positions> {
        if self.arch == "gpt2" {
            return Ok(Positions::Learned);
        }
        let theta = self.number("rope.freq_base", 10000.0);
        let dims = self.opt("rope.dimension_count").filter(|dims| *dims != head_dim);
        let plain = Rotary { theta, dims, scaling: None };
        let scaling = match self.get("rope.scaling.type").and_then(Value::text) {
            None | Some("none") => self.llama3()?,
            Some("linear") => Some(RopeScaling::Linear { factor: self.number("rope.scaling.factor", 1.0) }),
            Some(other) => return Err(unsupported(&format!("the RoPE scaling `{other}`"))),
        };
        Ok(Positions::Rotary(Rotary { scaling, ..plain }))
    }

    /// Llama 3's scaling is kept as a table of divisors: which settings made it?
    fn llama3(&self) -> Result<Option<RopeScaling>> {
        let Some(table) = self.file.tensors().get("rope_freqs.weight") else { return Ok(None) };
        let divisors =
            table.to_f32().map_err(|why| Error::data(format!("tensor `rope_freqs.weight` {why}")))?;
        let factor = divisors.iter().copied().fold(1.0_f32, f32::max);
        if factor == 1.0 {
            return Ok(None);
        }
        let theta = self.number("rope.freq_base", 10000.0);
        let freq = |scaling| {
            let rotary = Rotary { theta, dims: Some(2 * divisors.len()), scaling };
            Positions::Rotary(rotary).inv_freq(2 * divisors.len())
        };
        let plain = freq(None);
        // what transformers' configurations of Llama 3.1 and 3.2 have
        let scaling = RopeScaling::Llama3 { factor, low: 1.0, high: 4.0, original: 8192 };
        let fits = freq(Some(scaling))
            .iter()
            .zip(plain)
            .zip(&divisors)
            .all(|((scaled, plain), divisor)| (plain / scaled / divisor - 1.0).abs() < 1e-3);
        if fits { Ok(Some(scaling)) } else { Err(unsupported("its own table of rotary frequencies")) }
    }
}

const EPS: &str = "attention.layer_norm_rms_epsilon";

fn unsupported(what: &str) -> Error {
    Error::data(format!("the GGUF file asks for {what}, which is not supported"))
        .remedy("take the model's safetensors, or another model")
}

/// The facts that [`read_config`] reads, in the order they are written.
pub(super) fn facts(config: &Config) -> Option<Vec<(String, Value)>> {
    let (arch, _) = ARCHITECTURES.iter().find(|(_, family)| *family == config.family.model_type)?;
    let s = &config.shape;
    let count = |key: &str, n: usize| (format!("{arch}.{key}"), Value::Int(n as i64));
    let number = |key: &str, x: f32| (format!("{arch}.{key}"), Value::Float(f64::from(x)));
    let mut facts = vec![
        ("general.architecture".to_owned(), Value::Text((*arch).to_owned())),
        count("block_count", s.layers),
        count("context_length", s.max_positions),
        count("embedding_length", s.width),
        count("feed_forward_length", s.ffn),
        count("attention.head_count", s.heads),
        count("attention.head_count_kv", s.kv_heads),
        count("attention.key_length", s.head_dim),
        count("attention.value_length", s.head_dim),
        count("vocab_size", s.vocab),
    ];
    facts.push(match s.norm {
        Norm::Rms => number(EPS, s.norm_eps),
        Norm::Layer => number("attention.layer_norm_epsilon", s.norm_eps),
    });
    if let Positions::Rotary(rotary) = s.positions {
        facts.push(number("rope.freq_base", rotary.theta));
        facts.push(count("rope.dimension_count", rotary.dims.unwrap_or(s.head_dim)));
        if let Some(RopeScaling::Linear { factor }) = rotary.scaling {
            facts.push((format!("{arch}.rope.scaling.type"), Value::Text("linear".to_owned())));
            facts.push(number("rope.scaling.factor", factor));
        }
    }
    if *arch == "gptneox" {
        facts.push((format!("{arch}.use_parallel_residual"), Value::Bool(s.parallel)));
    }
    Some(facts)
}
