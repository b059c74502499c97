//! Both engines against PyTorch's `transformers`, over `fixtures/decoder`.

use std::path::PathBuf;

use burn::{Tensor, TensorData};
use regimen_base::Result;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

use crate::testing::{assert_close, values};
use crate::{Device, FusedDecoder, Inputs, Net, Pick, PlainDecoder, Shape, Taps, Tokens, Want, hf};

/// Checkpoints of families of transformers.
const FAMILIES: [&str; 9] =
    ["llama-gqa", "llama-tied", "llama3", "qwen3", "qwen2", "mistral", "rmsnorm-relu2", "gpt2", "gpt-neox"];
/// And two that none of them expresses.
const OTHERS: [&str; 2] = ["layernorm-gelu", "layernorm-gelu-tanh"];

fn bytes(name: &str, file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/decoder").join(name).join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// No class of `transformers` keeps these LayerNorms as they are, so two files have a private model type.
fn config(name: &str) -> hf::Config {
    let text = String::from_utf8(bytes(name, "config.json")).expect("it is text");
    let text = text
        .replace("plain-decoder", "regimen")
        .replace("\"layernorm\"", "\"layer\"")
        .replace("\"norm_eps\"", "\"rms_norm_eps\"");
    hf::read_config(&text).expect("it is a supported architecture")
}

/// Makes one of the two engines.
type Make = fn(&Shape) -> Result<Box<dyn Net>>;

fn plain(shape: &Shape) -> Result<Box<dyn Net>> {
    Ok(Box::new(PlainDecoder::new(shape, &Device::cpu())?))
}

fn fused(shape: &Shape) -> Result<Box<dyn Net>> {
    Ok(Box::new(FusedDecoder::new(shape)?))
}

fn net(name: &str, make: Make) -> Box<dyn Net> {
    let hf::Config { shape, family, .. } = config(name);
    let mut net = make(&shape).expect("the shape is sound");
    let bytes = bytes(name, "model.safetensors");
    hf::read_weights(&bytes, family, &shape, net.params_mut()).expect("the weights fit");
    net
}

struct Expected<'a>(SafeTensors<'a>);

impl Expected<'_> {
    fn floats(&self, name: &str) -> Vec<f32> {
        let view = self.0.tensor(name).expect("the fixture has it");
        assert_eq!(view.dtype(), Dtype::F32);
        view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn ints(&self, name: &str) -> Vec<i32> {
        let view = self.0.tensor(name).expect("the fixture has it");
        assert_eq!(view.dtype(), Dtype::I32);
        view.data().as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect()
    }

    fn check_gradients(&self, name: &str, net: &dyn Net) {
        let hf::Config { shape, family, .. } = config(name);
        let mut grads = net.params().clone();
        grads.flat_mut().copy_from_slice(net.grads());
        for stored in family.stored(&shape) {
            let wanted = self.floats(&format!("grad.{}", stored.name));
            let grad = stored.gather(&grads);
            assert_close(&format!("{name}: gradient of {}", stored.name), &grad, &wanted, 1e-4);
        }
    }
}

/// What both files say of the documents.
struct Documents {
    ids: Vec<u32>,
    starts: Vec<u32>,
    /// One for each token that has a target.
    picks: Vec<Pick>,
}

impl Documents {
    fn of(expected: &Expected<'_>) -> Self {
        let ids: Vec<u32> = expected.ints("ids").iter().map(|id| *id as u32).collect();
        let mut starts: Vec<u32> = expected.ints("starts").iter().map(|start| *start as u32).collect();
        starts.push(ids.len() as u32);
        let targets = expected.ints("targets");
        let picks = targets.iter().enumerate().filter(|(_, target)| **target >= 0);
        let picks =
            picks.map(|(position, target)| Pick { position: position as u32, target: *target as u32 });
        Self { picks: picks.collect(), ids, starts }
    }

    fn tokens(&self, temperature: f32) -> Tokens<'_> {
        Tokens { ids: &self.ids, starts: &self.starts, picks: &self.picks, temperature }
    }

    fn picked<T: Copy>(&self, rows: &[T], width: usize) -> Vec<T> {
        let row = |pick: &Pick| rows[pick.position as usize * width..][..width].to_vec();
        self.picks.iter().flat_map(row).collect()
    }
}

#[test]
fn the_twin_is_transformers() {
    logits_and_gradients(plain);
    temperature_and_entropy(plain);
}

#[test]
fn the_engine_is_transformers() {
    logits_and_gradients(fused);
    temperature_and_entropy(fused);
}

