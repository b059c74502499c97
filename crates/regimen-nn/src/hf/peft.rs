//! Adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;

use regimen_base::{Error, Result};
use regimen_kernels::{Lora, Projection, Shape, Targets};
use serde_json::{Map, Value, json};

use super::config::pretty;
use super::tensors::{TensorFile, write_tensors};
use super::weights::fits;
use crate::layout::{Entry, Layout};
use crate::params::Params;

/// Before the path of every adapter.
const PREFIX: &str = "base_model.model.";

/// What `adapter_config.json` says.
#[derive(Clone, PartialEq, Debug)]
pub struct AdapterConfig {
    /// The adapters.
    pub lora: Lora,
    /// The model they belong to: a folder, or a name on the hub.
    pub base: Option<String>,
}

/// Reads `adapter_config.json` for a model of this shape (without adapters).
///
/// # Errors
/// When the text is no adapter configuration, asks for something that is not supported (another kind of adapter, DoRA,
/// trained biases, ranks that differ), or targets a module that the model does not have.
pub fn read_adapter_config(text: &str, shape: &Shape) -> Result<AdapterConfig> {
    let file: Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| Error::data(format!("adapter_config.json is not valid: {e}")))?;
    refuse_unsupported(&file)?;
    let number = |key: &str| file.get(key).and_then(Value::as_f64);
    let missing = |key: &str| Error::data(format!("adapter_config.json has no `{key}`"));
    let rank = file.get("r").and_then(Value::as_u64).ok_or_else(|| missing("r"))?;
    let lora = Lora {
        rank: usize::try_from(rank).unwrap_or(usize::MAX).min(1 << 20),
        alpha: number("lora_alpha").ok_or_else(|| missing("lora_alpha"))? as f32,
        rslora: file.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
        dropout: number("lora_dropout").unwrap_or(0.0) as f32,
        targets: targets(file.get("target_modules").unwrap_or(&Value::Null), shape)?,
    };
    let base = file.get("base_model_name_or_path").and_then(Value::as_str).filter(|base| !base.is_empty());
    Ok(AdapterConfig { lora, base: base.map(str::to_owned) })
}

/// What makes an adapter something else.
const MUST_BE_OFF: [&str; 13] = [
    "use_dora",
    "bias",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
    "fan_in_fan_out",
    "lora_bias",
    "trainable_token_indices",
    "target_parameters",
    "exclude_modules",
    "layer_replication",
];

fn refuse_unsupported(file: &Map<String, Value>) -> Result<()> {
    let unsupported = |what: String| {
        Error::data(format!("adapter_config.json asks for {what}, which is not supported"))
            .remedy("adapters that are supported: LoRA and rsLoRA of one rank, without biases; or merge them with PEFT first")
    };
    match file.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        other => {
            return Err(unsupported(format!("the adapter {}", other.unwrap_or("without a `peft_type`"))));
        }
    }
    let off = |v: &Value| match v {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(table) => table.is_empty(),
        Value::String(text) => text == "none" || text.is_empty(),
        _ => false,
    };
    match MUST_BE_OFF.iter().find(|key| file.get(**key).is_some_and(|v| !off(v))) {
        Some(key) => Err(unsupported(format!("`{key}` = {}", file[*key]))),
        None => Ok(()),
    }
}

fn targets(value: &Value, shape: &Shape) -> Result<Targets> {
    let names: Vec<&str> = match value {
        Value::String(one) => vec![one.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    parse_targets(&names, shape).map_err(|name| {
        Error::data(format!("adapter_config.json targets `{name}`, which this model does not have"))
            .remedy(format!("modules that it has: {}", all_names(shape)))
    })
}

/// The projections called by these names; `all-linear` is every one.
///
/// # Errors
/// The first name that no projection of the shape has.
pub fn parse_targets(names: &[&str], shape: &Shape) -> Result<Targets, String> {
    if names == ["all-linear"] {
        return Ok(Projection::ALL.into_iter().filter(|p| shape.has(*p)).collect());
    }
    let find = |name: &&str| {
        let mut all = Projection::ALL.into_iter().filter(|p| shape.has(*p));
        all.find(|p| p.name() == *name).ok_or_else(|| (*name).to_owned())
    };
    names.iter().map(find).collect()
}

/// The names of the projections that adapters can sit on.
pub fn all_names(shape: &Shape) -> String {
    let names = Projection::ALL.into_iter().filter(|p| shape.has(*p)).map(Projection::name);
    names.chain(["all-linear"]).collect::<Vec<_>>().join(", ")
}

/// Writes `adapter_config.json`.
pub fn write_adapter_config(config: &AdapterConfig) -> String {
    let lora = &config.lora;
    let file = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config.base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout.to_string().parse::<f64>().unwrap_or(0.0),
        "use_rslora": lora.rslora,
        "use_dora": false,
        "target_modules": lora.targets.iter().map(Projection::name).collect::<Vec<_>>(),
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "inference_mode": true,
        "modules_to_save": null,
        "rank_pattern": {},
        "alpha_pattern": {},
    });
    match file {
        Value::Object(file) => pretty(file),
        _ => String::new(),
    }
}

