//! The fused engine and the plain twin compute the same, and both compute what they should.

use burn::Tensor;
use regimen_base::{Key, Result};

use crate::testing::{Documents, Ran, assert_close, randomise, run, shapes, values};
use crate::{Device, FusedDecoder, Init, Inputs, Net, PlainDecoder, Shape, Taps, Want, build};

fn nets(shape: &Shape) -> (PlainDecoder, FusedDecoder) {
    let mut plain = PlainDecoder::new(shape, &Device::cpu()).expect("the shape is sound");
    randomise(plain.params_mut());
    let mut fused = FusedDecoder::new(shape).expect("the shape is sound");
    fused.params_mut().flat_mut().copy_from_slice(plain.params().flat());
    (plain, fused)
}

fn compare(name: &str, net: &dyn Net, a: &Ran, b: &Ran) {
    assert_close(&format!("{name}: logp"), &a.logp, &b.logp, 1e-5);
    assert_close(&format!("{name}: entropy"), &a.entropy, &b.entropy, 1e-5);
    assert_close(&format!("{name}: logits"), &a.logits, &b.logits, 1e-5);
    assert_close(&format!("{name}: hidden"), &a.hidden, &b.hidden, 1e-5);
    for entry in net.params().layout().entries() {
        let range = entry.range.clone();
        assert_close(
            &format!("{name}: gradient of {}", entry.path),
            &a.grads[range.clone()],
            &b.grads[range],
            3e-5,
        );
    }
}

#[test]
fn fused_equals_plain_for_every_option() {
    for (i, shape) in shapes().iter().enumerate() {
        let (mut plain, mut fused) = nets(shape);
        let documents = Documents::new(shape.vocab);
        let a = run(&mut fused, &documents.tokens(), &mut Taps::none());
        let b = run(&mut plain, &documents.tokens(), &mut Taps::none());
        compare(&format!("shape {i}"), &plain, &a, &b);
    }
}

#[cfg(feature = "vulkan")]
#[test]
fn vulkan_equals_the_processor() {
    let device = Device::by_name("vulkan").expect("the test needs a vulkan driver");
    for (i, shape) in shapes().iter().enumerate() {
        let (mut plain, _) = nets(shape);
        let mut there = PlainDecoder::new(shape, &device).expect("the shape is sound");
        there.params_mut().flat_mut().copy_from_slice(plain.params().flat());
        let documents = Documents::new(shape.vocab);
        let a = run(&mut there, &documents.tokens(), &mut Taps::none());
        let b = run(&mut plain, &documents.tokens(), &mut Taps::none());
        compare(&format!("shape {i}"), &plain, &a, &b);
    }
}

/// Central differences in a few places of every parameter. The step is large, so the bound is loose; the PyTorch
/// fixtures give the tight one.
#[test]
fn gradients_are_slopes() {
    for shape in shapes() {
        let (mut plain, _) = nets(&shape);
        let documents = Documents::new(shape.vocab);
        let loss = |net: &mut PlainDecoder| -> f64 {
            let out = net.forward(&Inputs::Tokens(documents.tokens()), Want::default(), &mut Taps::none());
            values(out.expect("the inputs fit").logp).iter().map(|v| f64::from(*v)).sum()
        };
        let out = plain.forward(&Inputs::Tokens(documents.tokens()), Want::training(), &mut Taps::none());
        let mut gradients = out.expect("the inputs fit").logp.sum().backward();
        plain.backward(&mut gradients).expect("a pass is pending");
        for entry in plain.params().layout().clone().entries() {
            let at = entry.range.start + Key::new(3).child(&entry.path).rng().index(entry.range.len());
            let (middle, step) = (plain.params().flat()[at], 3e-3_f32);
            plain.params_mut().flat_mut()[at] = middle + step;
            let above = loss(&mut plain);
            plain.params_mut().flat_mut()[at] = middle - step;
            let below = loss(&mut plain);
            plain.params_mut().flat_mut()[at] = middle;
            let (slope, gradient) = ((above - below) / f64::from(2.0 * step), f64::from(plain.grads()[at]));
            assert!(
                (slope - gradient).abs() < 0.02 * gradient.abs() + 0.01,
                "{}: {slope} and {gradient}",
                entry.path
            );
        }
    }
}

fn both(shape: &Shape) -> Vec<Box<dyn Net>> {
    let (plain, fused) = nets(shape);
    vec![Box::new(plain), Box::new(fused)]
}

fn logp(net: &mut dyn Net, documents: &Documents, want: Want) -> Result<Tensor<1>> {
    net.forward(&Inputs::Tokens(documents.tokens()), want, &mut Taps::none()).map(|out| out.logp)
}

#[test]
fn looking_leaves_a_pending_pass_alone() {
    for mut net in both(&shapes()[0]) {
        let documents = Documents::new(37);
        let mut other = Documents::new(37);
        other.ids.reverse();
        let expected = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        net.backward(&mut expected.sum().backward()).expect("a pass is pending");
        net.finish_grads();
        let expected = net.grads().to_vec();
        net.zero_grads();
        let pending = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        let looked = logp(&mut *net, &other, Want::default()).expect("the inputs fit");
        assert!(!looked.is_autodiff());
        net.backward(&mut pending.sum().backward()).expect("a pass is pending");
        net.finish_grads();
        assert_eq!(net.grads(), expected);
    }
}

