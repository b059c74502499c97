//! GPT-2 (Radford et al. 2019): learned positions, LayerNorm, biases everywhere, and projections stored as `[in, out]`
//! (`Conv1D`) with queries, keys and values in one.

use regimen_base::Result;
use regimen_kernels::{Activation, Norm, Positions, Shape};
use serde_json::json;

use super::Family;
use crate::hf::config::{File, Keys, unsupported};
use crate::hf::stored::{Part, Stored};

pub(super) static FAMILY: Family = Family {
    model_type: "gpt2",
    class: "GPT2LMHeadModel",
    read,
    write,
    expresses: |s| {
        let biases = s.attention_bias && s.output_bias && s.mlp_bias;
        let heads = s.kv_heads == s.heads && s.q_width() == s.width && s.ffn > 0;
        let gelu = matches!(s.activation, Activation::Gelu | Activation::GeluTanh);
        s.positions == Positions::Learned
            && s.norm == Norm::Layer
            && biases
            && heads
            && gelu
            && !(s.qk_norm || s.parallel)
    },
    tensors,
    prefix: "transformer.",
    head: ["lm_head.weight", "transformer.wte.weight"],
};

fn read(file: &File) -> Result<Shape> {
    file.refuse("scale_attn_by_inverse_layer_idx", "attention scaled by the layer")?;
    file.refuse("add_cross_attention", "cross-attention")?;
    if !file.flag_or("scale_attn_weights", true)? {
        return Err(unsupported("attention without a scale"));
    }
    let (width, heads) = (file.count("n_embd")?, file.count("n_head")?);
    let gelus = [Activation::Gelu, Activation::GeluTanh];
    Ok(Shape {
        vocab: file.count("vocab_size")?,
        width,
        layers: file.count("n_layer")?,
        heads,
        kv_heads: heads,
        head_dim: width / heads.max(1),
        ffn: file.count_or("n_inner", 4 * width)?,
        norm: Norm::Layer,
        activation: file.activation("activation_function", "gelu_new", &gelus)?,
        norm_eps: file.number_or("layer_norm_epsilon", 1e-5)?,
        positions: Positions::Learned,
        qk_norm: false,
        tied: file.flag_or("tie_word_embeddings", true)?,
        attention_bias: true,
        output_bias: true,
        mlp_bias: true,
        parallel: false,
        max_positions: file.count_or("n_positions", file.count_or("n_ctx", 1024)?)?,
        lora: None,
    })
}

fn write(s: &Shape, keys: &mut Keys) {
    keys.put("vocab_size", s.vocab);
    keys.put("n_embd", s.width);
    keys.put("n_inner", s.ffn);
    keys.put("n_layer", s.layers);
    keys.put("n_head", s.heads);
    keys.put("n_positions", s.max_positions);
    keys.put("n_ctx", s.max_positions);
    keys.put("activation_function", if s.activation == Activation::Gelu { "gelu" } else { "gelu_new" });
    keys.number("layer_norm_epsilon", s.norm_eps);
    keys.put("tie_word_embeddings", s.tied);
    for dropout in ["attn_pdrop", "embd_pdrop", "resid_pdrop"] {
        keys.put(dropout, json!(0.0));
    }
}

fn tensors(s: &Shape) -> Vec<Stored> {
    let d = s.width;
    let mut all = vec![
        Stored::named("transformer.wte.weight", "model.embed_tokens.weight", &[s.vocab, d]),
        Stored::named("transformer.wpe.weight", "model.embed_positions.weight", &[s.max_positions, d]),
    ];
    (0..s.layers).for_each(|layer| all.extend(block(s, layer)));
    for kind in ["weight", "bias"] {
        all.push(Stored::named(format!("transformer.ln_f.{kind}"), format!("model.norm.{kind}"), &[d]));
    }
    if !s.tied {
        all.push(Stored::named("lm_head.weight", "lm_head.weight", &[s.vocab, d]));
    }
    all
}

fn block(s: &Shape, layer: usize) -> Vec<Stored> {
    let d = s.width;
    let (own, ours) = (format!("transformer.h.{layer}"), format!("model.layers.{layer}"));
    let mut all = Vec::new();
    for kind in ["weight", "bias"] {
        let shape = |out: usize, input: usize| if kind == "weight" { vec![out, input] } else { vec![out] };
        let mut norm = |theirs: &str, name: &str| {
            all.push(Stored::named(format!("{own}.{theirs}.{kind}"), format!("{ours}.{name}.{kind}"), &[d]));
        };
        norm("ln_1", "input_layernorm");
        norm("ln_2", "post_attention_layernorm");
        let parts = ["q", "k", "v"].map(|p| Part::new(format!("{ours}.self_attn.{p}_proj.{kind}"), 0..d));
        all.push(
            Stored::stacked(format!("{own}.attn.c_attn.{kind}"), &shape(3 * d, d), parts.to_vec())
                .transposed(),
        );
        for (theirs, name, out, input) in [
            ("attn.c_proj", "self_attn.o_proj", d, d),
            ("mlp.c_fc", "mlp.up_proj", s.ffn, d),
            ("mlp.c_proj", "mlp.down_proj", d, s.ffn),
        ] {
            let (theirs, name) = (format!("{own}.{theirs}.{kind}"), format!("{ours}.{name}.{kind}"));
            all.push(Stored::named(theirs, name, &shape(out, input)).transposed());
        }
    }
    all
}
