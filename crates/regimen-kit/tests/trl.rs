//! Objectives against TRL's own code: values and gradients on fixed tensors (`fixtures/objectives`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::Tensor;
use regimen_core::objective::{LossCx, Objective};
use regimen_core::{Picks, Reduce, Side};
use regimen_kit::advantage::GroupRelative;
use regimen_kit::objective::{CrossEntropy, Dpo, Estimator, Grpo, Kl, Loss, Ratio};
use regimen_nn::{Device, Outputs, Pick};
use safetensors::SafeTensors;
use serde_json::Value;

const ROWS: usize = 8;
const LENGTH: usize = 12;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).expect("JSON")
}

struct Tensors(Vec<u8>);

impl Tensors {
    fn get(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).expect("safetensors");
        let tensor = file.tensor(name).unwrap_or_else(|_| panic!("no tensor {name}"));
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

/// The places where the mask is 1, with all that the fixture says of them; `at[i]` is the flat index of pick i.
struct Case {
    picks: Picks,
    at: Vec<usize>,
}

impl Case {
    fn new(mask: &[f32], sampled: &[f32], advantages: &[f32]) -> Self {
        let at: Vec<usize> = (0..ROWS * LENGTH).filter(|&i| mask[i] != 0.0).collect();
        let picks = Picks {
            picks: at.iter().map(|&i| Pick { position: i as u32, target: 0 }).collect(),
            unit: at.iter().map(|&i| (i / LENGTH) as u32).collect(),
            weight: vec![1.0; at.len()],
            sampled: at.iter().map(|&i| sampled[i]).collect(),
            drawn: vec![true; at.len()],
            advantage: at.iter().map(|&i| Some(advantages[i / LENGTH])).collect(),
            sides: vec![None; ROWS],
            ..Picks::default()
        };
        Self { picks, at }
    }

    /// Loss and gradient (back on the grid) of a sum of objectives.
    fn loss(
        &self,
        logp: &[f32],
        reference: &[f32],
        terms: &[(&dyn Objective, f64)],
        reduce: Reduce,
    ) -> (f64, Vec<f32>, BTreeMap<String, f64>) {
        let device = Device::cpu();
        let pick = |values: &[f32]| self.at.iter().map(|&i| values[i]).collect::<Vec<f32>>();
        let leaf = |values: Vec<f32>, grad| {
            let n = values.len();
            Tensor::<1>::from_data(burn::TensorData::new(values, [n]), &device.tensors(grad))
        };
        let policy = leaf(pick(logp), true).require_grad();
        let outputs =
            Outputs { logp: policy.clone(), entropy: None, logits: None, hidden: None, values: None };
        let others = BTreeMap::from([("reference".to_owned(), leaf(pick(reference), false))]);
        let cx = LossCx { picks: &self.picks, policy: &outputs, others: &others, device: &device };
        let mut total: Option<Tensor<1>> = None;
        let mut readings = regimen_core::objective::Readings::default();
        for (objective, coef) in terms {
            let rows = objective.rows(&self.picks);
            let factors = reduce.factors(&rows.weight, &rows.unit, rows.units);
            let term = objective.term(&cx).expect("a term");
            for reading in term.readings {
                readings.add(reading);
            }
            let scaled = factors.iter().map(|&f| (f64::from(f) * coef) as f32).collect();
            let loss = (term.value * cx.constant(scaled)).sum();
            total = Some(match total {
                Some(sum) => sum + loss,
                None => loss,
            });
        }
        let total = total.expect("a term");
        let value = f64::from(total.clone().into_scalar::<f32>());
        let mut gradients = total.backward();
        let gradient = policy.grad_remove(&mut gradients).expect("a gradient");
        let gradient = gradient.into_data().try_into_vec::<f32>().expect("f32");
        let mut grid = vec![0.0; ROWS * LENGTH];
        for (&i, g) in self.at.iter().zip(gradient) {
            grid[i] = g;
        }
        (value, grid, readings.values())
    }
}

fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {a} is not {b}");
}

#[test]
fn grpo_and_its_variants() {
    let tensors = Tensors(fixture("objectives/grpo.safetensors"));
    let file = json("objectives/grpo.json");
    let longest = file["max_completion_length"].as_f64().expect("a number");
    let (logp, reference, advantages) =
        (tensors.get("logp"), tensors.get("ref_logp"), tensors.get("advantages"));
    let mut checked = 0;
    for (name, case) in file["cases"].as_object().expect("cases") {
        let s = &case["settings"];
        let reduce = match s["loss_type"].as_str().expect("a name") {
            "grpo" => Reduce::PerUnit,
            "dapo" | "bnpo" => Reduce::PerToken,
            "dr_grpo" => Reduce::Constant(longest),
            _ => continue,
        };
        let plain = s["delta"].is_null()
            && s["entropy_coef"] == 0.0
            && s["bias_correction_kl"] == false
            && s["top_entropy_quantile"] == 1.0;
        if !plain {
            continue;
        }
        let input = |key: &str| tensors.get(case["inputs"][key].as_str().expect("a name"));
        let sequence = s["importance_sampling_level"] == "sequence";
        let grpo = Grpo {
            clip: s["epsilon_low"].as_f64().expect("a number"),
            clip_high: s["epsilon_high"].as_f64().expect("a number"),
            ratio: if sequence { Ratio::Sequence } else { Ratio::Token },
        };
        let kl = Kl { to: "reference".to_owned(), estimator: Estimator::K3 };
        let beta = s["beta"].as_f64().expect("a number");
        let mut terms: Vec<(&dyn Objective, f64)> = vec![(&grpo, 1.0)];
        if beta != 0.0 {
            terms.push((&kl, beta));
        }
        let case_data = Case::new(&input("mask"), &input("old_logp"), &advantages);
        let (loss, gradient, readings) = case_data.loss(&logp, &reference, &terms, reduce);
        close(&format!("{name}: loss"), loss, case["loss"].as_f64().expect("a number"), 2e-6);
        for (i, (a, b)) in gradient.iter().zip(tensors.get(&format!("{name}.grad"))).enumerate() {
            close(&format!("{name}: gradient {i}"), f64::from(*a), f64::from(b), 2e-6);
        }
        if beta != 0.0 && !name.contains("empty") {
            close(
                &format!("{name}: kl"),
                readings["kl"],
                case["metrics"]["kl"].as_f64().expect("a number"),
                1e-5,
            );
        }
        if !sequence {
            for metric in ["clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"] {
                close(
                    &format!("{name}: {metric}"),
                    readings[metric],
                    case["metrics"][metric].as_f64().expect("a number"),
                    1e-6,
                );
            }
        }
        checked += 1;
    }
    assert!(checked >= 32, "only {checked} cases apply");
}

