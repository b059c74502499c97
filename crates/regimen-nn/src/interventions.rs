//! Taps on whole nets: looking changes nothing, clamping changes what it says.

use burn::Tensor;

use crate::testing::{Documents, randomise, run, shapes, values};
use crate::{
    Clamp, Device, FusedDecoder, Inputs, Net, PlainDecoder, Rule, Selection, Shape, Taps, Value, Want, sites,
};

fn plain(shape: &Shape) -> PlainDecoder {
    let mut net = PlainDecoder::new(shape, &Device::cpu()).expect("the shape is sound");
    randomise(net.params_mut());
    net
}

fn fused(shape: &Shape) -> FusedDecoder {
    let mut net = FusedDecoder::new(shape).expect("the shape is sound");
    randomise(net.params_mut());
    net
}

fn logp(net: &mut dyn Net, taps: &mut Taps) -> Vec<f32> {
    let documents = Documents::new(37);
    let out = net.forward(&Inputs::Tokens(documents.tokens()), Want::default(), taps);
    values(out.expect("the inputs fit").logp)
}

fn clamp(site: &str, at: Selection, value: Value) -> Taps {
    Taps::new(vec![Rule::Clamp(Clamp { site: site.to_owned(), at, value })])
}

fn head(head: usize) -> Selection {
    Selection { heads: Some(vec![head]), ..Selection::default() }
}

#[test]
fn reading_every_site_changes_no_bit() {
    for shape in shapes() {
        let nets: [Box<dyn Net>; 2] = [Box::new(plain(&shape)), Box::new(fused(&shape))];
        for mut net in nets {
            let documents = Documents::new(shape.vocab);
            let names = sites(&shape);
            let mut taps = Taps::reading(names.iter().map(String::as_str));
            let with = run(&mut *net, &documents.tokens(), &mut taps);
            let without = run(&mut *net, &documents.tokens(), &mut Taps::none());
            assert_eq!((with.logits, with.grads), (without.logits, without.grads));
            assert_eq!(taps.readings().len(), names.len());
        }
    }
}

#[test]
fn clamping_to_what_was_read_changes_nothing() {
    let shape = &shapes()[2];
    let mut net = plain(shape);
    let before = logp(&mut net, &mut Taps::none());
    for site in sites(shape) {
        let mut taps = Taps::reading([site.as_str()]);
        logp(&mut net, &mut taps);
        let reading = taps.readings()[&site].clone();
        let value = Value::Array { shape: reading.shape, values: reading.values };
        assert_eq!(logp(&mut net, &mut clamp(&site, Selection::default(), value)), before, "{site}");
    }
}

/// Ablating a head is the same as setting the columns of the output projection that read it to 0.
#[test]
fn a_head_clamped_to_zero_is_ablated() {
    let shape = &shapes()[0];
    let mut net = plain(shape);
    let clamped = logp(&mut net, &mut clamp("blocks.1.attn.z", head(2), Value::Fill(0.0)));
    let weights =
        net.params_mut().get_mut("model.layers.1.self_attn.o_proj.weight").expect("it has attention");
    for row in weights.chunks_mut(shape.heads * shape.head_dim) {
        row[2 * shape.head_dim..3 * shape.head_dim].fill(0.0);
    }
    let ablated = logp(&mut net, &mut Taps::none());
    for (a, b) in clamped.iter().zip(&ablated) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
    assert_ne!(clamped, logp(&mut plain(shape), &mut Taps::none()));
}

#[test]
fn the_gradient_goes_around_a_clamp() {
    let shape = &shapes()[0];
    let mut net = fused(shape);
    let documents = Documents::new(shape.vocab);
    let mut taps = clamp("blocks.0.attn.z", head(1), Value::Fill(0.5));
    let out = net.forward(&Inputs::Tokens(documents.tokens()), Want::training(), &mut taps).expect("it fits");
    net.backward(&mut out.logp.sum().backward()).expect("a pass is pending");
    net.finish_grads();
    let entry = net.params().layout().find("model.layers.0.self_attn.q_proj.weight").expect("it has queries");
    let rows: Vec<&[f32]> = net.grads()[entry.range.clone()].chunks(shape.head_dim * shape.width).collect();
    let moves: Vec<bool> = rows.iter().map(|row| row.iter().any(|g| *g != 0.0)).collect();
    assert_eq!(moves, [true, false, true, true]);
}