#[test]
fn a_lost_gradient_is_an_error() {
    for mut net in both(&shapes()[0]) {
        let documents = Documents::new(37);
        let first = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        let second = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        let e =
            net.backward(&mut (first.sum() + second.sum()).backward()).expect_err("the first pass is gone");
        assert!(e.what.contains("two forward passes"));
        let alone = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        assert_eq!(net.backward(&mut alone.sum().backward()), Ok(()));
        let again =
            net.backward(&mut Tensor::<1>::ones([1], &net.device().tensors(true)).require_grad().backward());
        assert!(again.is_err_and(|e| e.what.contains("without a forward pass")));
    }
}

#[test]
fn what_is_frozen_has_no_gradient() {
    for mut net in both(&shapes()[1]) {
        let documents = Documents::new(37);
        net.params_mut().set_train("*", false);
        net.params_mut().set_train("*.mlp.*", true);
        let out = logp(&mut *net, &documents, Want::training()).expect("the inputs fit");
        net.backward(&mut out.sum().backward()).expect("a pass is pending");
        net.finish_grads();
        for entry in net.params().layout().entries() {
            let moves = net.grads()[entry.range.clone()].iter().any(|g| *g != 0.0);
            assert_eq!(moves, net.params().trains(&entry.path), "{}", entry.path);
        }
    }
}

#[test]
fn a_frozen_copy_says_the_same_and_stays() {
    for mut net in both(&shapes()[2]) {
        let documents = Documents::new(37);
        let mut copy = net.frozen_copy();
        assert!(copy.params().train_ranges().is_empty());
        let before = values(logp(&mut *net, &documents, Want::default()).expect("the inputs fit"));
        net.params_mut().flat_mut().fill(0.0);
        assert_eq!(values(logp(&mut *copy, &documents, Want::default()).expect("the inputs fit")), before);
    }
}

/// Batch size and packing do not change a single bit.
#[test]
fn a_document_scores_the_same_alone() {
    let (_, mut fused) = nets(&shapes()[0]);
    let documents = Documents::new(37);
    let together = values(logp(&mut fused, &documents, Want::default()).expect("the inputs fit"));
    let last = &documents.apart()[2];
    let alone = values(logp(&mut fused, last, Want::default()).expect("the inputs fit"));
    assert_eq!(alone, together[together.len() - alone.len()..]);
}

/// One batch of three documents and three micro-batches of one give the same gradient, bit for bit.
#[test]
fn accumulation_is_the_large_batch() {
    fn learn(net: &mut FusedDecoder, batches: &[Documents]) -> Vec<f32> {
        net.zero_grads();
        for documents in batches {
            let logp = logp(net, documents, Want::training()).expect("the inputs fit");
            net.backward(&mut logp.square().sum().backward()).expect("a pass is pending");
        }
        net.finish_grads();
        net.grads().to_vec()
    }
    for shape in shapes() {
        let (_, mut fused) = nets(&shape);
        let whole = Documents::new(37);
        let apart = learn(&mut fused, &whole.apart());
        assert_eq!(learn(&mut fused, &[whole]), apart);
    }
}

#[test]
fn inputs_that_do_not_fit_are_told() {
    for mut net in both(&shapes()[0]) {
        let mut told = |change: fn(&mut Documents)| {
            let mut documents = Documents::new(37);
            change(&mut documents);
            logp(&mut *net, &documents, Want::default()).expect_err("it does not fit").what
        };
        assert_eq!(told(|d| d.ids[3] = 37), "token 37 is outside the vocabulary of 37");
        assert_eq!(told(|d| d.picks[0].target = 99), "token 99 is outside the vocabulary of 37");
        assert!(told(|d| d.picks[0].position = 20).contains("position 20"));
        assert!(told(|d| (d.ids, d.starts) = (vec![], vec![0])).contains("no tokens"));
        assert!(told(|d| d.starts = vec![0, 8, 7, 20]).contains("cannot start"));
        assert!(
            told(|d| (d.ids, d.starts) = (vec![1; 65], vec![0, 65])).contains("a sequence has 65 tokens")
        );
    }
}

/// A reward or value head looks at hidden states and picks nothing.
#[test]
fn nothing_need_be_picked() {
    for mut net in both(&shapes()[0]) {
        let documents = Documents { picks: Vec::new(), ..Documents::new(37) };
        let want = Want { grad: true, hidden: true, ..Want::default() };
        let out = net.forward(&Inputs::Tokens(documents.tokens()), want, &mut Taps::none()).expect("it fits");
        assert_eq!(out.logp.dims(), [0]);
        let hidden = out.hidden.expect("it was wanted");
        net.backward(&mut hidden.square().sum().backward()).expect("a pass is pending");
        net.finish_grads();
        let norm = net.params().layout().find("model.norm.weight").expect("it has one").range.clone();
        assert!(net.grads()[norm].iter().all(|g| *g != 0.0));
    }
}

#[test]
fn an_untrained_net_is_near_chance() {
    let mut net =
        build(&crate::Arch::Decoder(shapes()[0].clone()), &Device::cpu()).expect("the shape is sound");
    let layers = net.arch().decoder().expect("a decoder").layers;
    net.params_mut().init(&Init { residual: Some(layers), ..Init::default() }, Key::new(1));
    let logp = values(logp(&mut *net, &Documents::new(37), Want::default()).expect("the inputs fit"));
    let mean = logp.iter().sum::<f32>() / logp.len() as f32;
    assert!((mean + 37.0_f32.ln()).abs() < 0.05, "{mean}");
}
