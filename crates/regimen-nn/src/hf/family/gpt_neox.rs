//! GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): rotary positions on part of each head, both parts of
//! a block in parallel, biases, and queries, keys and values in one projection, head by head.

use regimen_base::Result;
use regimen_kernels::{Activation, Norm, Positions, Shape};
use serde_json::json;

use super::Family;
use crate::hf::config::{File, Keys, activation, part};
use crate::hf::stored::{Part, Stored};

pub(super) static FAMILY: Family = Family {
    model_type: "gpt_neox",
    class: "GPTNeoXForCausalLM",
    read,
    write,
    expresses: |s| {
        let rotary = matches!(s.positions, Positions::Rotary(_));
        let heads = s.kv_heads == s.heads && s.q_width() == s.width && s.ffn > 0;
        let gelu = matches!(s.activation, Activation::Gelu | Activation::GeluTanh);
        let biases = s.mlp_bias && s.attention_bias == s.output_bias;
        rotary && s.norm == Norm::Layer && heads && gelu && biases && !s.qk_norm
    },
    tensors,
    prefix: "gpt_neox.",
    head: ["embed_out.weight", "gpt_neox.embed_in.weight"],
};

fn read(file: &File) -> Result<Shape> {
    let (width, heads) = (file.count("hidden_size")?, file.count("num_attention_heads")?);
    let head_dim = width / heads.max(1);
    let bias = file.flag_or("attention_bias", true)?;
    let gelus = [Activation::Gelu, Activation::GeluTanh];
    Ok(Shape {
        vocab: file.count("vocab_size")?,
        width,
        layers: file.count("num_hidden_layers")?,
        heads,
        kv_heads: heads,
        head_dim,
        ffn: file.count("intermediate_size")?,
        norm: Norm::Layer,
        activation: file.activation("hidden_act", "gelu", &gelus)?,
        norm_eps: file.number_or("layer_norm_eps", 1e-5)?,
        positions: file.rotary("rotary_emb_base", Some(("rotary_pct", 0.25)), head_dim)?,
        qk_norm: false,
        tied: file.flag_or("tie_word_embeddings", false)?,
        attention_bias: bias,
        output_bias: bias,
        mlp_bias: true,
        parallel: file.flag_or("use_parallel_residual", true)?,
        max_positions: file.count_or("max_position_embeddings", 2048)?,
        lora: None,
    })
}

fn write(s: &Shape, keys: &mut Keys) {
    keys.put("vocab_size", s.vocab);
    keys.put("hidden_size", s.width);
    keys.put("intermediate_size", s.ffn);
    keys.put("num_hidden_layers", s.layers);
    keys.put("num_attention_heads", s.heads);
    keys.put("max_position_embeddings", s.max_positions);
    keys.put("hidden_act", activation(s.activation));
    keys.number("layer_norm_eps", s.norm_eps);
    keys.put("tie_word_embeddings", s.tied);
    keys.put("attention_bias", s.attention_bias);
    keys.put("use_parallel_residual", s.parallel);
    keys.rotary(s);
    if let Positions::Rotary(rotary) = s.positions {
        keys.number("rotary_emb_base", rotary.theta);
        let dims = rotary.dims.unwrap_or(s.head_dim);
        keys.put("rotary_pct", json!(part(dims, s.head_dim)));
    }
    keys.put("attention_dropout", json!(0.0));
    keys.put("hidden_dropout", json!(0.0));
}

fn tensors(s: &Shape) -> Vec<Stored> {
    let d = s.width;
    let mut all = vec![Stored::named("gpt_neox.embed_in.weight", "model.embed_tokens.weight", &[s.vocab, d])];
    (0..s.layers).for_each(|layer| all.extend(block(s, layer)));
    for kind in ["weight", "bias"] {
        let (theirs, ours) = (format!("gpt_neox.final_layer_norm.{kind}"), format!("model.norm.{kind}"));
        all.push(Stored::named(theirs, ours, &[d]));
    }
    if !s.tied {
        all.push(Stored::named("embed_out.weight", "lm_head.weight", &[s.vocab, d]));
    }
    all
}

fn block(s: &Shape, layer: usize) -> Vec<Stored> {
    let (d, hd) = (s.width, s.head_dim);
    let (own, ours) = (format!("gpt_neox.layers.{layer}"), format!("model.layers.{layer}"));
    let mut all = Vec::new();
    for kind in ["weight", "bias"] {
        let shape = |out: usize, input: usize| if kind == "weight" { vec![out, input] } else { vec![out] };
        for name in ["input_layernorm", "post_attention_layernorm"] {
            all.push(Stored::named(format!("{own}.{name}.{kind}"), format!("{ours}.{name}.{kind}"), &[d]));
        }
        let mut projections = vec![
            ("mlp.dense_h_to_4h", "mlp.up_proj", s.ffn, d),
            ("mlp.dense_4h_to_h", "mlp.down_proj", d, s.ffn),
        ];
        if kind == "weight" || s.attention_bias {
            let head = |h: usize| {
                ["q", "k", "v"]
                    .map(|p| Part::new(format!("{ours}.self_attn.{p}_proj.{kind}"), h * hd..(h + 1) * hd))
            };
            let name = format!("{own}.attention.query_key_value.{kind}");
            all.push(Stored::stacked(name, &shape(3 * d, d), (0..s.heads).flat_map(head).collect()));
            projections.push(("attention.dense", "self_attn.o_proj", d, d));
        }
        for (theirs, name, out, input) in projections {
            let (theirs, name) = (format!("{own}.{theirs}.{kind}"), format!("{ours}.{name}.{kind}"));
            all.push(Stored::named(theirs, name, &shape(out, input)));
        }
    }
    all
}
