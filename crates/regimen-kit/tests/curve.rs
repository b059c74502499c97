//! Twenty training steps beside PyTorch's own (`fixtures/curve`): losses, gradient norms, and the weights at the end.

use std::fs;
use std::path::Path;

use regimen_core::optimizer::{Optimizer, StepCx};
use regimen_kit::optimizer::AdamW;
use regimen_nn::{Arch, Device, Inputs, Net, Pick, Taps, Tokens, Want, build, hf};
use safetensors::SafeTensors;
use serde_json::Value;

const ROWS: usize = 4;
const TOKENS: usize = 25;
const VOCAB: u64 = 37;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn net() -> Box<dyn Net> {
    let config = String::from_utf8(fixture("decoder/llama-gqa/config.json")).expect("text");
    let shape = hf::read_config(&config).expect("a config").shape;
    let mut net = build(&Arch::Decoder(shape), &Device::cpu()).expect("a net");
    let shape = net.arch().decoder().expect("a decoder").clone();
    let family = hf::Family::of(&shape);
    let weights = fixture("decoder/llama-gqa/model.safetensors");
    hf::read_weights(&weights, family, &shape, net.params_mut()).expect("weights");
    net
}

/// The script's own rows: a linear congruential generator, 25 tokens a row, the last of each only a target.
fn rows(step: u64) -> (Vec<u32>, Vec<u32>, Vec<Pick>) {
    let mut x = 1_234_567 + step * 1_000_003;
    let mut draw = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((x >> 33) % VOCAB) as u32
    };
    let (mut ids, mut starts, mut picks) = (Vec::new(), vec![0], Vec::new());
    for _ in 0..ROWS {
        let row: Vec<u32> = (0..TOKENS).map(|_| draw()).collect();
        for pair in row.windows(2) {
            picks.push(Pick { position: ids.len() as u32, target: pair[1] });
            ids.push(pair[0]);
        }
        starts.push(ids.len() as u32);
    }
    (ids, starts, picks)
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: {ours} is not {theirs}");
}

#[test]
fn twenty_steps_as_in_pytorch() {
    let file: Value = serde_json::from_slice(&fixture("curve/llama-gqa.json")).expect("JSON");
    let settings = &file["settings"];
    let number = |key: &str| settings[key].as_f64().expect("a number");
    let betas = (settings["betas"][0].as_f64().expect("beta"), settings["betas"][1].as_f64().expect("beta"));
    let curve = |name: &str, step: usize| file["float64"][name][step].as_f64().expect("a number");
    let mut net = net();
    let mut adamw = AdamW::new(betas, number("eps"), number("weight_decay"), false, vec![]);
    adamw.attach(net.params());
    for step in 0..settings["steps"].as_u64().expect("steps") as usize {
        let (ids, starts, picks) = rows(step as u64);
        let tokens = Tokens { ids: &ids, starts: &starts, picks: &picks, temperature: 1.0 };
        net.zero_grads();
        let out = net.forward(&Inputs::Tokens(tokens), Want::training(), &mut Taps::none()).expect("a pass");
        let loss = out.logp.mean().neg();
        let value = f64::from(loss.clone().into_scalar::<f32>());
        net.backward(&mut loss.backward()).expect("gradients");
        net.finish_grads();
        let norm = regimen_kernels::global_norm(net.grads());
        close(&format!("loss {step}"), value, curve("loss", step), 5e-6);
        close(&format!("norm {step}"), norm, curve("grad_norm", step), 2e-5);
        let scale = f64::min(1.0, number("max_grad_norm") / norm);
        let (params, grads) = net.params_and_grads();
        adamw.step(params, grads, StepCx { lr: curve("lr", step), scale });
    }
    let bytes = fixture("curve/llama-gqa.safetensors");
    let after = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut largest = 0.0f32;
    for entry in net.params().layout().entries() {
        let theirs = after.tensor(&entry.path).unwrap_or_else(|_| panic!("no tensor {}", entry.path));
        let theirs = theirs.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        for (ours, theirs) in net.params().flat()[entry.range.clone()].iter().zip(theirs) {
            largest = largest.max((ours - theirs).abs());
        }
    }
    // the weights moved by up to 3e-2
    assert!(largest < 2e-4, "weights differ by {largest}");
}
