//! The recipe's tokenizer, and the model that a stage begins with.

use regimen_base::{Key, Result};
use regimen_data::Tokenizer;
use regimen_nn::hf::{all_names, parse_targets};
use regimen_nn::{Half, Lora, build as build_net};
use regimen_recipe::{Node, Room};

use super::Builder;
use crate::model::Model;
use crate::registry::{BuildCx, Material, build};

/// Bytes of each data set that a tokenizer is trained on.
const TOKENIZER_BYTES: usize = 256 << 20;

impl Builder<'_> {
    /// Trains or loads the recipe's tokenizer.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let node = self.resolved.root().table("tokenizer");
        let make = build(&self.registry.tokenizer, node, &BuildCx::default())?;
        let material = if make.reads_texts() { self.material()? } else { Material::default() };
        make.make(&material, self.files)
    }

    /// What the recipe's tasks and files are written in.
    fn material(&self) -> Result<Material> {
        let mut material = Material::default();
        for stage in self.resolved.stages() {
            let evals = stage.opt_table("eval").into_iter();
            let streams = if stage.kind() == "train" { stage.map("stream") } else { Vec::new() };
            for holder in streams.iter().map(|(_, node)| *node).chain(evals) {
                for data in holder.list("data") {
                    if data.room() == Some(Room::Task) {
                        material
                            .alphabet
                            .push_str(&build(&self.registry.task, data, &BuildCx::default())?.alphabet());
                    } else {
                        let set = build(&self.registry.data, data, &BuildCx::default())?;
                        material.texts.extend(set.open(0, self.files)?.texts(TOKENIZER_BYTES)?);
                    }
                }
            }
        }
        Ok(material)
    }

    /// A net of random weights, as the recipe's `[model]` describes it.
    pub fn fresh(&self) -> Result<Model> {
        let node = self.resolved.root().table("model");
        let arch = build(&self.registry.arch, node, &BuildCx::default())?;
        let tokenizer = arch.reads_tokens().then(|| self.tokenizer()).transpose()?;
        let mut net =
            build_net(&arch.arch(tokenizer.as_ref().map_or(0, Tokenizer::vocab_size)), self.device)?;
        arch.init(net.params_mut(), Key::new(self.seed()).child("init"));
        Ok(Model::new(net, tokenizer))
    }

    /// What the matrices of models that are read from files are held in, when not in f32.
    pub fn half(&self) -> Option<Half> {
        let model = self.resolved.root().opt_table("model").filter(|model| model.kind().is_empty())?;
        match model.str("dtype") {
            "bf16" => Some(Half::Bf16),
            "f16" => Some(Half::F16),
            _ => None,
        }
    }

    /// The stage's policy with the adapters that its `lora` asks for, or as it is.
    ///
    /// # Errors
    /// When a target is none of the model's projections.
    pub fn adapted(&self, node: &Node, policy: Model) -> Result<Model> {
        let Some(table) = node.opt_table("lora") else { return Ok(policy) };
        let shape = policy.shape()?;
        let targets = parse_targets(&table.strs("targets"), shape).map_err(|name| {
            table
                .error(format!("the model has no projection `{name}`"))
                .remedy(format!("projections that it has: {}", all_names(shape)))
        })?;
        let dropout = table.f32("dropout");
        if dropout > 0.0 && node.map("stream").iter().any(|(_, s)| s.opt_table("rollout").is_some()) {
            return Err(table
                .error("adapters that drop inputs while they train are not the policy that draws the completions")
                .remedy("leave `dropout` out where a stream has a rollout"));
        }
        let (rank, alpha, rslora) = (table.usize("r"), table.f32("alpha"), table.bool("rslora"));
        let lora = Lora { rank, alpha, rslora, dropout, targets };
        policy.with_adapters(lora, self.stage_key(node.str("id")).child("lora"))
    }
}
