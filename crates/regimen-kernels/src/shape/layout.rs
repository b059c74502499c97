//! Where each parameter lies in the flat vector.

use std::ops::Range;

use super::{Lora, Norm, Positions, Projection, Shape};

/// Whether [`crate::Weights`] may hold a parameter in 16 bits: the embedding, the head and the matrices of projections.
pub fn can_be_half(path: &str, shape: &[usize]) -> bool {
    shape.len() == 2 && !path.contains(".lora_") && path != POSITIONS
}

/// Learned positions.
pub(crate) const POSITIONS: &str = "model.embed_positions.weight";

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name in Hugging Face checkpoints.
    pub path: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// First element in the flat vector.
    pub start: usize,
}

impl Entry {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the elements lie in the flat vector.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len()
    }
}

/// All parameters of a shape in their order: q, k, v of a layer beside each other, gate beside up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Dense: each entry starts where the one before ends.
    pub entries: Vec<Entry>,
}

impl Layout {
    /// The layout of a shape.
    pub fn new(shape: &Shape) -> Layout {
        let mut layout = Layout { entries: Vec::new() };
        let (d, q, kv) = (shape.width, shape.q_width(), shape.kv_width());
        layout.push("model.embed_tokens.weight", &[shape.vocab, d]);
        if shape.positions == Positions::Learned {
            layout.push(POSITIONS, &[shape.max_positions, d]);
        }
        for l in 0..shape.layers {
            layout.push_attention(&format!("model.layers.{l}"), shape, [q, kv, kv]);
            if shape.ffn > 0 {
                layout.push_feed_forward(&format!("model.layers.{l}"), shape);
            }
        }
        layout.push_norm("model.norm", shape);
        if !shape.tied {
            layout.push("lm_head.weight", &[shape.vocab, d]);
        }
        if let Some(lora) = &shape.lora {
            for l in 0..shape.layers {
                for group in Projection::GROUPS {
                    layout.push_adapters(l, group, shape, lora);
                }
            }
        }
        layout
    }

    fn push_attention(&mut self, layer: &str, shape: &Shape, widths: [usize; 3]) {
        let (d, heads) = (shape.width, ["q", "k", "v"].into_iter().zip(widths));
        self.push_norm(&format!("{layer}.input_layernorm"), shape);
        for (name, width) in heads.clone() {
            self.push(&format!("{layer}.self_attn.{name}_proj.weight"), &[width, d]);
        }
        if shape.attention_bias {
            for (name, width) in heads {
                self.push(&format!("{layer}.self_attn.{name}_proj.bias"), &[width]);
            }
        }
        if shape.qk_norm {
            self.push(&format!("{layer}.self_attn.q_norm.weight"), &[shape.head_dim]);
            self.push(&format!("{layer}.self_attn.k_norm.weight"), &[shape.head_dim]);
        }
        self.push(&format!("{layer}.self_attn.o_proj.weight"), &[d, shape.q_width()]);
        if shape.output_bias {
            self.push(&format!("{layer}.self_attn.o_proj.bias"), &[d]);
        }
    }

    fn push_feed_forward(&mut self, layer: &str, shape: &Shape) {
        let (d, f) = (shape.width, shape.ffn);
        let inner: &[&str] = if shape.activation.gated() { &["gate", "up"] } else { &["up"] };
        self.push_norm(&format!("{layer}.post_attention_layernorm"), shape);
        for name in inner {
            self.push(&format!("{layer}.mlp.{name}_proj.weight"), &[f, d]);
        }
        if shape.mlp_bias {
            for name in inner {
                self.push(&format!("{layer}.mlp.{name}_proj.bias"), &[f]);
            }
        }
        self.push(&format!("{layer}.mlp.down_proj.weight"), &[d, f]);
        if shape.mlp_bias {
            self.push(&format!("{layer}.mlp.down_proj.bias"), &[d]);
        }
    }

    /// The adapters of projections that share their input: all A beside each other, then all B.
    fn push_adapters(&mut self, layer: usize, group: &[Projection], shape: &Shape, lora: &Lora) {
        let own = group.iter().filter(|p| lora.targets.contains(**p));
        for p in own.clone() {
            self.push(&format!("{}.lora_A.weight", p.path(layer)), &[lora.rank, shape.widths(*p).0]);
        }
        for p in own {
            self.push(&format!("{}.lora_B.weight", p.path(layer)), &[shape.widths(*p).1, lora.rank]);
        }
    }

    fn push(&mut self, path: &str, shape: &[usize]) {
        let start = self.len();
        self.entries.push(Entry { path: path.to_owned(), shape: shape.to_vec(), start });
    }

    fn push_norm(&mut self, path: &str, shape: &Shape) {
        self.push(&format!("{path}.weight"), &[shape.width]);
        if shape.norm == Norm::Layer {
            self.push(&format!("{path}.bias"), &[shape.width]);
        }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.entries.last().map_or(0, |e| e.start + e.len())
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of that path.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.path == path)
    }
}