#[test]
fn attention_to_the_token_before() {
    let shape = &shapes()[1];
    let mut net = plain(shape);
    let mut taps = Taps::new(vec![
        Rule::Clamp(Clamp { site: "blocks.0.attn.pattern".to_owned(), at: head(0), value: Value::Back(1) }),
        Rule::Read { site: "blocks.0.attn.v".to_owned() },
        Rule::Read { site: "blocks.0.attn.z".to_owned() },
    ]);
    logp(&mut net, &mut taps);
    let (v, z) = (&taps.readings()["blocks.0.attn.v"], &taps.readings()["blocks.0.attn.z"]);
    let at = |reading: &crate::Reading, document: usize, position: usize| {
        let start = (document * reading.shape[1] + position) * shape.heads * shape.head_dim;
        reading.values[start..start + shape.head_dim].to_vec()
    };
    assert_eq!(at(z, 2, 5), at(v, 2, 4));
    assert_eq!(at(z, 2, 0), at(v, 2, 0));
    assert_eq!((v.axes, v.lengths.as_slice()), ("bthd", &[7, 1, 12][..]));
}

/// What stands right behind an earlier occurrence of a token; other positions keep what they had.
#[test]
fn attention_behind_an_earlier_occurrence() {
    let shape = &shapes()[0];
    let mut net = plain(shape);
    let site = "blocks.1.attn.pattern";
    let ids = [5, 6, 7, 5, 8, 5, 6];
    let picks = [crate::Pick { position: 6, target: 1 }];
    let mut read = |rules: Vec<Rule>| {
        let mut taps = Taps::new(rules);
        let tokens = crate::Tokens { ids: &ids, starts: &[0, 7], picks: &picks, temperature: 1.0 };
        net.forward(&Inputs::Tokens(tokens), Want::default(), &mut taps).expect("it fits");
        taps.readings()[site].values.clone()
    };
    let look = || Rule::Read { site: site.to_owned() };
    let clamp = Clamp { site: site.to_owned(), at: head(1), value: Value::Induction };
    let (free, held) = (read(vec![look()]), read(vec![Rule::Clamp(clamp), look()]));
    let row = |values: &[f32], head: usize, query: usize| values[(head * 7 + query) * 7..][..7].to_vec();
    assert_eq!(row(&held, 1, 3), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(row(&held, 1, 5), [0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0]);
    assert_eq!(row(&held, 1, 6), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    for (head, query) in [(1, 0), (1, 2), (1, 4), (0, 3), (2, 6)] {
        assert_eq!(row(&held, head, query), row(&free, head, query), "head {head}, position {query}");
    }
}

#[test]
fn what_stood_earlier_in_the_pass() {
    let shape = &shapes()[0];
    let mut net = plain(shape);
    let value = Value::Earlier { site: "embed".to_owned(), back: 2 };
    let at = Selection { positions: Some(vec![1, 5]), ..Selection::default() };
    let mut taps = Taps::new(vec![
        Rule::Read { site: "embed".to_owned() },
        Rule::Clamp(Clamp { site: "blocks.0.attn.out".to_owned(), at, value: value.clone() }),
        Rule::Read { site: "blocks.0.attn.out".to_owned() },
    ]);
    logp(&mut net, &mut taps);
    let (embed, out) = (&taps.readings()["embed"], &taps.readings()["blocks.0.attn.out"]);
    let row = |reading: &crate::Reading, position: usize| {
        reading.values[position * shape.width..][..shape.width].to_vec()
    };
    assert_eq!(row(out, 5), row(embed, 3));
    assert_eq!(row(out, 1), vec![0.0; shape.width], "nothing stands before the beginning");
    assert_ne!(row(out, 4), row(embed, 2), "only where it was asked for");
    let later = clamp("embed", Selection::default(), Value::Earlier { site: "final".to_owned(), back: 1 });
    let documents = Documents::new(37);
    let told = net.forward(&Inputs::Tokens(documents.tokens()), Want::default(), &mut { later });
    assert!(told.expect_err("it comes later").what.contains("cannot stand in at `embed`"));
}

/// Logits that are a pattern's attention: their values, and the gradient beside differences.
#[test]
fn attention_becomes_logits() {
    let shape = &shapes()[0];
    let mut net = fused(shape);
    let site = "blocks.1.attn.pattern";
    let documents = Documents::new(shape.vocab);
    let taps = |read: bool| {
        let copied = Value::Copied { site: site.to_owned() };
        let clamp = Clamp { site: "logits".to_owned(), at: Selection::default(), value: copied };
        let read = read.then(|| [site, "logits"].map(|site| Rule::Read { site: site.to_owned() }));
        Taps::new(std::iter::once(Rule::Clamp(clamp)).chain(read.into_iter().flatten()).collect())
    };
    let mut taps_with = taps(true);
    logp(&mut net, &mut taps_with);
    let (pattern, logits) = (&taps_with.readings()[site], &taps_with.readings()["logits"]);
    // the pick at position 13 of all is at place 5 of the third document, which has twelve positions
    let ids = &documents.ids[8..20];
    let mass: f32 = (0..shape.heads)
        .flat_map(|head| (0..12).map(move |key| (head, key)))
        .filter(|(_, key)| ids[*key] == ids[2])
        .map(|(head, key)| pattern.values[((2 * shape.heads + head) * 12 + 5) * 12 + key])
        .sum();
    let expected = (mass / shape.heads as f32 + 1e-4).ln();
    let got = logits.values[5 * shape.vocab + ids[2] as usize];
    assert!((got - expected).abs() < 1e-5, "{got} and {expected}");

    let loss = |net: &mut FusedDecoder| {
        let tokens = documents.tokens();
        net.forward(&Inputs::Tokens(tokens), Want::training(), &mut taps(false)).expect("it fits").logp.sum()
    };
    let total = loss(&mut net);
    net.zero_grads();
    net.backward(&mut total.backward()).expect("a pass is pending");
    net.finish_grads();
    let layout = net.params().layout().clone();
    let place = |path: &str| layout.find(path).expect("it is there").range.clone();
    assert!(net.grads()[place("lm_head.weight")].iter().all(|g| *g == 0.0), "the head has no say");
    for (path, at) in [("model.layers.1.self_attn.q_proj.weight", 40), ("model.embed_tokens.weight", 30)] {
        let at = place(path).start + at;
        let gradient = net.grads()[at];
        let mut moved = |by: f32| {
            net.params_mut().flat_mut()[at] += by;
            let value = values(loss(&mut net))[0];
            net.params_mut().flat_mut()[at] -= by;
            value
        };
        let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!(
            (gradient - difference).abs() < 0.03 * difference.abs().max(0.1),
            "{path}: {gradient} and {difference}"
        );
    }
}

/// A clamp over all positions must not carry the future into the past.
#[test]
fn a_clamped_pattern_stays_causal() {
    let mut net = plain(&shapes()[0]);
    let everywhere = Value::Array { shape: vec![1, 1, 1, 1], values: vec![0.25] };
    let site = "blocks.0.attn.pattern";
    let mut taps = clamp(site, Selection::default(), everywhere);
    let mut documents = Documents::new(37);
    let mut first = |documents: &Documents| {
        let out = net.forward(&Inputs::Tokens(documents.tokens()), Want::default(), &mut taps);
        values(out.expect("it fits").logp)[5]
    };
    let before = first(&documents);
    documents.ids[15..].fill(0); // behind pick 5, which is at position 13
    assert_eq!(first(&documents), before);
}

#[test]
fn an_unknown_site_or_a_misfit_is_told() {
    let nets: [Box<dyn Net>; 2] = [Box::new(plain(&shapes()[0])), Box::new(fused(&shapes()[0]))];
    for mut net in nets {
        let documents = Documents::new(37);
        let mut told = |mut taps: Taps| {
            let out = net.forward(&Inputs::Tokens(documents.tokens()), Want::default(), &mut taps);
            out.expect_err("it does not fit").what
        };
        assert_eq!(told(Taps::reading(["blocks.2.resid.pre"])), "the model has no site `blocks.2.resid.pre`");
        let value = Value::Array { shape: vec![1, 1, 3], values: vec![0.0; 3] };
        assert!(
            told(clamp("final", Selection::default(), value)).contains("cannot stand in for [3, 12, 24]")
        );
    }
}

#[test]
fn outputs_without_gradients_are_constants() {
    let mut net = plain(&shapes()[0]);
    let documents = Documents::new(37);
    let want = Want { hidden: true, ..Want::default() };
    let out = net.forward(&Inputs::Tokens(documents.tokens()), want, &mut Taps::none()).expect("it fits");
    let hidden: Tensor<2> = out.hidden.expect("it was wanted");
    assert!(!hidden.is_autodiff() && !out.logp.is_autodiff());
    assert_eq!(hidden.dims(), [20, 24]);
}
