//! Llama 2 and 3, SmolLM2 (Touvron et al. 2023).

use regimen_base::Result;
use regimen_kernels::{Activation, Norm, Positions, Rotary, Shape};

use super::{Family, LLAMA_HEAD, llama_tensors};
use crate::hf::config::{File, Keys};

pub(super) static FAMILY: Family = Family {
    model_type: "llama",
    class: "LlamaForCausalLM",
    read: |file| read(file, Kin::LLAMA),
    write: |shape, keys| {
        keys.llama(shape);
        keys.put("attention_bias", shape.attention_bias);
        keys.put("mlp_bias", shape.mlp_bias);
    },
    expresses: |s| kin(s) && !s.qk_norm && s.attention_bias == s.output_bias,
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};

/// What Llama's relatives have of their own.
#[derive(Clone, Copy)]
pub(super) struct Kin {
    /// Key and value heads where the file names none; `None`: as many as heads.
    pub kv_heads: Option<usize>,
    /// Width of a head where the file names none; `None`: width / heads.
    pub head_dim: Option<usize>,
    pub activation: (&'static str, Activation),
}

impl Kin {
    pub const LLAMA: Self = Self { kv_heads: None, head_dim: None, activation: ("silu", Activation::SwiGlu) };
}

/// RMS norms, rotary positions of whole heads, one part after the other.
pub(super) fn kin(s: &Shape) -> bool {
    let whole = matches!(s.positions, Positions::Rotary(Rotary { dims: None, .. }));
    s.norm == Norm::Rms && s.ffn > 0 && s.activation == Activation::SwiGlu && whole && !s.parallel
}

/// The shape in Llama's keys.
pub(super) fn read(file: &File, kin: Kin) -> Result<Shape> {
    let (width, heads) = (file.count("hidden_size")?, file.count("num_attention_heads")?);
    let head_dim = file.count_or("head_dim", kin.head_dim.unwrap_or(width / heads.max(1)))?;
    let bias = file.flag_or("attention_bias", false)?;
    Ok(Shape {
        vocab: file.count("vocab_size")?,
        width,
        layers: file.count("num_hidden_layers")?,
        heads,
        kv_heads: file.count_or("num_key_value_heads", kin.kv_heads.unwrap_or(heads))?,
        head_dim,
        ffn: file.count("intermediate_size")?,
        norm: Norm::Rms,
        activation: file.activation("hidden_act", kin.activation.0, &[kin.activation.1])?,
        norm_eps: file.number_or("rms_norm_eps", 1e-6)?,
        positions: file.rotary("rope_theta", None, head_dim)?,
        qk_norm: false,
        tied: file.flag_or("tie_word_embeddings", false)?,
        attention_bias: bias,
        output_bias: bias,
        mlp_bias: file.flag_or("mlp_bias", false)?,
        parallel: false,
        max_positions: file.count_or("max_position_embeddings", 2048)?,
        lora: None,
    })
}

/// Writes what Llama has and this family too.
pub(super) fn write(shape: &Shape, keys: &mut Keys) {
    keys.llama(shape);
}
