//! `regimen export RUN|CKPT --to hf|peft|gguf`: writes a model for other programs, reads back what it wrote, and says
//! how far the logits are apart.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use regimen_base::{Error, Result};
use regimen_core::model::{ADAPTER_CONFIG, Model};
use regimen_core::run::Origin;
use regimen_nn::gguf::Store;
use regimen_nn::{Device, Inputs, Pick, Taps, Tokens, Want};

use crate::failure::Outcome;
use crate::number;
use crate::out::tell;
use crate::target::Named;

#[derive(clap::Args)]
#[command(
    after_help = "hf: a folder that transformers loads; adapters become part of the weights. peft: the adapters alone, \
as PEFT keeps them. gguf: one file for llama.cpp. What was written is read again, and the largest difference of the \
logits is told."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// For whom
    #[arg(long, value_name = "FORMAT")]
    to: Format,
    /// The folder, or the .gguf file, that is written; it must not exist
    #[arg(long, short, value_name = "PATH")]
    out: PathBuf,
    /// How GGUF stores matrices
    #[arg(long = "type", value_name = "TYPE", default_value = "f16")]
    store: GgufType,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Hf,
    Peft,
    Gguf,
}

/// Named as in GGUF.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GgufType {
    #[value(name = "f16", alias = "F16")]
    F16,
    #[value(name = "q8_0", alias = "Q8_0")]
    Q8,
}

impl Args {
    pub fn go(self) -> Outcome {
        free(&self.out)?;
        let mut model = self.named.find()?.model(&Device::cpu())?;
        let before = logits(&mut model)?;
        match self.to {
            Format::Hf => write_folder(&self.out, model.merged()?.files())?,
            Format::Peft => write_folder(&self.out, peft(&model)?)?,
            Format::Gguf => {
                let store = if self.store == GgufType::F16 { Store::F16 } else { Store::Q8_0 };
                write_file(&self.out, &model.merged()?.to_gguf(store)?)?;
            }
        }
        report(&self.out, &before)
    }
}

/// The adapters alone, for a model whose projections are called what PEFT expects.
fn peft(model: &Model) -> Result<Vec<(String, Vec<u8>)>> {
    if model.shape()?.lora.is_none() {
        return Err(Error::usage("the model has no adapters, which is all that PEFT keeps")
            .remedy("export --to hf, or train with `lora = { r = 16 }` in the stage"));
    }
    if !model.language()?.family.is_llama_like(model.shape()?) {
        let class = model.language()?.family.class;
        return Err(Error::usage(format!(
            "{class} keeps queries, keys and values in one projection, these adapters do not"
        ))
        .remedy("export --to hf: the adapters become part of the weights"));
    }
    Ok(model.adapter_files())
}

/// Errs when something is where the export is to go.
pub(super) fn free(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    Err(Error::usage(format!("{} exists already", out.display())).remedy("name another place, or remove it"))
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(format!("cannot write {}: {error}", path.display()))
}

/// All files or none: they appear when the last one is written.
pub(super) fn write_folder(out: &Path, files: Vec<(String, Vec<u8>)>) -> Result<()> {
    let temporary = out.with_extension("unfinished");
    fs::create_dir_all(&temporary).map_err(|e| cannot(&temporary, &e))?;
    for (name, bytes) in files {
        let path = temporary.join(name);
        fs::write(&path, bytes).map_err(|e| cannot(&path, &e))?;
    }
    fs::rename(&temporary, out).map_err(|e| cannot(out, &e))
}

fn write_file(out: &Path, bytes: &[u8]) -> Result<()> {
    if out.extension().is_none_or(|e| e != "gguf") {
        return Err(Error::usage(format!("{} does not end in .gguf", out.display())));
    }
    let temporary = out.with_extension("unfinished");
    fs::write(&temporary, bytes).map_err(|e| cannot(&temporary, &e))?;
    fs::rename(&temporary, out).map_err(|e| cannot(out, &e))
}

/// Reads what was written, and says how large it is and how far its logits are from `before`.
pub(super) fn report(out: &Path, before: &[f32]) -> Outcome {
    let origin = Origin::find(&out.to_string_lossy())?;
    if out.join(ADAPTER_CONFIG).is_file() && origin.paths().is_err() {
        tell(&format!(
            "wrote {}; it was not read back, for the model that the adapters belong to is not where they say",
            out.display()
        ));
        return Ok(());
    }
    let mut written = origin.model(&Device::cpu(), None)?;
    let after = logits(&mut written)?;
    let furthest = before.iter().zip(&after).fold(0.0_f32, |far, (a, b)| far.max((a - b).abs()));
    let largest = before.iter().fold(0.0_f32, |far, a| far.max(a.abs()));
    tell(&format!(
        "wrote {} ({}); read back, its logits differ by {furthest:.2e} at the most (the largest is {largest:.1})",
        out.display(),
        number::bytes(size(out) as f64),
    ));
    Ok(())
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let inside: u64 = entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();
    if path.is_dir() { inside } else { fs::metadata(path).map_or(0, |m| m.len()) }
}

/// Logits of a fixed row of tokens that runs through the whole vocabulary.
pub(super) fn logits(model: &mut Model) -> Result<Vec<f32>> {
    let (vocab, context) = (model.shape()?.vocab, model.shape()?.max_positions);
    let length = context.min(32);
    let ids: Vec<u32> = (0..length).map(|i| ((i * 7919 + 13) % vocab) as u32).collect();
    let picks: Vec<Pick> = (0..length as u32).map(|position| Pick { position, target: 0 }).collect();
    let tokens = Tokens { ids: &ids, starts: &[0, length as u32], picks: &picks, temperature: 1.0 };
    let want = Want { logits: true, ..Want::default() };
    let out = model.net.forward(&Inputs::Tokens(tokens), want, &mut Taps::none())?;
    let logits = out.logits.map(|logits| logits.into_data().try_into_vec::<f32>());
    let logits = logits.and_then(std::result::Result::ok);
    logits.ok_or_else(|| Error::failed("the logits cannot be read"))
}
