//! Whatever shape no class of `transformers` expresses. Only this program reads it; tensors keep Llama's names.

use regimen_base::Result;
use regimen_kernels::{Activation, Norm, Positions, Shape};

use super::llama::{Kin, read as read_llama};
use super::{Family, LLAMA_HEAD, llama_tensors};
use crate::hf::config::{File, Keys, unsupported};

pub(super) static FAMILY: Family = Family {
    model_type: "regimen",
    class: "RegimenForCausalLM",
    read,
    write,
    expresses: |_| true,
    tensors: llama_tensors,
    prefix: "model.",
    head: LLAMA_HEAD,
};

const ALL: [Activation; 4] = [Activation::SwiGlu, Activation::Gelu, Activation::GeluTanh, Activation::Relu2];

fn read(file: &File) -> Result<Shape> {
    let activation = file.activation("hidden_act", "swiglu", &ALL)?;
    let shape = read_llama(file, Kin { activation: ("swiglu", activation), ..Kin::LLAMA })?;
    let learned = match file.text_or("positions", "rotary")? {
        "rotary" => false,
        "learned" => true,
        other => return Err(unsupported(&format!("the positions `{other}`"))),
    };
    Ok(Shape {
        norm: match file.text_or("norm", "rms")? {
            "rms" => Norm::Rms,
            "layer" => Norm::Layer,
            other => return Err(unsupported(&format!("the norm `{other}`"))),
        },
        positions: if learned { Positions::Learned } else { shape.positions },
        qk_norm: file.flag_or("qk_norm", false)?,
        output_bias: file.flag_or("output_bias", false)?,
        parallel: file.flag_or("parallel", false)?,
        ..shape
    })
}

fn write(shape: &Shape, keys: &mut Keys) {
    keys.llama(shape);
    keys.put("norm", if shape.norm == Norm::Rms { "rms" } else { "layer" });
    keys.put("positions", if shape.positions == Positions::Learned { "learned" } else { "rotary" });
    keys.put("qk_norm", shape.qk_norm);
    keys.put("attention_bias", shape.attention_bias);
    keys.put("output_bias", shape.output_bias);
    keys.put("mlp_bias", shape.mlp_bias);
    keys.put("parallel", shape.parallel);
    keys.put("note", "no architecture of transformers expresses this shape: only regimen loads it");
}
