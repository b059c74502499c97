//! Bit-equality across batch splits, threads, instruction sets, limits and decoding.

use super::{Case, DROPOUT, base, case, grads_of, step, variants, weights};
use crate::decoder::{Decoder, Limits, Pick, Rows};
use crate::simd::{Level, best_level, force_level};
use crate::{Decoding, Grads, Half, Layout, Shape, Team, Weights, can_be_half, logprob};

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
        decoder.set_dropout(Some(DROPOUT));
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
            let team = Team::new(threads).unwrap();
            assert!(
                team.install(|| grads_of(&s, &layout, &w, &whole, 1.0)) == want,
                "{s:?}: {threads} threads"
            );
        }
        for level in Level::ALL {
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
        let v = s.vocab;
        // each thread some rows, then all threads each product
        for shared_from in [usize::MAX, 0] {
            let mut dec = Decoding::new(&s, &layout, 5, 40).unwrap();
            dec.shared_from = shared_from;
            dec.load(&w);
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
                    .step(&[
                        (4, doc(0)[18 + t]),
                        (1, doc(2)[16 + t]),
                        (3, doc(0)[18 + t]),
                        (0, doc(1)[1 + t]),
                    ])
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
}

/// Weights whose matrices are numbers of 16 bits; these bits; and the flat vector without them.
fn in_half(half: Half, layout: &Layout, weights: &[f32]) -> (Vec<f32>, Vec<u16>, Vec<f32>) {
    let (mut rounded, mut bits, mut rest) = (weights.to_vec(), Vec::new(), weights.to_vec());
    for e in layout.entries.iter().filter(|e| can_be_half(&e.path, &e.shape)) {
        bits.resize(e.range().end, 0);
        for i in e.range() {
            bits[i] = half.narrow(weights[i]);
            (rounded[i], rest[i]) = (half.widen(bits[i]), f32::NAN);
        }
    }
    (rounded, bits, rest)
}

#[test]
fn matrices_in_16_bits_give_the_bits_of_their_numbers() {
    // deeper than the rows that are widened at once, wider than the panels
    let large = Shape { vocab: 300, width: 288, heads: 2, head_dim: 16, ffn: 530, layers: 1, ..base() };
    for (i, s) in variants().into_iter().chain([large]).enumerate() {
        let layout = Layout::new(&s);
        let half = if i % 2 == 0 { Half::Bf16 } else { Half::F16 };
        let (rounded, bits, rest) = in_half(half, &layout, &weights(&s, &layout));
        let held = Weights::with_half(&rest, half, &bits);
        let c = case(&s, &[5, 17, 1, 40], 3);
        let mut decoder = Decoder::new(&s, &layout).unwrap();
        decoder.set_dropout(Some(DROPOUT));
        let mut grads = Grads::new(&layout);
        let (logp, entropy) = step(&mut decoder, held, &c, 0.9, &mut grads);
        grads.finish();
        assert!((logp, entropy, grads.flat().to_vec()) == grads_of(&s, &layout, &rounded, &c, 0.9), "{s:?}");
        let mut both = [0, 1].map(|_| Decoding::new(&s, &layout, 3, 40).unwrap());
        both[0].load(held);
        // a decoder that had f32 before
        both[1].load(&rounded);
        for level in Level::ALL.into_iter().filter(|level| force_level(*level)) {
            let [a, b] = both.each_mut().map(|dec| {
                (0..3).for_each(|slot| dec.free(slot));
                dec.prefill(&[(0, &c.ids[..1]), (2, &c.ids[5..20])]);
                let prompt = [dec.prompt_logits(0).to_vec(), dec.prompt_logits(2).to_vec()].concat();
                [prompt, dec.step(&[(2, 3), (0, 1)]).to_vec()].concat()
            });
            assert!(a == b, "{s:?} {level:?}");
        }
        force_level(best_level());
        both[1].load(held);
        both[1].prefill(&[(1, &c.ids[5..20])]);
        assert!(both[1].prompt_logits(1) == both[0].prompt_logits(2));
    }
}

#[test]
fn limits_and_long_documents_change_no_bit() {
    let s = Shape {
        vocab: 4200,
        width: 80,
        heads: 2,
        kv_heads: 1,
        head_dim: 64,
        ffn: 100,
        max_positions: 400,
        ..base()
    };
    let layout = Layout::new(&s);
    let w = weights(&s, &layout);
    let c = case(&s, &[130, 300, 14, 1, 15, 129], 21);
    let want = grads_of(&s, &layout, &w, &c, 0.9);
    let mut lent = Vec::new();
    for limits in [
        Limits { logits: 0, logit_chunk: 1, chunk_bytes: 1 },
        Limits { logits: 0, ..Limits::default() },
        Limits { chunk_bytes: 1 << 30, ..Limits::default() },
    ] {
        for threads in [1, 2] {
            let team = Team::new(threads).unwrap();
            let got = team.install(|| {
                let mut decoder = Decoder::new(&s, &layout).unwrap();
                decoder.limits = limits;
                let mut grads = Grads::new(&layout);
                let (logp, entropy) = step(&mut decoder, &w, &c, 0.9, &mut grads);
                lent.push(decoder.picks.logits.len() >= decoder.flow.places.len);
                (logp, entropy, grads.flat().to_vec())
            });
            assert!(got == want, "{limits:?} with {threads} threads");
        }
    }
    assert!(lent.contains(&true) && lent.contains(&false), "chunks lie where the logits were, and elsewhere");
    let mut decoder = Decoder::new(&s, &layout).unwrap();
    let batch = Rows { ids: &c.ids, starts: &c.starts };
    decoder.forward(&w, &batch);
    let hidden = decoder.hidden().to_vec();
    decoder.forward_only(&w, &batch);
    assert!(decoder.hidden() == hidden);
    let position = [c.starts[2] - 1];
    let logits = decoder.logits(&w, &position).to_vec();
    let mut dec = Decoding::new(&s, &layout, 1, 300).unwrap();
    dec.load(&w);
    let prompt = &c.ids[c.starts[1] as usize..c.starts[2] as usize];
    dec.prefill(&[(0, prompt)]);
    assert!(dec.prompt_logits(0) == logits, "a long prompt goes in pieces");
}

#[test]
fn chunks_of_uneven_rows_change_no_bit() {
    let s = base();
    let layout = Layout::new(&s);
    let w = weights(&s, &layout);
    for lengths in [[130u32, 128, 135, 128], [128, 129, 128, 127]] {
        let c = case(&s, &lengths, 41);
        let [one, two] = [1, 2].map(|threads| {
            let mut decoder = Decoder::new(&s, &layout).unwrap();
            decoder.limits = Limits { chunk_bytes: 1, ..Limits::default() };
            let mut grads = Grads::new(&layout);
            Team::new(threads).unwrap().install(|| step(&mut decoder, &w, &c, 0.9, &mut grads));
            assert!(decoder.cut.alone && decoder.cut.chunks.len() > 1);
            grads.flat().to_vec()
        });
        assert!(one == two, "{lengths:?}");
    }
}

#[test]
fn picks_may_come_twice_and_in_any_order() {
    let s = base();
    let layout = Layout::new(&s);
    let w = weights(&s, &layout);
    let mut c = case(&s, &[130, 150, 60], 31);
    let grads =
        |c: &Case, threads| Team::new(threads).unwrap().install(|| grads_of(&s, &layout, &w, c, 0.9).2);
    let once = grads(&c, 1);
    c.picks.reverse();
    c.dlogp.reverse();
    c.dentropy.reverse();
    let turned = grads(&c, 3);
    assert!(turned == grads(&c, 1));
    for gradients in [&mut c.dlogp, &mut c.dentropy] {
        for g in gradients.iter_mut() {
            *g /= 2.0;
        }
        gradients.extend_from_within(..);
    }
    c.picks.extend_from_within(..);
    let twice = grads(&c, 3);
    assert!(twice == grads(&c, 1));
    let most = once.iter().fold(0.0, |m: f32, g| m.max(g.abs()));
    for other in [turned, twice] {
        assert!(once.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-4 * most));
    }
}

