//! The architectures of Hugging Face checkpoints: one file a family, which says how its `config.json` and its tensors'
//! names are those of a [`Shape`].

mod arcee;
mod gpt2;
mod gpt_neox;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;
mod regimen;

use regimen_base::Result;
use regimen_kernels::{Layout, Shape};

use super::config::{File, Keys};
use super::stored::Stored;

/// One architecture.
pub struct Family {
    /// `model_type` of `config.json`.
    pub model_type: &'static str,
    /// The class of `transformers`.
    pub class: &'static str,
    /// Reads the shape from `config.json`.
    pub(super) read: fn(&File) -> Result<Shape>,
    /// Writes `config.json`'s keys for a shape that the family expresses.
    pub(super) write: fn(&Shape, &mut Keys),
    /// Whether it computes exactly what the shape says.
    pub(super) expresses: fn(&Shape) -> bool,
    /// The tensors of its files.
    pub(super) tensors: fn(&Shape) -> Vec<Stored>,
    /// What the names lack when only the model below the head was saved.
    pub(super) prefix: &'static str,
    /// The head's and the embedding's name: some files hold a tied head as well.
    pub(super) head: [&'static str; 2],
}

/// All families. Where several express a shape, the first is written.
pub(super) static FAMILIES: [&Family; 8] = [
    &llama::FAMILY,
    &mistral::FAMILY,
    &qwen2::FAMILY,
    &qwen3::FAMILY,
    &arcee::FAMILY,
    &gpt2::FAMILY,
    &gpt_neox::FAMILY,
    &regimen::FAMILY,
];

impl Family {
    /// The family with this `model_type`.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        FAMILIES.into_iter().find(|family| family.model_type == model_type)
    }

    /// The first family that expresses `shape`; `regimen` expresses all.
    pub fn of(shape: &Shape) -> &'static Self {
        FAMILIES.into_iter().find(|family| (family.expresses)(shape)).unwrap_or(&regimen::FAMILY)
    }

    /// This family, or another one where it cannot express `shape`.
    pub fn or_other(&'static self, shape: &Shape) -> &'static Self {
        if (self.expresses)(shape) { self } else { Self::of(shape) }
    }

    /// The tensors of a checkpoint of this family, and the parameters they are made of.
    pub fn stored(&self, shape: &Shape) -> Vec<Stored> {
        (self.tensors)(shape)
    }

    /// Whether tensors are named and cut as in Llama, so that every projection is one of its own.
    pub fn is_llama_like(&self, shape: &Shape) -> bool {
        (self.tensors)(shape).iter().all(Stored::is_plain)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.model_type == other.model_type
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.model_type)
    }
}

/// What an error names as the remedy.
pub(super) fn supported() -> String {
    let classes: Vec<&str> = FAMILIES[..7].iter().map(|family| family.class).collect();
    format!("supported architectures: {}", classes.join(", "))
}

/// Llama's names are those of the layout.
fn llama_tensors(shape: &Shape) -> Vec<Stored> {
    let base = Layout::new(&Shape { lora: None, ..shape.clone() });
    base.entries.into_iter().map(Stored::plain).collect()
}

const LLAMA_HEAD: [&str; 2] = ["lm_head.weight", "model.embed_tokens.weight"];
