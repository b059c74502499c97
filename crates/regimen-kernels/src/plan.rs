//! Where a decoder's parameters lie in the flat vector, by layer.

use std::ops::Range;

use crate::shape::{Layout, Norm, Shape};

/// A norm's weight and bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormAt {
    pub weight: usize,
    pub bias: Option<usize>,
}

impl NormAt {
    pub fn of<'a>(&self, weights: &'a [f32], d: usize) -> (&'a [f32], Option<&'a [f32]>) {
        (&weights[self.weight..self.weight + d], self.bias.map(|b| &weights[b..b + d]))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MlpAt {
    pub norm: NormAt,
    /// gate (if any) and up.
    pub inner: usize,
    pub down: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerAt {
    pub norm: NormAt,
    pub qkv: usize,
    pub qkv_bias: Option<usize>,
    pub qk_norm: Option<(usize, usize)>,
    pub o: usize,
    pub mlp: Option<MlpAt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub embed: usize,
    pub layers: Vec<LayerAt>,
    pub norm: NormAt,
    /// The embedding when tied.
    pub head: usize,
    pub len: usize,
    /// Ranges of entries, in order, with their frozen flags.
    pub entries: Vec<Range<usize>>,
}

impl Plan {
    pub fn new(shape: &Shape, layout: &Layout) -> Result<Plan, String> {
        shape.check()?;
        if *layout != Layout::new(shape) {
            return Err("the parameter layout belongs to another shape".to_owned());
        }
        let start = |path: &str| layout.find(path).map(|e| e.start).ok_or(format!("no parameter {path}"));
        let norm = |path: &str| -> Result<NormAt, String> {
            let bias = match shape.norm {
                Norm::Rms => None,
                Norm::Layer => Some(start(&format!("{path}.bias"))?),
            };
            Ok(NormAt { weight: start(&format!("{path}.weight"))?, bias })
        };
        let layer = |l: usize| -> Result<LayerAt, String> {
            let at = |name: &str| start(&format!("model.layers.{l}.{name}"));
            let first = if shape.activation.gated() { "gate" } else { "up" };
            Ok(LayerAt {
                norm: norm(&format!("model.layers.{l}.input_layernorm"))?,
                qkv: at("self_attn.q_proj.weight")?,
                qkv_bias: if shape.attention_bias { Some(at("self_attn.q_proj.bias")?) } else { None },
                qk_norm: if shape.qk_norm {
                    Some((at("self_attn.q_norm.weight")?, at("self_attn.k_norm.weight")?))
                } else {
                    None
                },
                o: at("self_attn.o_proj.weight")?,
                mlp: if shape.ffn > 0 {
                    Some(MlpAt {
                        norm: norm(&format!("model.layers.{l}.post_attention_layernorm"))?,
                        inner: at(&format!("mlp.{first}_proj.weight"))?,
                        down: at("mlp.down_proj.weight")?,
                    })
                } else {
                    None
                },
            })
        };
        let embed = start("model.embed_tokens.weight")?;
        Ok(Plan {
            embed,
            layers: (0..shape.layers).map(layer).collect::<Result<_, _>>()?,
            norm: norm("model.norm")?,
            head: if shape.tied { embed } else { start("lm_head.weight")? },
            len: layout.len(),
            entries: layout.entries.iter().map(crate::shape::Entry::range).collect(),
        })
    }
}

impl Plan {
    /// A plan for the entries that are not matrices of products, dense in their order, and where they lie in the whole
    /// vector. Matrices keep their old places.
    pub fn without_matrices(&self, shape: &Shape) -> (Plan, Vec<Range<usize>>) {
        let mut ranges = Vec::new();
        let mut next = 0;
        let mut take = |start: usize, len: usize| {
            ranges.push(start..start + len);
            next += len;
            next - len
        };
        let d = shape.width;
        let mut plan = self.clone();
        plan.embed = take(self.embed, shape.vocab * d);
        let norm = |n: &mut NormAt, take: &mut dyn FnMut(usize, usize) -> usize| {
            n.weight = take(n.weight, d);
            n.bias = n.bias.map(|b| take(b, d));
        };
        norm(&mut plan.norm, &mut take);
        for layer in &mut plan.layers {
            norm(&mut layer.norm, &mut take);
            if let Some(mlp) = &mut layer.mlp {
                norm(&mut mlp.norm, &mut take);
            }
            layer.qkv_bias = layer.qkv_bias.map(|b| take(b, shape.qkv_width()));
            let hd = shape.head_dim;
            layer.qk_norm = layer.qk_norm.map(|(q, k)| (take(q, hd), take(k, hd)));
        }
        (plan, ranges)
    }
}
