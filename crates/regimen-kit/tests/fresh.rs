//! How the weights of a fresh model are drawn, as a recipe says it.

mod support;

use regimen_core::build::Builder;
use regimen_nn::Device;
use support::{Folder, resolve};

const RECIPE: &str = r#"
name = "fresh"
tokenizer = "char"
model = { kind = "decoder", width = 64, layers = 1, heads = 2, max-positions = 64 }
[[stage]]
id = "main"
length = "1st"
lr = 1e-3
stream.text.data = "arith"
stream.text.transform = ["chat"]
stream.text.objective = ["cross-entropy"]
"#;

/// The spread of the queries' projection.
fn spread(sets: &[&str]) -> f64 {
    let (resolved, registry, device) = (resolve(RECIPE, sets), regimen_kit::registry(), Device::cpu());
    let builder = Builder { registry: &registry, files: &Folder, device: &device, resolved: &resolved };
    let model = builder.fresh().expect("a model");
    let weights = model.net.params().get("model.layers.0.self_attn.q_proj.weight").expect("it has queries");
    (weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / weights.len() as f64).sqrt()
}

#[test]
fn weights_are_spread_as_the_recipe_says() {
    for (sets, wanted) in [(vec![], 0.02), (vec!["model.init-std=0.125"], 0.125)] {
        let spread = spread(&sets);
        assert!((spread / wanted - 1.0).abs() < 0.05, "{spread} instead of {wanted}");
    }
}
