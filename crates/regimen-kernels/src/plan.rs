//! Where a decoder's parameters lie in the flat vector, by layer.

use std::ops::Range;

use crate::shape::{Layout, Norm, POSITIONS, Positions, Projection, Shape};

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
    pub inner_bias: Option<usize>,
    pub down: usize,
    pub down_bias: Option<usize>,
}

/// The adapters beside one product: A of all parts stacked, then the parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdapterAt {
    pub a: usize,
    pub parts: [Option<AdapterPart>; 3],
}

/// The adapter of one projection of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdapterPart {
    /// Its columns of the product's output.
    pub column: usize,
    pub width: usize,
    pub a: usize,
    pub b: usize,
}

impl AdapterAt {
    pub fn parts(&self) -> impl Iterator<Item = AdapterPart> + Clone {
        self.parts.into_iter().flatten()
    }
}

/// The products of a layer, as they index what belongs to one.
pub(crate) const DOWN: usize = 0;
pub(crate) const INNER: usize = 1;
pub(crate) const OUTPUT: usize = 2;
pub(crate) const QKV: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerAt {
    pub norm: NormAt,
    pub qkv: usize,
    pub qkv_bias: Option<usize>,
    pub qk_norm: Option<(usize, usize)>,
    pub o: usize,
    pub o_bias: Option<usize>,
    pub mlp: Option<MlpAt>,
    /// By product.
    pub adapters: [Option<AdapterAt>; 4],
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub embed: usize,
    /// Learned positions.
    pub positions: Option<usize>,
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
        let find = Find { shape, layout };
        let embed = find.start("model.embed_tokens.weight")?;
        Ok(Plan {
            embed,
            positions: find.when(shape.positions == Positions::Learned, POSITIONS)?,
            layers: (0..shape.layers).map(|l| find.layer(l)).collect::<Result<_, _>>()?,
            norm: find.norm("model.norm")?,
            head: if shape.tied { embed } else { find.start("lm_head.weight")? },
            len: layout.len(),
            entries: layout.entries.iter().map(crate::shape::Entry::range).collect(),
        })
    }
}

/// Looks entries up.
struct Find<'a> {
    shape: &'a Shape,
    layout: &'a Layout,
}

impl Find<'_> {
    fn start(&self, path: &str) -> Result<usize, String> {
        self.layout.find(path).map(|e| e.start).ok_or(format!("no parameter {path}"))
    }

    fn when(&self, there: bool, path: &str) -> Result<Option<usize>, String> {
        if there { self.start(path).map(Some) } else { Ok(None) }
    }

    fn norm(&self, path: &str) -> Result<NormAt, String> {
        let bias = self.when(self.shape.norm == Norm::Layer, &format!("{path}.bias"))?;
        Ok(NormAt { weight: self.start(&format!("{path}.weight"))?, bias })
    }

    fn layer(&self, l: usize) -> Result<LayerAt, String> {
        let (s, at) = (self.shape, |name: &str| format!("model.layers.{l}.{name}"));
        let mut adapters = [None; 4];
        for (product, group) in [(QKV, 0), (OUTPUT, 1), (INNER, 2), (DOWN, 3)] {
            adapters[product] = self.adapters(l, Projection::GROUPS[group])?;
        }
        Ok(LayerAt {
            norm: self.norm(&at("input_layernorm"))?,
            qkv: self.start(&at("self_attn.q_proj.weight"))?,
            qkv_bias: self.when(s.attention_bias, &at("self_attn.q_proj.bias"))?,
            qk_norm: self
                .when(s.qk_norm, &at("self_attn.q_norm.weight"))?
                .zip(self.when(s.qk_norm, &at("self_attn.k_norm.weight"))?),
            o: self.start(&at("self_attn.o_proj.weight"))?,
            o_bias: self.when(s.output_bias, &at("self_attn.o_proj.bias"))?,
            mlp: if s.ffn > 0 { Some(self.mlp(l)?) } else { None },
            adapters,
        })
    }

    fn mlp(&self, l: usize) -> Result<MlpAt, String> {
        let (s, at) = (self.shape, |name: &str| format!("model.layers.{l}.{name}"));
        let first = if s.activation.gated() { "gate" } else { "up" };
        Ok(MlpAt {
            norm: self.norm(&at("post_attention_layernorm"))?,
            inner: self.start(&at(&format!("mlp.{first}_proj.weight")))?,
            inner_bias: self.when(s.mlp_bias, &at(&format!("mlp.{first}_proj.bias")))?,
            down: self.start(&at("mlp.down_proj.weight"))?,
            down_bias: self.when(s.mlp_bias, &at("mlp.down_proj.bias"))?,
        })
    }

    /// The adapters of one product's projections.
    fn adapters(&self, l: usize, group: &[Projection]) -> Result<Option<AdapterAt>, String> {
        let Some(lora) = &self.shape.lora else { return Ok(None) };
        let (mut column, mut parts) = (0, [None; 3]);
        let (mut first, mut count) = (None, 0);
        for p in group.iter().filter(|p| self.shape.has(**p)) {
            let width = self.shape.widths(*p).1;
            if lora.targets.contains(*p) {
                let a = self.start(&format!("{}.lora_A.weight", p.path(l)))?;
                let b = self.start(&format!("{}.lora_B.weight", p.path(l)))?;
                first = first.or(Some(a));
                parts[count] = Some(AdapterPart { column, width, a, b });
                count += 1;
            }
            column += width;
        }
        Ok(first.map(|a| AdapterAt { a, parts }))
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
        plan.positions = self.positions.map(|p| take(p, shape.max_positions * d));
        let norm = |n: &mut NormAt, take: &mut dyn FnMut(usize, usize) -> usize| {
            n.weight = take(n.weight, d);
            n.bias = n.bias.map(|b| take(b, d));
        };
        norm(&mut plan.norm, &mut take);
        for layer in &mut plan.layers {
            norm(&mut layer.norm, &mut take);
            if let Some(mlp) = &mut layer.mlp {
                norm(&mut mlp.norm, &mut take);
                mlp.inner_bias = mlp.inner_bias.map(|b| take(b, shape.inner_width()));
                mlp.down_bias = mlp.down_bias.map(|b| take(b, d));
            }
            layer.qkv_bias = layer.qkv_bias.map(|b| take(b, shape.qkv_width()));
            layer.o_bias = layer.o_bias.map(|b| take(b, d));
            let hd = shape.head_dim;
            layer.qk_norm = layer.qk_norm.map(|(q, k)| (take(q, hd), take(k, hd)));
        }
        (plan, ranges)
    }
}
