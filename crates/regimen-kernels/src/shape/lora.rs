//! Low-rank adapters (Hu et al. 2021): y = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ with W frozen.

use super::Shape;
use crate::plan::{DOWN, INNER, OUTPUT, QKV};

/// A projection of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention's output.
    O,
    /// The gate of the feed-forward part.
    Gate,
    /// The feed-forward part's way up.
    Up,
    /// The feed-forward part's way down.
    Down,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Those that share their input, in the order of their columns.
    pub(crate) const GROUPS: [&[Self]; 4] =
        [&[Self::Q, Self::K, Self::V], &[Self::O], &[Self::Gate, Self::Up], &[Self::Down]];

    /// The product of a layer that it is a part of.
    pub(crate) fn product(self) -> usize {
        match self {
            Self::Q | Self::K | Self::V => QKV,
            Self::O => OUTPUT,
            Self::Gate | Self::Up => INNER,
            Self::Down => DOWN,
        }
    }

    /// `q_proj`, …: the module's name in Llama.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The module's path: `model.layers.0.self_attn.q_proj`.
    pub fn path(self, layer: usize) -> String {
        let part = match self {
            Self::Q | Self::K | Self::V | Self::O => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        };
        format!("model.layers.{layer}.{part}.{}", self.name())
    }
}

/// A set of projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Targets(u8);

impl Targets {
    /// Whether `projection` is one of them.
    pub fn contains(self, projection: Projection) -> bool {
        self.0 & 1 << projection as u8 != 0
    }

    /// The projections, in order.
    pub fn iter(self) -> impl Iterator<Item = Projection> {
        Projection::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Projection> for Targets {
    fn from_iter<T: IntoIterator<Item = Projection>>(projections: T) -> Self {
        Self(projections.into_iter().fold(0, |set, p| set | 1 << p as u8))
    }
}

/// Adapters beside the projections of every block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// Rank r of A[r, in] and B[out, r].
    pub rank: usize,
    /// The adapters' output is multiplied by alpha / r, or alpha / √r with `rslora`.
    pub alpha: f32,
    /// Rank-stabilised scale (Kalajdzievski 2023).
    pub rslora: bool,
    /// The share of an adapter's input that is dropped while it trains.
    pub dropout: f32,
    /// Which projections have one.
    pub targets: Targets,
}

impl Lora {
    /// What the adapters' output is multiplied by.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f32;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    pub(super) fn check(&self, shape: &Shape) -> Result<(), String> {
        if self.rank == 0 {
            return Err("the adapters' rank is 0".to_owned());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("the adapters' dropout is {}, not a share below 1", self.dropout));
        }
        if !self.alpha.is_finite() {
            return Err(format!("the adapters' alpha is {}", self.alpha));
        }
        if self.targets == Targets::default() {
            return Err("the adapters have no targets".to_owned());
        }
        match self.targets.iter().find(|p| !shape.has(*p)) {
            Some(missing) => {
                Err(format!("the model has no {}, which adapters are to sit on", missing.name()))
            }
            None => Ok(()),
        }
    }
}
