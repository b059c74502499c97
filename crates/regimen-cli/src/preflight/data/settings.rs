//! Learning rates that are probably a slip of the pen.

use regimen_recipe::{Node, StagePlan, Start};

use super::Findings;

/// The range in which learning rates of AdamW are found in practice, for what is trained.
struct Usual {
    what: &'static str,
    least: f64,
    most: f64,
    like: &'static str,
}

/// A rate far outside of what anybody uses. Other optimisers than AdamW have rates of their own, of which nothing is known.
pub fn learning_rate(stage: &Node, plan: &StagePlan, loaded: bool, findings: &mut Findings) {
    if stage.table("optimizer").kind() != "adamw" {
        return;
    }
    let lr = stage.f64("lr");
    let draws = stage.map("stream").iter().any(|(_, s)| s.opt_table("rollout").is_some());
    let adapter = stage.to_json().get("lora").is_some_and(|a| !a.is_null());
    let fresh = matches!(plan.from, Start::Model) && !loaded;
    let usual = match (loaded || !fresh, draws, adapter) {
        (true, _, true) => Usual { what: "an adapter", least: 1e-6, most: 5e-3, like: "2e-4" },
        (true, true, false) if loaded => {
            Usual { what: "reinforcing a pre-trained model", least: 1e-8, most: 1e-4, like: "1e-6" }
        }
        (true, false, false) if loaded => {
            Usual { what: "fine-tuning a pre-trained model", least: 1e-8, most: 1e-3, like: "2e-5" }
        }
        _ => Usual { what: "a small model", least: 1e-7, most: 5e-2, like: "1e-3" },
    };
    if lr > 0.0 && (usual.least..=usual.most).contains(&lr) {
        return;
    }
    let told = format!(
        "the learning rate {lr:e} is outside of what works for {} ({:e} to {:e})",
        usual.what, usual.least, usual.most
    );
    let remedy = format!("write something like lr = {}", usual.like);
    findings.warning("learning-rate", told, remedy);
}