#[test]
fn logits_of_fewer_rows_follow_those_of_many() {
    let s = base();
    let layout = Layout::new(&s);
    let w = weights(&s, &layout);
    let c = case(&s, &[9, 20], 8);
    let mut decoder = Decoder::new(&s, &layout).unwrap();
    decoder.forward_only(&w, &Rows { ids: &c.ids, starts: &c.starts });
    let all = decoder.logits(&w, &[3, 1, 28]).to_vec();
    assert!(decoder.logits(&w, &[28]) == &all[2 * s.vocab..]);
}

#[test]
fn checkpointing_changes_no_bit_and_keeps_less() {
    for s in variants().into_iter().map(|s| Shape { layers: 3, ..s }) {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[5, 17, 1, 40, 12], 5);
        let run = |checkpointing: bool| {
            let mut decoder = Decoder::new(&s, &layout).unwrap();
            decoder.set_dropout(Some(DROPOUT));
            decoder.set_checkpointing(checkpointing);
            let mut grads = Grads::new(&layout);
            let (logp, entropy) = step(&mut decoder, &w, &c, 0.9, &mut grads);
            // and once more into the same buffers
            step(&mut decoder, &w, &c, 0.9, &mut grads);
            grads.finish();
            (logp, entropy, grads.flat().to_vec(), decoder.kept.qkv.len())
        };
        let (whole, again) = (run(false), run(true));
        assert!((&whole.0, &whole.1) == (&again.0, &again.1) && whole.2 == again.2, "{s:?}");
        assert_eq!(whole.3, 3 * again.3, "{s:?}");
    }
}

#[test]
fn frozen_entries_get_nothing_and_change_nothing_else() {
    for s in variants() {
        let layout = Layout::new(&s);
        let w = weights(&s, &layout);
        let c = case(&s, &[9, 20], 8);
        let all = grads_of(&s, &layout, &w, &c, 1.0).2;
        for every in [2, 3] {
            let frozen: Vec<bool> = (0..layout.entries.len()).map(|i| i % every == 1).collect();
            let mut decoder = Decoder::new(&s, &layout).unwrap();
            decoder.set_frozen(&frozen);
            decoder.set_dropout(Some(DROPOUT));
            let mut grads = Grads::new(&layout);
            step(&mut decoder, &w, &c, 1.0, &mut grads);
            grads.finish();
            for (e, frozen) in layout.entries.iter().zip(&frozen) {
                let (got, want) = (&grads.flat()[e.range()], &all[e.range()]);
                let right = if *frozen { got.iter().all(|g| *g == 0.0) } else { got == want };
                assert!(right, "{s:?}: {} frozen {frozen}", e.path);
            }
        }
    }
}
