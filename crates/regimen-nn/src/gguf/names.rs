//! llama.cpp's names of tensors, and how they are put together from parameters.

use regimen_kernels::Shape;

use crate::hf::{Config, Part, Stored};

/// llama.cpp's architectures and the `model_type` of each. Of a file, the first that fits is taken.
pub(super) const ARCHITECTURES: [(&str, &str); 6] = [
    ("llama", "llama"),
    ("llama", "mistral"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("gpt2", "gpt2"),
    ("gptneox", "gpt_neox"),
];

/// Whether a tensor is one of these, or a table that follows from the facts.
pub(super) fn known(name: &str, stored: &[Stored]) -> bool {
    name == "rope_freqs.weight"
        || name.ends_with(".rope_freqs.weight")
        || stored.iter().any(|s| s.name == name)
}

/// The tensors of a model.
pub(super) fn stored(config: &Config, head: bool) -> Vec<Stored> {
    let (s, d) = (&config.shape, config.shape.width);
    let mut all = vec![Stored::named("token_embd.weight", "model.embed_tokens.weight", &[s.vocab, d])];
    if s.positions == regimen_kernels::Positions::Learned {
        let shape = [s.max_positions, d];
        all.push(Stored::named("position_embd.weight", "model.embed_positions.weight", &shape));
    }
    let kinds: &[&str] =
        if s.norm == regimen_kernels::Norm::Layer { &["weight", "bias"] } else { &["weight"] };
    for layer in 0..s.layers {
        all.extend(block(config, layer, kinds));
    }
    for kind in kinds {
        all.push(Stored::named(format!("output_norm.{kind}"), format!("model.norm.{kind}"), &[d]));
    }
    if head && !s.tied {
        all.push(Stored::named("output.weight", "lm_head.weight", &[s.vocab, d]));
    }
    all
}

fn block(config: &Config, layer: usize, norms: &[&str]) -> Vec<Stored> {
    let s = &config.shape;
    let (own, ours) = (format!("blk.{layer}"), format!("model.layers.{layer}"));
    let mut all = Vec::new();
    for kind in norms {
        for (theirs, name) in [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")] {
            let (theirs, name) = (format!("{own}.{theirs}.{kind}"), format!("{ours}.{name}.{kind}"));
            all.push(Stored::named(theirs, name, &[s.width]));
        }
    }
    if s.qk_norm {
        for which in ["q", "k"] {
            let (theirs, name) =
                (format!("{own}.attn_{which}_norm.weight"), format!("{ours}.self_attn.{which}_norm.weight"));
            all.push(Stored::named(theirs, name, &[s.head_dim]));
        }
    }
    all.extend(heads(config, &own, &ours));
    let mut projections = vec![("attn_output", "self_attn.o_proj", s.width, s.q_width(), s.output_bias)];
    if s.activation.gated() {
        projections.push(("ffn_gate", "mlp.gate_proj", s.ffn, s.width, s.mlp_bias));
    }
    projections.push(("ffn_up", "mlp.up_proj", s.ffn, s.width, s.mlp_bias));
    projections.push(("ffn_down", "mlp.down_proj", s.width, s.ffn, s.mlp_bias));
    for (theirs, name, out, input, bias) in projections {
        let named = |kind: &str, shape: &[usize]| {
            Stored::named(format!("{own}.{theirs}.{kind}"), format!("{ours}.{name}.{kind}"), shape)
        };
        all.push(named("weight", &[out, input]));
        all.extend(bias.then(|| named("bias", &[out])));
    }
    all
}

/// Queries, keys and values: in one tensor (GPT-2, GPT-NeoX), or three.
fn heads(config: &Config, own: &str, ours: &str) -> Vec<Stored> {
    let s = &config.shape;
    let parts = [("q", s.heads), ("k", s.kv_heads), ("v", s.kv_heads)];
    let path = |which: &str, kind: &str| format!("{ours}.self_attn.{which}_proj.{kind}");
    let shape = |kind: &str, rows: usize| if kind == "weight" { vec![rows, s.width] } else { vec![rows] };
    let kinds: &[&str] = if s.attention_bias { &["weight", "bias"] } else { &["weight"] };
    let mut all = Vec::new();
    for kind in kinds {
        if matches!(config.family.model_type, "gpt2" | "gpt_neox") {
            let rows = parts.map(|(which, heads)| Part::new(path(which, kind), 0..heads * s.head_dim));
            let name = format!("{own}.attn_qkv.{kind}");
            all.push(Stored::stacked(name, &shape(kind, s.qkv_width()), rows.to_vec()));
            continue;
        }
        for (which, heads) in parts {
            let turned = which != "v" && matches!(config.family.model_type, "llama" | "mistral");
            let rows = if turned {
                pairs(s, &path(which, kind), heads)
            } else {
                vec![Part::new(path(which, kind), 0..heads * s.head_dim)]
            };
            all.push(Stored::stacked(
                format!("{own}.attn_{which}.{kind}"),
                &shape(kind, heads * s.head_dim),
                rows,
            ));
        }
    }
    all
}

/// llama.cpp turns neighbours of Llama's heads, where transformers turns halves: rows 0, h/2, 1, h/2 + 1, …
fn pairs(s: &Shape, path: &str, heads: usize) -> Vec<Part> {
    let half = s.head_dim / 2;
    let row = |head: usize, r: usize| head * s.head_dim + r % 2 * half + r / 2;
    let rows = (0..heads).flat_map(|head| (0..s.head_dim).map(move |r| row(head, r)));
    rows.map(|row| Part::new(path, row..row + 1)).collect()
}
