//! Qwen3 (Yang et al. 2025): RMS norms of queries and keys.

use regimen_kernels::Shape;

use super::llama::{Kin, kin, read};
use super::{Family, LLAMA_HEAD, llama_tensors};

pub(super) static FAMILY: Family = Family {
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    read: |file| {
        let shape = read(file, Kin { kv_heads: Some(32), head_dim: Some(128), ..Kin::LLAMA })?;
        if file.flag_or("use_sliding_window", false)? {
            file.window(shape.max_positions)?;
        }
        Ok(Shape { qk_norm: true, mlp_bias: false, ..shape })
    },
    write: |shape, keys| {
        keys.llama(shape);
        keys.put("attention_bias", shape.attention_bias);
    },
    expresses: |s| kin(s) && s.qk_norm && s.attention_bias == s.output_bias && !s.mlp_bias,
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};
