//! Optimiser and schedules against PyTorch and transformers (`fixtures/adamw`).

use std::fs;
use std::path::Path;

use regimen_core::optimizer::{Optimizer, StepCx};
use regimen_core::schedule::Schedule;
use regimen_kit::optimizer::AdamW;
use regimen_kit::schedule::{Shape, Shaped, Warmup};
use regimen_nn::{Layout, Params};
use safetensors::SafeTensors;
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/adamw").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const NAMES: [&str; 3] = ["matrix", "bias", "norm"];

fn read(file: &SafeTensors, lead: &str) -> Vec<f32> {
    let one = |name: &str| {
        let tensor =
            file.tensor(&format!("{lead}.{name}")).unwrap_or_else(|_| panic!("no tensor {lead}.{name}"));
        tensor
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect::<Vec<f32>>()
    };
    NAMES.iter().flat_map(|name| one(name)).collect()
}

#[test]
fn ten_steps_as_in_pytorch() {
    let bytes = fixture("adamw.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let settings: Value = serde_json::from_slice(&fixture("adamw.json")).expect("JSON");
    for (name, s) in settings["settings"].as_object().expect("settings") {
        let number = |key: &str| s[key].as_f64();
        let betas = (s["betas"][0].as_f64().expect("a number"), s["betas"][1].as_f64().expect("a number"));
        let layout = Layout::new(
            [("matrix", vec![5, 7]), ("bias", vec![7]), ("norm", vec![3])].map(|(n, s)| (n.to_owned(), s)),
        );
        let mut params = Params::zeros(layout);
        params.flat_mut().copy_from_slice(&read(&file, "start"));
        let mut adamw = AdamW::new(
            betas,
            number("eps").expect("eps"),
            number("weight_decay").expect("decay"),
            false,
            vec![],
        );
        adamw.attach(&params);
        for step in 1..=10 {
            let grads = read(&file, &format!("grad.{step}"));
            let norm = regimen_kernels::global_norm(&grads);
            let scale = match number("max_norm") {
                Some(max) if norm > max => max / norm,
                _ => 1.0,
            };
            adamw.step(&mut params, &grads, StepCx { lr: number("lr").expect("lr"), scale });
            for (i, (a, b)) in params.flat().iter().zip(read(&file, &format!("{name}.{step}"))).enumerate() {
                assert!((a - b).abs() <= 4e-6 * b.abs().max(0.1), "{name}, step {step}, {i}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn its_state_survives_a_save() {
    let layout = Layout::new([("matrix".to_owned(), vec![5, 7]), ("bias".to_owned(), vec![7])]);
    let mut params = Params::zeros(layout);
    let grads: Vec<f32> = (0..42).map(|i| (i as f32).sin()).collect();
    let new = || AdamW::new((0.9, 0.95), 1e-8, 0.1, false, vec![]);
    let mut one = new();
    one.attach(&params);
    one.step(&mut params, &grads, StepCx { lr: 0.1, scale: 1.0 });
    let mut two = new();
    two.load(&params, one.save(&params)).expect("its own state");
    let (mut a, mut b) = (params.clone(), params);
    one.step(&mut a, &grads, StepCx { lr: 0.1, scale: 0.5 });
    two.step(&mut b, &grads, StepCx { lr: 0.1, scale: 0.5 });
    assert_eq!(a.flat(), b.flat());
}

#[test]
fn schedules_as_in_transformers() {
    let file: Value = serde_json::from_slice(&fixture("schedules.json")).expect("JSON");
    let mut checked = 0;
    for (name, case) in file.as_object().expect("cases") {
        let arguments = &case["arguments"];
        let count = |key: &str| arguments[key].as_u64();
        let warmup = Warmup::Steps(count("num_warmup_steps").unwrap_or(0));
        let total = count("num_training_steps").unwrap_or(100);
        let shaped = match name.as_str() {
            "constant" | "constant-with-warmup" => Shaped { warmup, floor: 0.0, shape: Shape::Constant },
            "linear" | "linear-no-warmup" => Shaped { warmup, floor: 0.0, shape: Shape::Linear },
            "cosine" => Shaped { warmup, floor: 0.0, shape: Shape::Cosine },
            "cosine-min" => {
                let floor = arguments["min_lr_rate"].as_f64().expect("a floor");
                Shaped { warmup, floor, shape: Shape::Cosine }
            }
            "wsd-linear-min0.0" => {
                let decay = count("num_decay_steps").expect("a count") as f64;
                let stable = count("num_stable_steps")
                    .or_else(|| Some(total - count("num_warmup_steps")? - decay as u64));
                let whole = count("num_warmup_steps").unwrap_or(0) + stable.expect("a count") + decay as u64;
                let shaped = Shaped { warmup, floor: 0.0, shape: Shape::Wsd { decay: decay / whole as f64 } };
                compare(name, &shaped, whole, case);
                checked += 1;
                continue;
            }
            _ => continue, // other forms of decay, which we do not have
        };
        compare(name, &shaped, total, case);
        checked += 1;
    }
    assert_eq!(checked, 7);
}

fn compare(name: &str, shaped: &Shaped, total: u64, case: &Value) {
    for (step, want) in case["factor"].as_array().expect("factors").iter().enumerate() {
        let (ours, want) = (shaped.factor(step as u64, total), want.as_f64().expect("a number"));
        assert!((ours - want).abs() < 1e-6, "{name} at step {step}: {ours} is not {want}");
    }
}
