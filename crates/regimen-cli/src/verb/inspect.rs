//! `regimen inspect CKPT`: architecture, tensors and whether their numbers are sound; of checkpoints, PEFT folders and
//! GGUF files.

use std::collections::BTreeMap;
use std::io::Write;

use regimen_base::{Error, Exit, Result};
use regimen_core::model::{Folder, Outline, Written};
use regimen_core::run::digest;
use regimen_nn::gguf::Gguf;
use regimen_nn::hf::{Found, TensorFile};
use regimen_nn::{Arch, Elementwise};
use serde_json::{Value, json};

use crate::failure::{Outcome, Stop};
use crate::table::Table;
use crate::target::{Named, Target};
use crate::{number, out};

#[derive(clap::Args)]
#[command(
    after_help = "Every digest is compared with what was saved. Ends with exit code 4 when a weight is not a finite number."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        let target = self.named.find()?;
        let folder = target.folder().display().to_string();
        let weights = target.weights().map_err(|e| e.within(folder.clone()))?;
        let mut tensors = Vec::new();
        for (name, bytes) in &weights {
            tensors.extend(tensors_of(bytes).map_err(|e| e.within(name.clone()).within(folder.clone()))?);
        }
        let mut out = out::open();
        if self.json {
            writeln!(out, "{:#}", as_json(&target, &weights, &tensors)?)?;
        } else {
            write!(out, "{}{}", about(&target, &weights, &tensors)?, table(&tensors))?;
        }
        out.flush()?;
        match tensors.iter().find(|t| t.broken > 0) {
            Some(tensor) => Err(Stop::from(
                Error::new(
                    Exit::Data,
                    format!(
                        "{folder}: {} of {} numbers of `{}` are not finite",
                        tensor.broken, tensor.len, tensor.name
                    ),
                )
                .remedy(
                    "go back to an earlier checkpoint (`--step`), and lower `lr` or lengthen the warm-up",
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Files of weights, by name.
type Weights = [(String, Vec<u8>)];

/// The tensors of a safetensors or a GGUF file.
fn tensors_of(bytes: &[u8]) -> Result<Vec<Tensor>> {
    if !bytes.starts_with(b"GGUF") {
        let file = TensorFile::read(bytes)?;
        let one = |(name, found): (&String, &Found)| {
            Tensor::of(name, &format!("{:?}", found.dtype), &found.shape, found.to_f32())
        };
        return Ok(file.tensors().iter().map(one).collect());
    }
    let file = Gguf::read(bytes)?;
    let one = |(name, found): (&String, &regimen_nn::gguf::Tensor)| {
        let kind = found.kind().map_or_else(|| format!("type {}", found.type_id), |kind| format!("{kind:?}"));
        Tensor::of(name, &kind, &found.shape, found.to_f32().ok())
    };
    Ok(file.tensors().iter().map(one).collect())
}

/// What is known of one tensor.
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    len: usize,
    /// Root of the mean square.
    rms: f64,
    largest: f64,
    /// Numbers that are not finite.
    broken: usize,
    /// Whether the numbers could be read.
    readable: bool,
}

impl Tensor {
    fn of(name: &str, dtype: &str, shape: &[usize], values: Option<Vec<f32>>) -> Self {
        let readable = values.is_some();
        let values = values.unwrap_or_default();
        let finite = || values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v));
        let n = finite().count();
        Self {
            name: name.to_owned(),
            dtype: dtype.to_lowercase(),
            shape: shape.to_vec(),
            len: shape.iter().product(),
            rms: (finite().map(|v| v * v).sum::<f64>() / n.max(1) as f64).sqrt(),
            largest: finite().map(f64::abs).fold(0.0, f64::max),
            broken: values.len() - n,
            readable,
        }
    }

    fn shape(&self) -> String {
        self.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
    }
}

/// The numbers of all tensors together, the length of the vector they make, and how many are not finite.
fn together(tensors: &[Tensor]) -> (usize, f64, usize) {
    let square: f64 = tensors.iter().map(|t| t.rms * t.rms * t.len as f64).sum();
    (tensors.iter().map(|t| t.len).sum(), square.sqrt(), tensors.iter().map(|t| t.broken).sum())
}

fn about(target: &Target, weights: &Weights, tensors: &[Tensor]) -> Result<String> {
    let (len, norm, broken) = together(tensors);
    let mut lines = vec![("checkpoint", target.folder().display().to_string())];
    if let Some(checkpoint) = target.checkpoint() {
        let end = if checkpoint.is_last() { ", the stage's last" } else { "" };
        lines.push(("stage", format!("{}, step {}{end}", checkpoint.stage(), checkpoint.step())));
        lines.push((
            "digests",
            format!("{} compared, all equal", number::plural(checkpoint.files().count(), "file")),
        ));
    } else {
        lines.push(("digests", "none: it was not written by regimen".to_owned()));
    }
    lines.extend(architecture(&target.outline()?));
    lines.push((
        "weights",
        format!(
            "{} numbers in {}, {}",
            number::count(len as f64),
            number::plural(tensors.len(), "tensor"),
            number::bytes(weights.iter().map(|(_, bytes)| bytes.len() as f64).sum())
        ),
    ));
    lines.push(("norm", format!("{norm:.4}")));
    lines.push(("not finite", if broken == 0 { "none".to_owned() } else { broken.to_string() }));
    lines.extend(weights.iter().map(|(name, bytes)| ("digest", format!("{name} {}", digest(bytes)))));
    let lines: Vec<String> = lines.into_iter().map(|(name, value)| format!("{name:<11} {value}")).collect();
    Ok(lines.join("\n") + "\n\n")
}

/// What the net is.
fn architecture(outline: &Outline) -> Vec<(&'static str, String)> {
    match outline {
        Outline::Decoder(written) => decoder(written),
        Outline::Numbers(Arch::Mlp(mlp)) => {
            let sizes: Vec<String> = mlp.chain().sizes.iter().map(usize::to_string).collect();
            let between = if mlp.between == Elementwise::Relu { "ReLU" } else { "nothing" };
            let paths = number::plural(mlp.paths, "path");
            vec![("net", format!("{paths} of dense layers {} with {between} between", sizes.join("-")))]
        }
        Outline::Numbers(Arch::Decoder(_)) => Vec::new(),
    }
}

fn decoder(Written { shape, tokenizer, family }: &Written) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.push(("family", family.class.to_owned()));
    lines.push((
        "decoder",
        format!(
            "{} layers of width {}, {} heads ({} for keys and values) of {}, feed-forward {}, context {}, {} head",
            shape.layers,
            shape.width,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
            shape.ffn,
            shape.max_positions,
            if shape.tied { "tied" } else { "untied" }
        ),
    ));
    let template = if tokenizer.chat_template().is_some() { "with" } else { "without" };
    lines.push(("tokenizer", format!("{} tokens, {template} a chat template", tokenizer.vocab_size())));
    lines
}

