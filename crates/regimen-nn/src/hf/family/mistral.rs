//! Mistral (Jiang et al. 2023): Llama's blocks, and a sliding window that the context must fit in.

use regimen_kernels::Shape;

use super::llama::{Kin, kin, read};
use super::{Family, LLAMA_HEAD, llama_tensors};

pub(super) static FAMILY: Family = Family {
    model_type: "mistral",
    class: "MistralForCausalLM",
    read: |file| {
        let shape = read(file, Kin { kv_heads: Some(8), ..Kin::LLAMA })?;
        let shape = Shape { attention_bias: false, output_bias: false, mlp_bias: false, ..shape };
        file.window(shape.max_positions)?;
        Ok(shape)
    },
    write: |shape, keys| {
        keys.llama(shape);
        keys.put("sliding_window", serde_json::Value::Null);
    },
    expresses: |s| kin(s) && !s.qk_norm && !s.attention_bias && !s.output_bias && !s.mlp_bias,
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};
