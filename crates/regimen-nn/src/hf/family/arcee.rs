//! Arcee's AFM: Llama with an un-gated squared ReLU (So et al. 2021).

use regimen_kernels::{Activation, Shape};

use super::llama::{Kin, kin, read};
use super::{Family, LLAMA_HEAD, llama_tensors};

pub(super) static FAMILY: Family = Family {
    model_type: "arcee",
    class: "ArceeForCausalLM",
    read: |file| read(file, Kin { activation: ("relu2", Activation::Relu2), ..Kin::LLAMA }),
    write: |shape, keys| {
        keys.llama(shape);
        keys.put("attention_bias", shape.attention_bias);
        keys.put("mlp_bias", shape.mlp_bias);
    },
    expresses: |s| {
        let gated = Shape { activation: Activation::SwiGlu, ..s.clone() };
        s.activation == Activation::Relu2 && kin(&gated) && !s.qk_norm && s.attention_bias == s.output_bias
    },
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};
