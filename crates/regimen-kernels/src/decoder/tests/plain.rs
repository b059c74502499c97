//! The same decoder, plainly, in f64.

use super::DROPOUT;
use crate::{Activation, Layout, Norm, Positions, Projection, Shape, dropout_mask};

/// Hidden states behind the final norm.
pub(super) fn hidden(s: &Shape, layout: &Layout, w: &[f64], ids: &[u32], starts: &[u32]) -> Vec<Vec<f64>> {
    let p = |path: &str| {
        let e = layout.find(path).unwrap();
        &w[e.range()]
    };
    let opt = |path: &str| layout.find(path).map(|e| &w[e.range()]);
    let norm = |x: &[f64], path: &str| -> Vec<f64> {
        let n = x.len() as f64;
        let mean = if s.norm == Norm::Layer { x.iter().sum::<f64>() / n } else { 0.0 };
        let var = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let bias = opt(&format!("{path}.bias"));
        (0..x.len())
            .map(|i| {
                (x[i] - mean) / (var + f64::from(s.norm_eps)).sqrt() * p(&format!("{path}.weight"))[i]
                    + bias.map_or(0.0, |b| b[i])
            })
            .collect()
    };
    // a projection of a row with its bias and its adapter, which may not see all of the input
    let project = |row: usize, x: &[f64], path: &str| -> Vec<f64> {
        let mut y = lin(x, p(&format!("{path}.weight")));
        if let Some(b) = opt(&format!("{path}.bias")) {
            y.iter_mut().zip(b).for_each(|(y, b)| *y += b);
        }
        if let (Some(a), Some(lora)) = (opt(&format!("{path}.lora_A.weight")), &s.lora) {
            let layer = path.split('.').nth(2).and_then(|l| l.parse().ok()).unwrap();
            let projection = Projection::ALL.into_iter().find(|p| p.path(layer) == path).unwrap();
            let mask = dropout_mask(DROPOUT, (ids, starts), (layer, projection), x.len(), lora.dropout);
            let seen: Vec<f64> =
                x.iter().zip(&mask[row * x.len()..]).map(|(x, m)| x * f64::from(*m)).collect();
            let more = lin(&lin(&seen, a), p(&format!("{path}.lora_B.weight")));
            y.iter_mut().zip(more).for_each(|(y, m)| *y += f64::from(lora.scale()) * m);
        }
        y
    };
    let mut hidden = Vec::new();
    for doc in starts.windows(2) {
        let (a, b) = (doc[0] as usize, doc[1] as usize);
        let mut xs: Vec<Vec<f64>> = ids[a..b]
            .iter()
            .map(|&id| p("model.embed_tokens.weight")[id as usize * s.width..][..s.width].to_vec())
            .collect();
        if s.positions == Positions::Learned {
            let places = p("model.embed_positions.weight").chunks(s.width);
            for (x, place) in xs.iter_mut().zip(places) {
                x.iter_mut().zip(place).for_each(|(x, p)| *x += p);
            }
        }
        for l in 0..s.layers {
            let at = |n: &str| format!("model.layers.{l}.{n}");
            let mut qkv: Vec<[Vec<f64>; 3]> = Vec::new();
            for (pos, x) in xs.iter().enumerate() {
                let h = norm(x, &at("input_layernorm"));
                let part = |n: &str, heads: usize, turn: bool| -> Vec<f64> {
                    let mut y = project(a + pos, &h, &at(&format!("self_attn.{n}_proj")));
                    if !turn {
                        return y;
                    }
                    for hd in 0..heads {
                        let v = &mut y[hd * s.head_dim..(hd + 1) * s.head_dim];
                        if let Some(g) = opt(&at(&format!("self_attn.{n}_norm.weight"))) {
                            let ms = v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64;
                            v.iter_mut()
                                .zip(g)
                                .for_each(|(x, g)| *x *= g / (ms + f64::from(s.norm_eps)).sqrt());
                        }
                        let half = s.inv_freq().len();
                        for (i, f) in s.inv_freq().iter().enumerate() {
                            let angle = f64::from(pos as f32 * f);
                            let (x, y) = (v[i], v[i + half]);
                            v[i] = x * angle.cos() - y * angle.sin();
                            v[i + half] = y * angle.cos() + x * angle.sin();
                        }
                    }
                    y
                };
                qkv.push([
                    part("q", s.heads, true),
                    part("k", s.kv_heads, true),
                    part("v", s.kv_heads, false),
                ]);
            }
            for (i, x) in xs.iter_mut().enumerate() {
                let below = x.clone();
                let mut att = vec![0.0; s.q_width()];
                for h in 0..s.heads {
                    let kvh = h / (s.heads / s.kv_heads);
                    let (qr, kr) =
                        (h * s.head_dim..(h + 1) * s.head_dim, kvh * s.head_dim..(kvh + 1) * s.head_dim);
                    let scores: Vec<f64> = (0..=i)
                        .map(|j| {
                            let dot: f64 = qkv[i][0][qr.clone()]
                                .iter()
                                .zip(&qkv[j][1][kr.clone()])
                                .map(|(a, b)| a * b)
                                .sum();
                            dot / (s.head_dim as f64).sqrt()
                        })
                        .collect();
                    let max = scores.iter().copied().fold(f64::MIN, f64::max);
                    let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
                    for (j, sc) in scores.iter().enumerate() {
                        for (o, v) in att[qr.clone()].iter_mut().zip(&qkv[j][2][kr.clone()]) {
                            *o += (sc - max).exp() / sum * v;
                        }
                    }
                }
                let o = project(a + i, &att, &at("self_attn.o_proj"));
                x.iter_mut().zip(o).for_each(|(x, o)| *x += o);
                if s.ffn > 0 {
                    let h = norm(if s.parallel { &below } else { x }, &at("post_attention_layernorm"));
                    let up = project(a + i, &h, &at("mlp.up_proj"));
                    let act: Vec<f64> = match s.activation {
                        Activation::SwiGlu => {
                            let gate = project(a + i, &h, &at("mlp.gate_proj"));
                            gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
                        }
                        Activation::Relu2 => up.iter().map(|u| u.max(0.0).powi(2)).collect(),
                        Activation::GeluTanh => up
                            .iter()
                            .map(|u| {
                                0.5 * u
                                    * (1.0
                                        + ((2.0 / std::f64::consts::PI).sqrt() * (u + 0.044715 * u.powi(3)))
                                            .tanh())
                            })
                            .collect(),
                        Activation::Gelu => {
                            up.iter().map(|u| 0.5 * u * (1.0 + erf(u / 2f64.sqrt()))).collect()
                        }
                    };
                    let y = project(a + i, &act, &at("mlp.down_proj"));
                    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
                }
            }
        }
        hidden.extend(xs.iter().map(|x| norm(x, "model.norm")));
    }
    hidden
}

/// Logits of one hidden state.
pub(super) fn logits(layout: &Layout, w: &[f64], hidden: &[f64]) -> Vec<f64> {
    let head = layout.find("lm_head.weight").or_else(|| layout.find("model.embed_tokens.weight")).unwrap();
    lin(hidden, &w[head.range()])
}

/// log p of the target and entropy under softmax(logits / temperature).
pub(super) fn logprob(logits: &[f64], target: u32, temperature: f64) -> (f64, f64) {
    let z: Vec<f64> = logits.iter().map(|z| z / temperature).collect();
    let max = z.iter().copied().fold(f64::MIN, f64::max);
    let lse = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
    (z[target as usize] - lse, -z.iter().map(|z| (z - lse).exp() * (z - lse)).sum::<f64>())
}

fn lin(x: &[f64], w: &[f64]) -> Vec<f64> {
    w.chunks(x.len()).map(|r| r.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

/// erf by its Taylor series (|x| < 4).
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}
