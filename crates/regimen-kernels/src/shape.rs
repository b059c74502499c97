//! The shape of a decoder and where each of its parameters lies in one flat vector.

use std::ops::Range;

/// The normalisation before each sublayer and at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// x / rms(x) · w (Zhang & Sennrich 2019).
    Rms,
    /// (x − mean) / std · w + b.
    Layer,
}

/// The feed-forward nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// silu(gate) · up (Shazeer 2020).
    SwiGlu,
    /// GELU with the exact normal distribution function.
    Gelu,
    /// GELU, tanh form.
    GeluTanh,
    /// relu(x)².
    Relu2,
}

impl Activation {
    /// Whether there is a gate beside the up projection.
    pub fn gated(self) -> bool {
        self == Activation::SwiGlu
    }
}

/// A Llama- or Qwen-style decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Rows of the embedding.
    pub vocab: usize,
    /// Residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Feed-forward width; 0 leaves blocks of attention alone.
    pub ffn: usize,
    /// Which norm.
    pub norm: Norm,
    /// Which nonlinearity.
    pub activation: Activation,
    /// Added to the variance.
    pub norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// RMS norm of each head's q and k before the rotation (Qwen3).
    pub qk_norm: bool,
    /// The head shares the embedding's weights.
    pub tied: bool,
    /// Biases on q, k and v (Qwen2).
    pub attention_bias: bool,
    /// Longest document.
    pub max_positions: usize,
}

impl Shape {
    /// Says what is impossible about the shape.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("vocab", self.vocab),
            ("width", self.width),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv-heads", self.kv_heads),
            ("head-dim", self.head_dim),
            ("max-positions", self.max_positions),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(format!("{name} is 0"));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!("heads ({}) is not a multiple of kv-heads ({})", self.heads, self.kv_heads));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("head-dim ({}) is odd, rotary positions need pairs", self.head_dim));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return Err(format!("norm-eps ({}) is not positive", self.norm_eps));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return Err(format!("rope-theta ({}) is not positive", self.rope_theta));
        }
        Ok(())
    }

    /// Rotary frequencies of the pairs of a head: theta^(−2i / head_dim), `[head_dim / 2]`.
    pub fn inv_freq(&self) -> Vec<f32> {
        let dim = self.head_dim as f64;
        (0..self.head_dim / 2)
            .map(|i| f64::from(self.rope_theta).powf(-2.0 * i as f64 / dim) as f32)
            .collect()
    }

    /// Width of all query heads.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Width of q, k and v together.
    pub fn qkv_width(&self) -> usize {
        self.q_width() + 2 * self.kv_width()
    }

    /// Width of what enters the activation: gate and up, or up alone.
    pub fn inner_width(&self) -> usize {
        if self.activation.gated() { 2 * self.ffn } else { self.ffn }
    }
}

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
        for l in 0..shape.layers {
            let at = |name: &str| format!("model.layers.{l}.{name}");
            layout.push_norm(&at("input_layernorm"), shape);
            for (name, width) in [("q", q), ("k", kv), ("v", kv)] {
                layout.push(&at(&format!("self_attn.{name}_proj.weight")), &[width, d]);
            }
            if shape.attention_bias {
                for (name, width) in [("q", q), ("k", kv), ("v", kv)] {
                    layout.push(&at(&format!("self_attn.{name}_proj.bias")), &[width]);
                }
            }
            if shape.qk_norm {
                layout.push(&at("self_attn.q_norm.weight"), &[shape.head_dim]);
                layout.push(&at("self_attn.k_norm.weight"), &[shape.head_dim]);
            }
            layout.push(&at("self_attn.o_proj.weight"), &[d, q]);
            if shape.ffn > 0 {
                layout.push_norm(&at("post_attention_layernorm"), shape);
                if shape.activation.gated() {
                    layout.push(&at("mlp.gate_proj.weight"), &[shape.ffn, d]);
                }
                layout.push(&at("mlp.up_proj.weight"), &[shape.ffn, d]);
                layout.push(&at("mlp.down_proj.weight"), &[d, shape.ffn]);
            }
        }
        layout.push_norm("model.norm", shape);
        if !shape.tied {
            layout.push("lm_head.weight", &[shape.vocab, d]);
        }
        layout
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Shape {
        crate::Reference::TINY.shape
    }

    #[test]
    fn layout_is_dense_and_counts_parameters() {
        let layout = Layout::new(&tiny());
        let mut next = 0;
        for e in &layout.entries {
            assert_eq!(e.start, next, "{}", e.path);
            next = e.range().end;
        }
        let (q, k) = (
            layout.find("model.layers.2.self_attn.q_proj.weight"),
            layout.find("model.layers.2.self_attn.k_proj.weight"),
        );
        assert_eq!(q.map(|e| e.range().end), k.map(|e| e.start));
        assert!(Layout::new(&Shape { tied: true, ..tiny() }).find("lm_head.weight").is_none());
    }

    #[test]
    fn impossible_shapes_are_named() {
        assert_eq!(tiny().check(), Ok(()));
        for (shape, word) in [
            (Shape { kv_heads: 3, ..tiny() }, "kv-heads"),
            (Shape { head_dim: 31, ..tiny() }, "head-dim"),
            (Shape { vocab: 0, ..tiny() }, "vocab"),
        ] {
            assert!(shape.check().is_err_and(|e| e.contains(word)), "{word}");
        }
    }
}
