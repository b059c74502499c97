//! Gradient checks against a plain f64 model, and bit-equality across batch splits, threads, levels and decoding.

mod equality;
mod gradients;
mod plain;

use super::{Decoder, Pick, Rows, Upstream};
use crate::{Activation, Grads, Layout, Lora, Norm, Positions, Projection, Rotary, Shape, Targets, Weights};

/// What decides which inputs adapters drop; those of most shapes drop none.
const DROPOUT: u64 = 77;

fn noise(n: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((x >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * scale
        })
        .collect()
}

fn base() -> Shape {
    Shape {
        vocab: 23,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 20,
        norm: Norm::Rms,
        activation: Activation::SwiGlu,
        norm_eps: 1e-5,
        positions: Positions::rotary(1e4),
        qk_norm: false,
        tied: false,
        attention_bias: false,
        output_bias: false,
        mlp_bias: false,
        parallel: false,
        lora: None,
        max_positions: 64,
    }
}

fn gpt2() -> Shape {
    Shape {
        norm: Norm::Layer,
        activation: Activation::GeluTanh,
        attention_bias: true,
        output_bias: true,
        mlp_bias: true,
        positions: Positions::Learned,
        tied: true,
        kv_heads: 4,
        ..base()
    }
}

fn neox() -> Shape {
    let rotary = Rotary { theta: 1e4, dims: Some(4), scaling: None };
    Shape {
        activation: Activation::Gelu,
        positions: Positions::Rotary(rotary),
        tied: false,
        parallel: true,
        head_dim: 16,
        ..gpt2()
    }
}

fn lora(targets: Targets) -> Lora {
    Lora { rank: 3, alpha: 5.0, rslora: true, dropout: 0.0, targets }
}

fn dropping(targets: Targets) -> Lora {
    Lora { dropout: 0.3, ..lora(targets) }
}

fn variants() -> Vec<Shape> {
    use Projection::{Down, Gate, K, O, Q, Up, V};
    vec![
        gpt2(),
        neox(),
        Shape { parallel: true, mlp_bias: true, ..base() },
        Shape { lora: Some(lora(Projection::ALL.into_iter().collect())), ..base() },
        Shape { lora: Some(lora([Q, V, Gate].into_iter().collect())), qk_norm: true, tied: true, ..base() },
        Shape { lora: Some(lora([K, O, Down].into_iter().collect())), ..neox() },
        Shape { lora: Some(dropping(Projection::ALL.into_iter().collect())), tied: true, ..base() },
        Shape { lora: Some(dropping([V, O, Up].into_iter().collect())), ..neox() },
        base(),
        Shape { qk_norm: true, tied: true, ..base() },
        Shape { norm: Norm::Layer, activation: Activation::Gelu, attention_bias: true, ..base() },
        Shape { activation: Activation::GeluTanh, kv_heads: 4, head_dim: 8, ..base() },
        Shape { activation: Activation::Relu2, kv_heads: 1, tied: true, ..base() },
        Shape { ffn: 0, layers: 1, ..base() },
        Shape { width: 32, heads: 2, kv_heads: 2, head_dim: 16, ffn: 48, vocab: 40, ..base() },
        Shape { vocab: 1100, width: 48, heads: 3, kv_heads: 1, head_dim: 32, ffn: 33, layers: 1, ..base() },
    ]
}

fn weights(shape: &Shape, layout: &Layout) -> Vec<f32> {
    let mut w = noise(layout.len(), 11, 0.7);
    for e in &layout.entries {
        if e.path.contains("norm") && e.path.ends_with("weight") {
            w[e.range()].iter_mut().for_each(|x| *x += 1.0);
        }
    }
    assert_eq!(w.len(), Layout::new(shape).len());
    w
}

struct Case {
    ids: Vec<u32>,
    starts: Vec<u32>,
    picks: Vec<Pick>,
    dlogp: Vec<f32>,
    dentropy: Vec<f32>,
}

fn case(s: &Shape, lengths: &[u32], seed: u64) -> Case {
    let n: u32 = lengths.iter().sum();
    let ids: Vec<u32> =
        noise(n as usize, seed, 1.0).iter().map(|x| ((x + 0.5) * s.vocab as f32) as u32).collect();
    let mut starts = vec![0];
    for l in lengths {
        starts.push(starts.last().unwrap() + l);
    }
    let picks: Vec<Pick> = (0..n)
        .filter(|i| i % 3 != 1)
        .map(|i| Pick { position: i, target: (i * 7 + 3) % s.vocab as u32 })
        .collect();
    let (dlogp, dentropy) = (noise(picks.len(), seed + 1, 1.0), noise(picks.len(), seed + 2, 0.5));
    Case { ids, starts, picks, dlogp, dentropy }
}

fn grads_of(s: &Shape, layout: &Layout, w: &[f32], c: &Case, temp: f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut decoder = Decoder::new(s, layout).unwrap();
    decoder.set_dropout(Some(DROPOUT));
    let mut grads = Grads::new(layout);
    let (logp, entropy) = step(&mut decoder, w, c, temp, &mut grads);
    grads.finish();
    (logp, entropy, grads.flat().to_vec())
}

fn step<'w>(
    decoder: &mut Decoder,
    w: impl Into<Weights<'w>>,
    c: &Case,
    temp: f32,
    grads: &mut Grads,
) -> (Vec<f32>, Vec<f32>) {
    let w = w.into();
    decoder.forward(w, &Rows { ids: &c.ids, starts: &c.starts });
    let (logp, entropy) = decoder.logprobs(w, &c.picks, temp, true);
    let out = (logp.to_vec(), entropy.to_vec());
    decoder.backward(
        w,
        &Upstream { dlogp: Some(&c.dlogp), dentropy: Some(&c.dentropy), ..Upstream::default() },
        grads,
    );
    out
}
