//! Values and gradients against the plain f64 model and its central differences.

use super::{base, case, grads_of, noise, plain, variants, weights};
use crate::decoder::{Decoder, Pick, Rows, Upstream};
use crate::{Grads, Layout, Shape};

#[test]
fn values_and_gradients_match_a_plain_f64_model() {
    for (v, s) in variants().into_iter().enumerate() {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[7, 1, 18], 5);
        let temp = if v % 2 == 0 { 1.0 } else { 0.7 };
        let (logp, entropy, grads) = grads_of(&s, &layout, &w, &c, temp);
        let wide: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
        let run = |w: &[f64]| -> Vec<(f64, f64)> {
            let h = plain::hidden(&s, &layout, w, &c.ids, &c.starts);
            let of = |p: &Pick| {
                let logits = plain::logits(&layout, w, &h[p.position as usize]);
                plain::logprob(&logits, p.target, f64::from(temp))
            };
            c.picks.iter().map(of).collect()
        };
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
        check_slopes(&s, &layout, &wide, &grads, loss);
    }
}

/// Compares some elements of every entry with central differences.
fn check_slopes(s: &Shape, layout: &Layout, wide: &[f64], grads: &[f32], loss: impl Fn(&[f64]) -> f64) {
    for e in &layout.entries {
        let g = &grads[e.range()];
        let size = (g.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / g.len() as f64).sqrt();
        for i in [0, e.len() / 3, e.len() / 2, e.len() - 1] {
            let mut moved = wide.to_vec();
            let (at, h) = (e.start + i, 1e-5);
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

#[test]
fn gradients_of_logits_and_hidden_states_match_a_plain_f64_model() {
    for s in [base(), Shape { tied: true, qk_norm: true, ..base() }] {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[6, 11], 13);
        let positions = [2u32, 5, 16, 9];
        let dlogits = noise(positions.len() * s.vocab, 31, 1.0);
        let dhidden = noise(c.ids.len() * s.width, 32, 1.0);
        let mut decoder = Decoder::new(&s, &layout).unwrap();
        let mut grads = Grads::new(&layout);
        decoder.forward(&w, &Rows { ids: &c.ids, starts: &c.starts });
        let logits = decoder.logits(&w, &positions).to_vec();
        let up = Upstream { dlogits: Some(&dlogits), dhidden: Some(&dhidden), ..Upstream::default() };
        decoder.backward(&w, &up, &mut grads);
        grads.finish();
        let wide: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
        let run = |w: &[f64]| {
            let h = plain::hidden(&s, &layout, w, &c.ids, &c.starts);
            let z: Vec<f64> =
                positions.iter().flat_map(|&p| plain::logits(&layout, w, &h[p as usize])).collect();
            (h.concat(), z)
        };
        let (_, z) = run(&wide);
        assert!(logits.iter().zip(&z).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-5));
        let dot = |x: &[f64], d: &[f32]| -> f64 { x.iter().zip(d).map(|(x, d)| x * f64::from(*d)).sum() };
        check_slopes(&s, &layout, &wide, grads.flat(), |w| {
            let (h, z) = run(w);
            dot(&h, &dhidden) + dot(&z, &dlogits)
        });
    }
}
