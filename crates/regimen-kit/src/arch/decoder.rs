//! `decoder`: a Llama-style causal decoder.

use regimen_base::{Key, Result};
use regimen_core::registry::{Arch, BuildCx, Piece};
use regimen_nn::{Activation, Init, Norm, Params, Positions, Rotary, Shape};
use regimen_recipe::{Field, KindSpec, Node, Room, Ty};

/// The recipe's description of a decoder; the vocabulary comes from the tokenizer.
struct Decoder {
    shape: Shape,
    init: Init,
}

impl Arch for Decoder {
    fn reads_tokens(&self) -> bool {
        true
    }

    fn arch(&self, vocab: usize) -> regimen_nn::Arch {
        regimen_nn::Arch::Decoder(Shape { vocab, ..self.shape.clone() })
    }

    fn init(&self, params: &mut Params, key: Key) {
        params.init(&Init { residual: Some(self.shape.layers), ..self.init }, key);
    }
}

const FIELDS: &[Field] = &[
    Field::new("width", Ty::Count, "size of the residual stream")
        .or("128")
        .min(2.0)
        .aliases(&["hidden-size"]),
    Field::new("layers", Ty::Count, "blocks").or("4").min(1.0).aliases(&["num-hidden-layers"]),
    Field::new("heads", Ty::Count, "attention heads").or("4").min(1.0).aliases(&["num-attention-heads"]),
    Field::new("kv-heads", Ty::Count, "key and value heads; as many as `heads` when absent")
        .min(1.0)
        .aliases(&["num-key-value-heads"]),
    Field::new("head-dim", Ty::Count, "size of a head; width / heads when absent").min(2.0),
    Field::new(
        "ffn",
        Ty::Count,
        "inner size of the MLP; 0 leaves it out; 8/3 of the width (SwiGLU) or 4 × when absent",
    )
    .aliases(&["intermediate-size"]),
    Field::new("norm", Ty::Choice(&["rms", "layer"]), "normalisation before attention and MLP").or("rms"),
    Field::new("activation", Ty::Choice(&["swiglu", "gelu", "gelu-tanh", "relu2"]), "of the MLP")
        .or("swiglu"),
    Field::new("qk-norm", Ty::Bool, "RMS-normalise queries and keys").or("false"),
    Field::new("attention-bias", Ty::Bool, "biases on queries, keys and values").or("false"),
    Field::new("output-bias", Ty::Bool, "a bias on attention's output").or("false"),
    Field::new("mlp-bias", Ty::Bool, "biases in the MLP").or("false"),
    Field::new("parallel", Ty::Bool, "attention and MLP read the same input, as in GPT-NeoX")
        .or("false")
        .aliases(&["use-parallel-residual"]),
    Field::new("positions", Ty::Choice(&["rotary", "learned"]), "how a token's place enters").or("rotary"),
    Field::new("rotary-dims", Ty::Count, "numbers of a head that are turned; absent: all").min(2.0),
    Field::new("tied", Ty::Bool, "the head shares the embedding's weights")
        .or("false")
        .aliases(&["tie-word-embeddings"]),
    Field::new("rope-theta", Ty::Float, "base of the rotary positions").or("10000.0").above(0.0),
    Field::new("norm-eps", Ty::Float, "added under the root of the normalisation").or("1e-5").above(0.0),
    Field::new("max-positions", Ty::Count, "longest context")
        .or("512")
        .min(2.0)
        .aliases(&["max-position-embeddings"]),
    Field::new("init-std", Ty::Float, "standard deviation of fresh matrices, embeddings among them")
        .or("0.02")
        .min(0.0)
        .aliases(&["initializer-range"]),
];

pub(super) const PIECE: Piece<dyn Arch> = Piece {
    spec: KindSpec::new(
        Room::Arch,
        "decoder",
        "causal decoder of pre-norm blocks: Llama's kind by default, with the options of Qwen, GPT-2 and GPT-NeoX",
        FIELDS,
    )
    .source("Touvron et al. 2023 (arXiv:2302.13971); GQA arXiv:2305.13245; ReLU² arXiv:2109.08668")
    .example(r#"{ kind = "decoder", width = 128, layers = 4, heads = 4 }"#)
    .standard(),
    build,
};

fn positions(node: &Node) -> Positions {
    let rotary = Rotary { theta: node.f32("rope-theta"), dims: node.opt_usize("rotary-dims"), scaling: None };
    if node.str("positions") == "learned" { Positions::Learned } else { Positions::Rotary(rotary) }
}

fn build(node: &Node, _: &BuildCx) -> Result<Box<dyn Arch>> {
    let (width, heads) = (node.usize("width"), node.usize("heads"));
    let activation = match node.str("activation") {
        "gelu" => Activation::Gelu,
        "gelu-tanh" => Activation::GeluTanh,
        "relu2" => Activation::Relu2,
        _ => Activation::SwiGlu,
    };
    let usual_ffn =
        if activation == Activation::SwiGlu { (width * 8 / 3).next_multiple_of(16) } else { 4 * width };
    let shape = Shape {
        vocab: 1,
        width,
        layers: node.usize("layers"),
        heads,
        kv_heads: node.opt_usize("kv-heads").unwrap_or(heads),
        head_dim: node.opt_usize("head-dim").unwrap_or(width / heads.max(1)),
        ffn: node.opt_usize("ffn").unwrap_or(usual_ffn),
        norm: if node.str("norm") == "rms" { Norm::Rms } else { Norm::Layer },
        activation,
        norm_eps: node.f32("norm-eps"),
        positions: positions(node),
        qk_norm: node.bool("qk-norm"),
        tied: node.bool("tied"),
        attention_bias: node.bool("attention-bias"),
        output_bias: node.bool("output-bias"),
        mlp_bias: node.bool("mlp-bias"),
        parallel: node.bool("parallel"),
        max_positions: node.usize("max-positions"),
        lora: None,
    };
    shape.check().map_err(|what| node.error(what))?;
    let init = Init { std: node.f32("init-std"), residual: None };
    Ok(Box::new(Decoder { shape, init }))
}
