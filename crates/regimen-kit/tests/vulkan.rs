//! The same recipe on another device: a few steps of SFT and of RL through Vulkan, beside the processor.
//! Needs the feature `vulkan` and a driver; Mesa's runs on the processor.
#![cfg(feature = "vulkan")]

mod support;

use std::path::Path;

use support::{Looker, SMALL, run};

/// Steps of each stage: enough for every kind of term, and for an update between rollouts.
const SHORT: [&str; 4] =
    ["stage.pretrain.length=2st", "stage.sft.length=3st", "stage.rl.length=4st", "stage.sft.eval-every=3st"];

fn run_on(device: &str, path: &Path) -> Looker {
    let device = format!("device={device:?}");
    run(SMALL, &[&SHORT[..], &[device.as_str()]].concat(), &path.join("run"))
}

fn of_stage<'a>(looker: &'a Looker, stage: &str, name: &str) -> Vec<f64> {
    let rows = looker.readings.iter().filter(|(s, ..)| s == stage);
    rows.filter_map(|(_, _, readings)| readings.get(name).copied()).collect()
}

#[test]
fn vulkan_trains_as_the_processor_does() {
    let tmp = tempfile::tempdir().expect("a folder");
    let here = run_on("cpu", &tmp.path().join("cpu"));
    let there = run_on("vulkan", &tmp.path().join("vulkan"));
    for (stage, steps) in [("pretrain", 2), ("sft", 3), ("rl", 4)] {
        for name in ["loss", "grad_norm"] {
            let (a, b) = (of_stage(&here, stage, name), of_stage(&there, stage, name));
            assert_eq!((a.len(), b.len()), (steps, steps), "{stage}: {name}");
            for (step, (a, b)) in a.iter().zip(&b).enumerate() {
                let close = (a - b).abs() <= 1e-4 * a.abs().max(1.0);
                assert!(close, "{stage}, step {step}: {name} is {a} on cpu, {b} on vulkan");
            }
        }
    }
    // the sampler runs on the processor whatever the device is, so here the two differ by rounding, and this is told
    let gaps = of_stage(&there, "rl", "sampling/sampling_logp_difference/max");
    assert_eq!(gaps.len(), 2, "one at each rollout");
    assert!(gaps.iter().all(|&gap| gap < 1e-4), "{gaps:?}");
}