#[test]
fn group_relative_advantages() {
    use regimen_core::advantage::Advantage;
    let tensors = Tensors(fixture("objectives/advantages.safetensors"));
    let file = json("objectives/advantages.json");
    let (group, none) =
        (file["group"].as_u64().expect("a count") as usize, file["no_score"].as_f64().expect("a number"));
    let rewards = tensors.get("rewards");
    for (name, std) in [("group", true), ("none", false)] {
        let want = tensors.get(&format!("advantages.{name}"));
        for (g, rewards) in rewards.chunks(group).enumerate() {
            if rewards.iter().any(|&r| f64::from(r) <= none) {
                continue; // a reply without a score: TRL gives it advantage 0, we leave it out
            }
            let rewards: Vec<Option<f64>> = rewards.iter().map(|&r| Some(f64::from(r))).collect();
            let ours = GroupRelative { std, filter: false }.advantages(&rewards);
            for (i, a) in ours.iter().enumerate() {
                close(
                    &format!("{name} {g}/{i}"),
                    a.expect("an advantage"),
                    f64::from(want[g * group + i]),
                    1e-5,
                );
            }
        }
    }
}

#[test]
fn cross_entropy_is_the_mean_over_tokens() {
    let tensors = Tensors(fixture("objectives/sft.safetensors"));
    let (mask, logp) = (tensors.get("mask"), tensors.get("logp"));
    let case = Case::new(&mask, &[0.0; ROWS * LENGTH], &[0.0; ROWS]);
    let (loss, gradient, _) = case.loss(&logp, &logp, &[(&CrossEntropy, 1.0)], Reduce::PerToken);
    close("loss", loss, json("objectives/sft.json")["loss"].as_f64().expect("a number"), 1e-6);
    for (a, b) in gradient.iter().zip(tensors.get("grad_logp")) {
        close("gradient", f64::from(*a), f64::from(b), 1e-6);
    }
}

/// The fixture has all chosen rows first; here each stands before its rejected one.
#[test]
fn dpo_and_its_relatives() {
    let tensors = Tensors(fixture("objectives/dpo.safetensors"));
    let file = json("objectives/dpo.json");
    let interleave = |grid: Vec<f32>| -> Vec<f32> {
        let row = |r: usize| grid[r * LENGTH..(r + 1) * LENGTH].to_vec();
        (0..ROWS / 2).flat_map(|pair| [row(pair), row(pair + ROWS / 2)].concat()).collect()
    };
    let get = |name: &str| interleave(tensors.get(name));
    let mut case_data = Case::new(&get("mask"), &[0.0; ROWS * LENGTH], &[0.0; ROWS]);
    case_data.picks.sides =
        (0..ROWS).map(|r| Some(if r % 2 == 0 { Side::Chosen } else { Side::Rejected })).collect();
    let cases = file["cases"].as_object().expect("cases");
    for (name, case) in cases {
        let s = &case["settings"];
        let loss = match s["loss_types"][0].as_str().expect("a name") {
            "sigmoid" => Loss::Sigmoid,
            "hinge" => Loss::Hinge,
            "ipo" => Loss::Ipo,
            "robust" => Loss::Robust,
            other => panic!("no loss {other}"),
        };
        let number = |key: &str| s[key].as_f64().expect("a number");
        let dpo = Dpo {
            to: "reference".to_owned(),
            beta: number("beta"),
            loss,
            label_smoothing: number("label_smoothing"),
        };
        let (value, gradient, readings) =
            case_data.loss(&get("logp"), &get("ref_logp"), &[(&dpo, 1.0)], Reduce::PerUnit);
        close(&format!("{name}: loss"), value, case["loss"].as_f64().expect("a number"), 2e-6);
        for (i, (a, b)) in gradient.iter().zip(get(&format!("{name}.grad"))).enumerate() {
            close(&format!("{name}: gradient {i}"), f64::from(*a), f64::from(b), 2e-6);
        }
        for (metric, value) in case["metrics"].as_object().expect("metrics") {
            close(&format!("{name}: {metric}"), readings[metric], value.as_f64().expect("a number"), 1e-5);
        }
    }
    assert_eq!(cases.len(), 4);
}
