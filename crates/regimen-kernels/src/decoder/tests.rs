//! Gradient checks against a plain f64 model, and bit-equality across batch splits, threads, levels and decoding.

use super::{Decoder, Pick, Rows, Upstream};
use crate::simd::{Level, best_level, force_level};
use crate::{Activation, Decoding, Grads, Layout, Norm, Shape, logprob};

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
        rope_theta: 1e4,
        qk_norm: false,
        tied: false,
        attention_bias: false,
        max_positions: 64,
    }
}

fn variants() -> Vec<Shape> {
    vec![
        base(),
        Shape { qk_norm: true, tied: true, ..base() },
        Shape { norm: Norm::Layer, activation: Activation::Gelu, attention_bias: true, ..base() },
        Shape { activation: Activation::GeluTanh, kv_heads: 4, head_dim: 8, ..base() },
        Shape { activation: Activation::Relu2, kv_heads: 1, tied: true, ..base() },
        Shape { ffn: 0, layers: 1, ..base() },
        Shape { width: 32, heads: 2, kv_heads: 2, head_dim: 16, ffn: 48, vocab: 40, ..base() },
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

/// The same decoder, plainly, in f64: log-probs and entropies of the picks.
fn plain(
    s: &Shape,
    layout: &Layout,
    w: &[f64],
    ids: &[u32],
    starts: &[u32],
    picks: &[Pick],
    temp: f64,
) -> Vec<(f64, f64)> {
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
    let lin = |x: &[f64], w: &[f64]| -> Vec<f64> {
        w.chunks(x.len()).map(|r| r.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
    };
    let mut hidden = Vec::new();
    for doc in starts.windows(2) {
        let (a, b) = (doc[0] as usize, doc[1] as usize);
        let mut xs: Vec<Vec<f64>> = ids[a..b]
            .iter()
            .map(|&id| p("model.embed_tokens.weight")[id as usize * s.width..][..s.width].to_vec())
            .collect();
        for l in 0..s.layers {
            let at = |n: &str| format!("model.layers.{l}.{n}");
            let mut qkv: Vec<[Vec<f64>; 3]> = Vec::new();
            for (pos, x) in xs.iter().enumerate() {
                let h = norm(x, &at("input_layernorm"));
                let part = |n: &str, heads: usize, turn: bool| -> Vec<f64> {
                    let mut y = lin(&h, p(&at(&format!("self_attn.{n}_proj.weight"))));
                    if let Some(b) = opt(&at(&format!("self_attn.{n}_proj.bias"))) {
                        y.iter_mut().zip(b).for_each(|(y, b)| *y += b);
                    }
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
                        let half = s.head_dim / 2;
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
                let o = lin(&att, p(&at("self_attn.o_proj.weight")));
                x.iter_mut().zip(o).for_each(|(x, o)| *x += o);
                if s.ffn > 0 {
                    let h = norm(x, &at("post_attention_layernorm"));
                    let up = lin(&h, p(&at("mlp.up_proj.weight")));
                    let act: Vec<f64> = match s.activation {
                        Activation::SwiGlu => {
                            let gate = lin(&h, p(&at("mlp.gate_proj.weight")));
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
                    let y = lin(&act, p(&at("mlp.down_proj.weight")));
                    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
                }
            }
        }
        hidden.extend(xs.iter().map(|x| norm(x, "model.norm")));
    }
    let head = opt("lm_head.weight").unwrap_or_else(|| p("model.embed_tokens.weight"));
    picks
        .iter()
        .map(|pick| {
            let z: Vec<f64> = lin(&hidden[pick.position as usize], head).iter().map(|z| z / temp).collect();
            let max = z.iter().copied().fold(f64::MIN, f64::max);
            let lse = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
            (z[pick.target as usize] - lse, -z.iter().map(|z| (z - lse).exp() * (z - lse)).sum::<f64>())
        })
        .collect()
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
    let mut grads = Grads::new(layout);
    let (logp, entropy) = step(&mut decoder, w, c, temp, &mut grads);
    grads.finish();
    (logp, entropy, grads.flat().to_vec())
}

fn step(decoder: &mut Decoder, w: &[f32], c: &Case, temp: f32, grads: &mut Grads) -> (Vec<f32>, Vec<f32>) {
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

#[test]
fn values_and_gradients_match_a_plain_f64_model() {
    for (v, s) in variants().into_iter().enumerate() {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[7, 1, 18], 5);
        let temp = if v % 2 == 0 { 1.0 } else { 0.7 };
        let (logp, entropy, grads) = grads_of(&s, &layout, &w, &c, temp);
        let wide: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
        let run = |w: &[f64]| plain(&s, &layout, w, &c.ids, &c.starts, &c.picks, f64::from(temp));
        for (i, (lp, h)) in run(&wide).into_iter().enumerate() {
            assert!((f64::from(logp[i]) - lp).abs() < 2e-5, "{s:?}: logp {i}: {} {lp}", logp[i]);
            assert!((f64::from(entropy[i]) - h).abs() < 2e-5, "{s:?}: entropy {i}: {} {h}", entropy[i]);
        }
        let loss = |w: &[f64]| -> f64 {
            run(w)
                .iter()
                .enumerate()
                .map(|(i, (lp, h))| lp * f64::from(c.dlogp[i]) + h * f64::from(c.dentropy[i]))
                .sum()
        };
        // some elements of every entry, and a random direction within each
        for e in &layout.entries {
            let g = &grads[e.range()];
            let size = (g.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / g.len() as f64).sqrt();
            for i in [0, e.len() / 3, e.len() / 2, e.len() - 1] {
                let mut moved = wide.clone();
                let at = e.start + i;
                let h = 1e-5;
                moved[at] = wide[at] + h;
                let up = loss(&moved);
                moved[at] = wide[at] - h;
                let slope = (up - loss(&moved)) / (2.0 * h);
                let got = f64::from(grads[at]);
                assert!(
                    (got - slope).abs() < 2e-5 + 2e-4 * slope.abs().max(size),
                    "{s:?}: {} [{i}]: {got} {slope}",
                    e.path
                );
            }
        }
    }
}

#[test]
fn splits_threads_and_levels_change_no_bit() {
    for s in variants() {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let lengths = [5u32, 17, 1, 9, 30, 3, 16, 12];
        let whole = case(&s, &lengths, 3);
        let want = grads_of(&s, &layout, &w, &whole, 1.0);
        // eight micro-batches of one document
        let mut decoder = Decoder::new(&s, &layout).unwrap();
        let mut grads = Grads::new(&layout);
        let (mut logp, mut entropy) = (Vec::new(), Vec::new());
        for d in whole.starts.windows(2) {
            let inside = |p: &&Pick| (d[0]..d[1]).contains(&p.position);
            let first = whole.picks.iter().position(|p| inside(&p)).unwrap_or(0);
            let picks: Vec<Pick> = whole
                .picks
                .iter()
                .filter(inside)
                .map(|p| Pick { position: p.position - d[0], ..*p })
                .collect();
            let n = picks.len();
            let c = Case {
                ids: whole.ids[d[0] as usize..d[1] as usize].to_vec(),
                starts: vec![0, d[1] - d[0]],
                picks,
                dlogp: whole.dlogp[first..first + n].to_vec(),
                dentropy: whole.dentropy[first..first + n].to_vec(),
            };
            let (lp, h) = step(&mut decoder, &w, &c, 1.0, &mut grads);
            logp.extend(lp);
            entropy.extend(h);
        }
        grads.finish();
        assert_eq!(logp, want.0, "{s:?}");
        assert_eq!(entropy, want.1, "{s:?}");
        assert!(grads.flat() == want.2, "{s:?}: gradients of 8 × 1 differ from 1 × 8");
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(
                pool.install(|| grads_of(&s, &layout, &w, &whole, 1.0)) == want,
                "{s:?}: {threads} threads"
            );
        }
        for level in [Level::Avx2, Level::Portable] {
            if force_level(level) {
                assert!(grads_of(&s, &layout, &w, &whole, 1.0) == want, "{s:?}: {level:?}");
            }
        }
        force_level(best_level());
    }
}

#[test]
fn decoding_gives_the_trainers_bits() {
    for s in variants() {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[40, 21, 33], 9);
        let mut decoder = Decoder::new(&s, &layout).unwrap();
        decoder.forward_only(&w, &Rows { ids: &c.ids, starts: &c.starts });
        let all: Vec<u32> = (0..c.ids.len() as u32).collect();
        let logits = decoder.logits(&w, &all).to_vec();
        let picks: Vec<Pick> =
            all.iter().map(|&p| Pick { position: p, target: (p * 5) % s.vocab as u32 }).collect();
        let logp = decoder.logprobs(&w, &picks, 0.8, false).0.to_vec();
        let mut dec = Decoding::new(&s, &layout, 5, 40).unwrap();
        dec.load(&w);
        let v = s.vocab;
        let doc = |i: usize| &c.ids[c.starts[i] as usize..c.starts[i + 1] as usize];
        let row = |i: usize, p: usize| &logits[(c.starts[i] as usize + p) * v..][..v];
        dec.prefill(&[(3, &doc(0)[..18]), (0, &doc(1)[..1]), (1, &doc(2)[..16])]);
        assert_eq!(dec.prompt_logits(3), row(0, 17));
        assert_eq!(dec.prompt_logits(0), row(1, 0));
        assert_eq!(dec.prompt_logits(1), row(2, 15));
        dec.share(3, 4);
        assert_eq!(dec.prompt_logits(4), row(0, 17));
        for t in 0..15 {
            let out = dec
                .step(&[(4, doc(0)[18 + t]), (1, doc(2)[16 + t]), (3, doc(0)[18 + t]), (0, doc(1)[1 + t])])
                .to_vec();
            assert_eq!(out[..v], *row(0, 18 + t), "{s:?} {t}");
            assert_eq!(out[v..2 * v], *row(2, 16 + t), "{s:?} {t}");
            assert_eq!(out[2 * v..3 * v], *row(0, 18 + t));
            assert_eq!(out[3 * v..], *row(1, 1 + t));
            let at = c.starts[1] as usize + 1 + t;
            assert_eq!(logprob(&out[3 * v..], picks[at].target, 0.8), logp[at]);
        }
        // a slot goes on after more prefill, alone
        dec.prefill(&[(0, &doc(1)[16..20])]);
        assert_eq!(dec.prompt_logits(0), row(1, 19));
        assert_eq!(dec.step(&[(0, doc(1)[20])]), row(1, 20));
        assert_eq!(dec.len(0), 21);
        dec.free(0);
        dec.prefill(&[(0, doc(2))]);
        assert_eq!(dec.prompt_logits(0), row(2, 32));
    }
}
