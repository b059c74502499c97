//! `regimen inspect CKPT`: architecture, tensors and whether their numbers are sound.

use std::io::Write;

use regimen_base::{Error, Exit, Result};
use regimen_core::run::digest;
use regimen_data::Tokenizer;
use regimen_nn::hf::{self, Found, TensorFile};
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
        let within = |e: Error| e.within(folder.clone());
        let bytes = target.read("model.safetensors").map_err(within)?;
        let file = TensorFile::read(&bytes).map_err(|e| e.within("model.safetensors")).map_err(within)?;
        let tensors: Vec<Tensor> =
            file.tensors().iter().map(|(name, found)| Tensor::of(name, found)).collect();
        let mut out = out::open();
        if self.json {
            writeln!(out, "{:#}", as_json(&target, &bytes, &tensors)?)?;
        } else {
            write!(out, "{}{}", about(&target, &bytes, &tensors)?, table(&tensors))?;
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
    fn of(name: &str, found: &Found) -> Self {
        let values = found.to_f32();
        let readable = values.is_some();
        let values = values.unwrap_or_default();
        let finite = || values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v));
        let n = finite().count();
        Self {
            name: name.to_owned(),
            dtype: format!("{:?}", found.dtype).to_lowercase(),
            shape: found.shape.clone(),
            len: found.shape.iter().product(),
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

fn about(target: &Target, bytes: &[u8], tensors: &[Tensor]) -> Result<String> {
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
    let config = String::from_utf8_lossy(&target.read("config.json")?).into_owned();
    let shape = hf::read_config(&config).map_err(|e| e.within("config.json"))?.shape;
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
    if let Ok(json) = target.read("tokenizer.json") {
        let settings = target.read("tokenizer_config.json").ok();
        let tokenizer =
            Tokenizer::from_json(&json, settings.as_deref()).map_err(|e| e.within("tokenizer.json"))?;
        let template = if tokenizer.chat_template().is_some() { "with" } else { "without" };
        lines.push(("tokenizer", format!("{} tokens, {template} a chat template", tokenizer.vocab_size())));
    }
    lines.push((
        "weights",
        format!(
            "{} numbers in {}, {}",
            number::count(len as f64),
            number::plural(tensors.len(), "tensor"),
            number::bytes(bytes.len() as f64)
        ),
    ));
    lines.push(("norm", format!("{norm:.4}")));
    lines.push(("not finite", if broken == 0 { "none".to_owned() } else { broken.to_string() }));
    lines.push(("digest", digest(bytes)));
    let lines: Vec<String> = lines.into_iter().map(|(name, value)| format!("{name:<11} {value}")).collect();
    Ok(lines.join("\n") + "\n\n")
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

fn as_json(target: &Target, bytes: &[u8], tensors: &[Tensor]) -> Result<Value> {
    let config: Value = serde_json::from_slice(&target.read("config.json")?)
        .map_err(|e| Error::data(format!("config.json: {e}")))?;
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
        "digest": digest(bytes),
        "tensors": tensors.iter().map(tensor).collect::<Vec<_>>(),
    }))
}