fn adapters(layout: &Layout) -> impl Iterator<Item = &Entry> {
    layout.entries().iter().filter(|e| is_adapter(&e.path))
}

/// Whether a parameter belongs to an adapter.
pub fn is_adapter(path: &str) -> bool {
    path.ends_with(".lora_A.weight") || path.ends_with(".lora_B.weight")
}

/// Writes `adapter_model.safetensors`, f32.
pub fn write_adapter(params: &Params) -> Vec<u8> {
    let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let named: Vec<_> = adapters(params.layout()).map(|e| (format!("{PREFIX}{}", e.path), e)).collect();
    let numbers = |e: &Entry| params.full(e.range.clone());
    write_tensors(named.iter().map(|(name, e)| (name.as_str(), e.shape.clone(), numbers(e))), &notes)
}

/// Reads `adapter_model.safetensors` into a net that has these adapters; an error leaves them as they were.
///
/// # Errors
/// Names the tensor that is missing, unknown, of another shape or not finite.
pub fn read_adapter(bytes: &[u8], params: &mut Params) -> Result<()> {
    let file = TensorFile::read(bytes)?;
    let remedy = "check that adapter_config.json and the weights belong together";
    let wrong = |what: String| Error::data(what).remedy(remedy);
    let mut read = Vec::new();
    let mut left = file.tensors().len();
    let layout = params.layout();
    for entry in adapters(layout) {
        let name = format!("{PREFIX}{}", entry.path);
        let found = file.tensors().get(&name);
        let found = found.ok_or_else(|| wrong(format!("tensor `{name}` {:?} is missing", entry.shape)))?;
        if found.shape != entry.shape {
            let (has, wants) = (&found.shape, &entry.shape);
            return Err(wrong(format!("tensor `{name}` has shape {has:?}, the adapter wants {wants:?}")));
        }
        let numbers = found.to_f32();
        let numbers =
            numbers.ok_or_else(|| wrong(format!("tensor `{name}` is of type {:?}", found.dtype)))?;
        fits(&name, &entry.shape, &numbers, None)?;
        read.push((entry.range.clone(), numbers));
        left -= 1;
    }
    if left > 0 {
        let known =
            |name: &&String| name.strip_prefix(PREFIX).is_some_and(|path| layout.find(path).is_some());
        let extra = file.tensors().keys().find(|name| !known(name));
        return Err(wrong(format!("tensor `{}` belongs to no adapter", extra.map_or("", String::as_str))));
    }
    for (range, numbers) in read {
        params.full_mut(range).copy_from_slice(&numbers);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Arch;
    use crate::testing::{randomise, shapes};

    fn with_lora() -> Shape {
        shapes().into_iter().find(|s| s.lora.is_some()).expect("there is one")
    }

    #[test]
    fn adapters_survive_the_round_trip() {
        let shape = with_lora();
        let config = AdapterConfig { lora: shape.lora.expect("it has"), base: Some("org/model".to_owned()) };
        let base = Shape { lora: None, ..shape.clone() };
        assert_eq!(read_adapter_config(&write_adapter_config(&config), &base), Ok(config));
        let mut params = Params::zeros(Arch::Decoder(shape).layout());
        randomise(&mut params);
        let bytes = write_adapter(&params);
        let names: Vec<String> =
            TensorFile::read(&bytes).expect("just written").tensors().keys().cloned().collect();
        assert_eq!(names[0], "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight");
        let mut fresh = params.clone();
        for entry in params.layout().entries().iter().filter(|e| is_adapter(&e.path)) {
            fresh.flat_mut()[entry.range.clone()].fill(0.0);
        }
        read_adapter(&bytes, &mut fresh).expect("just written");
        assert!(fresh == params);
    }

    #[test]
    fn what_is_not_lora_is_refused() {
        let base = Shape { lora: None, ..with_lora() };
        let told = |change: fn(&mut Map<String, Value>)| {
            let config = AdapterConfig { lora: with_lora().lora.expect("it has"), base: None };
            let mut file: Map<String, Value> =
                serde_json::from_str(&write_adapter_config(&config)).expect("just written");
            change(&mut file);
            read_adapter_config(&Value::Object(file).to_string(), &base).expect_err("it is refused").what
        };
        assert!(told(|f| drop(f.insert("use_dora".into(), json!(true)))).contains("`use_dora` = true"));
        assert!(told(|f| drop(f.insert("peft_type".into(), json!("IA3")))).contains("the adapter IA3"));
        assert!(told(|f| drop(f.insert("bias".into(), json!("all")))).contains("`bias`"));
        assert!(
            told(|f| drop(f.insert("target_modules".into(), json!(["c_attn"])))).contains("targets `c_attn`")
        );
        assert!(told(|f| drop(f.remove("r"))).contains("no `r`"));
    }
}
