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
