//! The shape of a decoder and where each of its parameters lies in one flat vector.

mod layout;
mod lora;
mod positions;

pub(crate) use layout::POSITIONS;
pub use layout::{Entry, Layout, can_be_half};
pub use lora::{Lora, Projection, Targets};
pub use positions::{Positions, RopeScaling, Rotary};

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

/// A pre-norm causal decoder: Llama, Qwen, GPT-2, GPT-NeoX and their kin.
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
    /// How a token's place enters.
    pub positions: Positions,
    /// RMS norm of each head's q and k before the rotation (Qwen3).
    pub qk_norm: bool,
    /// The head shares the embedding's weights.
    pub tied: bool,
    /// Biases on q, k and v (Qwen2).
    pub attention_bias: bool,
    /// A bias on attention's output projection (GPT-2, GPT-NeoX).
    pub output_bias: bool,
    /// Biases on the projections of the feed-forward part (GPT-2, GPT-NeoX).
    pub mlp_bias: bool,
    /// The feed-forward part reads what attention reads, and both are added to the stream (GPT-NeoX).
    pub parallel: bool,
    /// Longest document.
    pub max_positions: usize,
    /// Low-rank adapters beside frozen projections.
    pub lora: Option<Lora>,
}

/// Deeper than any decoder that is used.
const MOST_LAYERS: usize = 4096;
/// More than any machine holds; below it no sum of sizes overflows.
const MOST_PARAMETERS: f64 = 1e15;

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
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return Err(format!("norm-eps ({}) is not positive", self.norm_eps));
        }
        self.positions.check(self.head_dim)?;
        self.lora.map_or(Ok(()), |lora| lora.check(self))?;
        self.check_size()
    }

    /// Refuses what no machine holds, before anything is made room for: such numbers come from damaged files.
    fn check_size(&self) -> Result<(), String> {
        if self.layers > MOST_LAYERS {
            return Err(format!(
                "{} layers are absurd: up to {MOST_LAYERS} are known to be used",
                self.layers
            ));
        }
        let [vocab, d, f, heads, kv, hd, places] =
            [self.vocab, self.width, self.ffn, self.heads, self.kv_heads, self.head_dim, self.max_positions]
                .map(|n| n as f64);
        let layer = d * (2.0 * heads * hd + 2.0 * kv * hd + 3.0 * f);
        let learned = if self.positions == Positions::Learned { places * d } else { 0.0 };
        let parameters = 2.0 * vocab * d + learned + self.layers as f64 * layer;
        if parameters > MOST_PARAMETERS {
            return Err(format!("it describes about {parameters:.1e} parameters, which is absurd"));
        }
        Ok(())
    }

    /// Rotary frequencies of the pairs of a head, radians a position; none with learned positions.
    pub fn inv_freq(&self) -> Vec<f32> {
        self.positions.inv_freq(self.head_dim)
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

    /// Width of a projection's input and of its output.
    pub fn widths(&self, projection: Projection) -> (usize, usize) {
        match projection {
            Projection::Q => (self.width, self.q_width()),
            Projection::K | Projection::V => (self.width, self.kv_width()),
            Projection::O => (self.q_width(), self.width),
            Projection::Gate | Projection::Up => (self.width, self.ffn),
            Projection::Down => (self.ffn, self.width),
        }
    }

    /// Whether a block has this projection.
    pub fn has(&self, projection: Projection) -> bool {
        match projection {
            Projection::Gate => self.ffn > 0 && self.activation.gated(),
            Projection::Up | Projection::Down => self.ffn > 0,
            _ => true,
        }
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
            (Shape { layers: 1 << 32, ..tiny() }, "layers are absurd"),
            (Shape { width: 1 << 32, vocab: 1 << 32, ..tiny() }, "absurd"),
            (Shape { heads: 1 << 31, kv_heads: 1 << 31, head_dim: 1 << 31, ..tiny() }, "absurd"),
            (Shape { max_positions: 1 << 60, positions: Positions::Learned, ..tiny() }, "absurd"),
        ] {
            assert!(shape.check().is_err_and(|e| e.contains(word)), "{word}");
        }
    }
}
