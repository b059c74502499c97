//! Shapes and documents that the tests of this crate share.

use burn::{Tensor, TensorData};
use regimen_base::Key;
use regimen_kernels::{Activation, Lora, Norm, Pick, Positions, Projection, Rotary, Shape};

use crate::net::{Inputs, Net, Tokens, Want};
use crate::params::Params;
use crate::taps::Taps;

/// Every option at least once: grouped queries, tied head, qk-norm, biases, both norms, all activations, no MLP.
pub fn shapes() -> Vec<Shape> {
    let base = Shape {
        vocab: 37,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 40,
        norm: Norm::Rms,
        activation: Activation::SwiGlu,
        norm_eps: 1e-5,
        positions: Positions::rotary(10000.0),
        qk_norm: false,
        tied: false,
        attention_bias: false,
        output_bias: false,
        mlp_bias: false,
        parallel: false,
        lora: None,
        max_positions: 64,
    };
    let of = |change: fn(&mut Shape)| {
        let mut shape = base.clone();
        change(&mut shape);
        shape
    };
    vec![
        base.clone(),
        of(|s| (s.tied, s.kv_heads, s.positions) = (true, 4, Positions::rotary(1e6))),
        of(|s| (s.qk_norm, s.tied, s.head_dim) = (true, true, 8)),
        of(|s| s.attention_bias = true),
        of(|s| (s.norm, s.activation, s.attention_bias) = (Norm::Layer, Activation::Gelu, true)),
        of(|s| (s.activation, s.kv_heads) = (Activation::GeluTanh, 1)),
        of(|s| (s.norm, s.activation, s.qk_norm) = (Norm::Layer, Activation::Relu2, true)),
        of(|s| (s.ffn, s.norm) = (0, Norm::Layer)),
        of(gpt2),
        of(neox),
        of(|s| s.lora = Some(lora(&Projection::ALL))),
        of(|s| s.lora = Some(Lora { dropout: 0.25, ..lora(&Projection::ALL) })),
        of(|s| {
            (s.qk_norm, s.tied) = (true, true);
            s.lora = Some(lora(&[Projection::Q, Projection::V, Projection::Gate]));
        }),
        of(|s| {
            neox(s);
            s.lora = Some(lora(&[Projection::K, Projection::O, Projection::Down]));
        }),
    ]
}

fn gpt2(s: &mut Shape) {
    (s.norm, s.activation, s.positions) = (Norm::Layer, Activation::GeluTanh, Positions::Learned);
    (s.attention_bias, s.output_bias, s.mlp_bias) = (true, true, true);
    (s.tied, s.kv_heads) = (true, 4);
}

fn neox(s: &mut Shape) {
    gpt2(s);
    (s.tied, s.parallel, s.activation) = (false, true, Activation::Gelu);
    s.positions = Positions::Rotary(Rotary { theta: 1e4, dims: Some(2), scaling: None });
}

fn lora(targets: &[Projection]) -> Lora {
    Lora { rank: 3, alpha: 6.0, rslora: false, dropout: 0.0, targets: targets.iter().copied().collect() }
}

/// Weights far enough from their start that every term of a gradient counts.
pub fn randomise(params: &mut Params) {
    let layout = params.layout().clone();
    for entry in layout.entries() {
        let mut rng = Key::new(5).child(&entry.path).rng();
        let (middle, spread) = if entry.shape.len() > 1 {
            (0.0, 0.2)
        } else {
            (f64::from(u8::from(entry.path.ends_with("weight"))), 0.1)
        };
        for w in &mut params.flat_mut()[entry.range.clone()] {
            *w = (middle + spread * rng.normal()) as f32;
        }
    }
}

/// Documents of 7, 1 and 12 tokens.
pub struct Documents {
    pub ids: Vec<u32>,
    pub starts: Vec<u32>,
    pub picks: Vec<Pick>,
}

impl Documents {
    pub fn new(vocab: usize) -> Self {
        let mut rng = Key::new(9).rng();
        let ids: Vec<u32> = (0..20).map(|_| rng.index(vocab) as u32).collect();
        let picks = [0, 3, 5, 7, 9, 13, 18, 19];
        let picks = picks.map(|position| Pick { position, target: rng.index(vocab) as u32 }).to_vec();
        Self { ids, starts: vec![0, 7, 8, 20], picks }
    }

    /// Each document by itself.
    pub fn apart(&self) -> Vec<Self> {
        let alone = |pair: &[u32]| {
            let (start, end) = (pair[0], pair[1]);
            let picks = self.picks.iter().filter(|pick| (start..end).contains(&pick.position));
            let picks = picks.map(|pick| Pick { position: pick.position - start, ..*pick }).collect();
            Self { ids: self.ids[start as usize..end as usize].to_vec(), starts: vec![0, end - start], picks }
        };
        self.starts.windows(2).map(alone).collect()
    }

    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, starts: &self.starts, picks: &self.picks, temperature: 0.8 }
    }
}

/// A net's outputs and, for a loss that uses all of them, its gradients.
pub struct Ran {
    pub logp: Vec<f32>,
    pub entropy: Vec<f32>,
    pub logits: Vec<f32>,
    pub hidden: Vec<f32>,
    pub grads: Vec<f32>,
}

/// Runs forward and backward. The loss weighs every output differently, so that no error of sign or place cancels.
pub fn run(net: &mut dyn Net, tokens: &Tokens<'_>, taps: &mut Taps) -> Ran {
    let want =
        Want { grad: true, entropy: true, logits: true, hidden: true, dropout: Some(5), values: false };
    let out = net.forward(&Inputs::Tokens(*tokens), want, taps).expect("the inputs fit");
    let (entropy, logits, hidden) =
        (out.entropy.expect("wanted"), out.logits.expect("wanted"), out.hidden.expect("wanted"));
    let device = net.device().tensors(false);
    let loss = weighted(&out.logp, &device)
        + weighted(&entropy, &device)
        + weighted(&logits, &device)
        + weighted(&hidden, &device);
    net.zero_grads();
    net.backward(&mut loss.backward()).expect("a pass is pending");
    net.finish_grads();
    Ran {
        logp: values(out.logp),
        entropy: values(entropy),
        logits: values(logits),
        hidden: values(hidden),
        grads: net.grads().to_vec(),
    }
}

fn weighted<const D: usize>(x: &Tensor<D>, device: &burn::Device) -> Tensor<1> {
    let count = x.dims().iter().product::<usize>();
    let weights: Vec<f32> = (0..count).map(|i| ((i * 7) % 11) as f32 / 11.0 - 0.4).collect();
    (x.clone() * Tensor::from_data(TensorData::new(weights, x.dims()), device)).sum()
}

pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("it is f32")
}

/// Asserts that two arrays agree to `relative` of the second one's largest number.
pub fn assert_close(name: &str, a: &[f32], b: &[f32], relative: f32) {
    assert_eq!(a.len(), b.len(), "{name}");
    let scale = b.iter().fold(0.0_f32, |m, v| m.max(v.abs())).max(0.05);
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= relative * scale, "{name}[{i}]: {a} and {b} differ, largest {scale}");
    }
}