fn table(tensors: &[Tensor]) -> String {
    let mut table = Table::new(&["tensor", ">shape", "type", ">rms", ">largest", ">not finite"]);
    for tensor in tensors {
        let number = |x: f64| if tensor.readable { format!("{x:.4}") } else { "?".to_owned() };
        let broken = if tensor.broken == 0 { "-".to_owned() } else { tensor.broken.to_string() };
        table.row([
            tensor.name.clone(),
            tensor.shape(),
            tensor.dtype.clone(),
            number(tensor.rms),
            number(tensor.largest),
            broken,
        ]);
    }
    table.render()
}

fn as_json(target: &Target, weights: &Weights, tensors: &[Tensor]) -> Result<Value> {
    let config: Value = match target.read("config.json") {
        Ok(config) => {
            serde_json::from_slice(&config).map_err(|e| Error::data(format!("config.json: {e}")))?
        }
        Err(_) => Value::Null,
    };
    let digests: BTreeMap<&str, String> =
        weights.iter().map(|(name, bytes)| (name.as_str(), digest(bytes))).collect();
    let (len, norm, broken) = together(tensors);
    let tensor = |t: &Tensor| json!({ "name": t.name, "dtype": t.dtype, "shape": t.shape, "rms": t.rms, "largest": t.largest, "not_finite": t.broken });
    Ok(json!({
        "checkpoint": target.folder(),
        "stage": target.checkpoint().map(|c| c.stage().to_owned()),
        "step": target.checkpoint().map(regimen_core::run::Checkpoint::step),
        "config": config,
        "parameters": len,
        "norm": norm,
        "not_finite": broken,
        "digests": digests,
        "tensors": tensors.iter().map(tensor).collect::<Vec<_>>(),
    }))
}
