//! Qwen2 and Qwen2.5 (Yang et al. 2024): biases on queries, keys and values.

use regimen_kernels::Shape;

use super::llama::{Kin, kin, read, write};
use super::{Family, LLAMA_HEAD, llama_tensors};

pub(super) static FAMILY: Family = Family {
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    read: |file| {
        let shape = read(file, Kin { kv_heads: Some(32), ..Kin::LLAMA })?;
        if file.flag_or("use_sliding_window", false)? {
            file.window(shape.max_positions)?;
        }
        Ok(Shape { attention_bias: true, output_bias: false, mlp_bias: false, ..shape })
    },
    write,
    expresses: |s| kin(s) && !s.qk_norm && s.attention_bias && !s.output_bias && !s.mlp_bias,
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};