fn logits_and_gradients(make: Make) {
    for name in FAMILIES.into_iter().chain(OTHERS) {
        let file = bytes(name, "expected.safetensors");
        let expected = Expected(SafeTensors::deserialize(&file).expect("the fixture is whole"));
        let documents = Documents::of(&expected);
        let mut net = net(name, make);
        let want = Want { grad: true, logits: true, ..Want::default() };
        let out = net
            .forward(&Inputs::Tokens(documents.tokens(1.0)), want, &mut Taps::none())
            .expect("the inputs fit");
        let logits = values(out.logits.expect("it was wanted"));
        assert_close(
            &format!("{name}: logits"),
            &logits,
            &documents.picked(&expected.floats("logits"), 37),
            1e-4,
        );
        let loss = out.logp.clone().neg().mean();
        assert_close(
            &format!("{name}: logp"),
            &values(out.logp),
            &documents.picked(&expected.floats("logp"), 1),
            2e-5,
        );
        assert_close(&format!("{name}: loss"), &values(loss.clone()), &expected.floats("loss"), 1e-5);
        net.backward(&mut loss.backward()).expect("a pass is pending");
        net.finish_grads();
        expected.check_gradients(name, &*net);
    }
}

fn temperature_and_entropy(make: Make) {
    let file = bytes("llama-gqa", "expected.safetensors");
    let documents = Documents::of(&Expected(SafeTensors::deserialize(&file).expect("the fixture is whole")));
    let file = bytes("llama-gqa", "weighted.safetensors");
    let expected = Expected(SafeTensors::deserialize(&file).expect("the fixture is whole"));
    let mut net = net("llama-gqa", make);
    let tokens = documents.tokens(expected.floats("temperature")[0]);
    let want = Want { grad: true, entropy: true, ..Want::default() };
    let out = net.forward(&Inputs::Tokens(tokens), want, &mut Taps::none()).expect("the inputs fit");
    let entropy = out.entropy.expect("it was wanted");
    let upstream = |name: &str| {
        let picked = documents.picked(&expected.floats(name), 1);
        let count = picked.len();
        Tensor::<1>::from_data(TensorData::new(picked, [count]), &net.device().tensors(false))
    };
    let loss = (out.logp.clone() * upstream("d_logp") + entropy.clone() * upstream("d_entropy")).sum();
    assert_close("logp", &values(out.logp), &documents.picked(&expected.floats("logp"), 1), 2e-5);
    assert_close("entropy", &values(entropy), &documents.picked(&expected.floats("entropy"), 1), 2e-5);
    net.backward(&mut loss.backward()).expect("a pass is pending");
    net.finish_grads();
    expected.check_gradients("llama-gqa", &*net);
}

/// What is written has the names, shapes and numbers of the file that transformers wrote.
#[test]
fn what_is_saved_is_what_was_loaded() {
    for name in FAMILIES {
        let hf::Config { shape, family, .. } = config(name);
        let theirs = bytes(name, "model.safetensors");
        let ours = hf::write_weights(family, &shape, net(name, fused).params());
        let (theirs, ours) = (hf::TensorFile::read(&theirs), hf::TensorFile::read(&ours));
        let (theirs, ours) = (theirs.expect("it is whole"), ours.expect("it was just written"));
        let view = |file: &hf::TensorFile<'_>| -> Vec<_> {
            file.tensors().iter().map(|(n, t)| (n.clone(), t.shape.clone(), t.to_f32())).collect()
        };
        assert!(view(&theirs) == view(&ours), "{name}");
        let again = hf::read_config(&hf::write_config(&config(name)));
        assert_eq!(again, Ok(config(name)), "{name}");
    }
}

/// What our configurations say is what transformers wrote, as far as both say it.
#[test]
fn what_is_configured_is_what_was_loaded() {
    for name in FAMILIES {
        let read = |text: &str| -> Map<String, Value> { serde_json::from_str(text).expect("it is JSON") };
        let theirs = read(&String::from_utf8(bytes(name, "config.json")).expect("it is text"));
        let ours = read(&hf::write_config(&config(name)));
        let shared: Vec<&String> = ours.keys().filter(|key| theirs.contains_key(*key)).collect();
        assert!(shared.len() > 8, "{name}: {shared:?}");
        for key in shared {
            let (a, b) = (&ours[key], &theirs[key]);
            let near = a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-6 * b.abs());
            assert!(a == b || near, "{name}: {key} is {a}, transformers wrote {b}");
        }
    }
}

#[test]
fn greedy_decoding_is_that_of_transformers() {
    for name in FAMILIES {
        let file = bytes(name, "expected.safetensors");
        let expected = Expected(SafeTensors::deserialize(&file).expect("the fixture is whole"));
        let documents = Documents::of(&expected);
        let shape = config(name).shape;
        let layout = regimen_kernels::Layout::new(&shape);
        let mut decoding =
            regimen_kernels::Decoding::new(&shape, &layout, 1, 64).expect("the shape is sound");
        decoding.load(net(name, fused).params().weights());
        decoding.prefill(&[(0, &documents.ids[..documents.starts[1] as usize])]);
        let likeliest = |logits: &[f32]| {
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.expect("there are logits").0 as u32
        };
        let mut next = likeliest(decoding.prompt_logits(0));
        let wanted = expected.ints("greedy");
        for (i, wanted) in wanted.iter().enumerate() {
            assert_eq!(next, *wanted as u32, "{name}: token {i}");
            next = likeliest(decoding.step(&[(0, next)]));
        }
    }
}
