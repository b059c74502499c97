//! Writing GGUF, version 3.

use regimen_base::{Error, Result};
use regimen_kernels::{Positions, RopeScaling, Rotary};

use super::config::facts;
use super::names::{ARCHITECTURES, stored};
use super::quant::{Kind, quantise};
use super::value::Value;
use crate::hf::Config;
use crate::params::Params;

const ALIGNMENT: usize = 32;

/// How matrices are stored; vectors are always F32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// Half precision.
    F16,
    /// Blocks of 32 numbers of 8 bits with one scale; matrices whose rows are no whole blocks stay F16.
    Q8_0,
}

struct Planned {
    name: String,
    shape: Vec<usize>,
    kind: Kind,
    bytes: Vec<u8>,
}

/// A GGUF file of the weights without adapters. `tokenizer` holds the facts `tokenizer.*`.
///
/// # Errors
/// When llama.cpp has no architecture for the model.
pub fn write(
    config: &Config,
    params: &Params,
    store: Store,
    tokenizer: Vec<(String, Value)>,
) -> Result<Vec<u8>> {
    let Some(mut all) = facts(config) else {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|(_, family)| *family).collect();
        return Err(Error::usage(format!("GGUF has no architecture for `{}`", config.family.model_type))
            .remedy(format!("families that it has: {}", names.join(", "))));
    };
    let file_type = if store == Store::F16 { 1 } else { 7 };
    all.push(("general.file_type".to_owned(), Value::Int(file_type)));
    all.extend(tokenizer);
    let tensors = planned(config, params, store);
    let mut out = Vec::new();
    out.extend(b"GGUF");
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((all.len() as u64).to_le_bytes());
    for (name, value) in &all {
        text(&mut out, name);
        out.extend(type_of(value).to_le_bytes());
        put(&mut out, value);
    }
    let mut offset = 0_usize;
    for tensor in &tensors {
        text(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().rev().for_each(|axis| out.extend((*axis as u64).to_le_bytes()));
        out.extend(tensor.kind.id().to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.bytes.len()).next_multiple_of(ALIGNMENT);
    }
    for tensor in tensors {
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(tensor.bytes);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    Ok(out)
}

fn planned(config: &Config, params: &Params, store: Store) -> Vec<Planned> {
    let mut all = Vec::new();
    for tensor in stored(config, true) {
        let numbers = tensor.gather(params);
        let row = tensor.shape.last().copied().unwrap_or(1);
        let kind = match (tensor.shape.len(), store) {
            (1, _) => Kind::F32,
            (_, Store::Q8_0) if row.is_multiple_of(Kind::Q8_0.block()) => Kind::Q8_0,
            _ => Kind::F16,
        };
        let mut bytes = Vec::with_capacity(numbers.len() / kind.block() * kind.bytes());
        quantise(kind, &numbers, &mut bytes).expect("these formats are written");
        all.push(Planned { name: tensor.name, shape: tensor.shape, kind, bytes });
    }
    all.extend(divisors(config));
    all
}

/// Llama 3's scaling of the rotary frequencies, as the table that llama.cpp reads.
fn divisors(config: &Config) -> Option<Planned> {
    let Positions::Rotary(rotary) = config.shape.positions else { return None };
    let Some(RopeScaling::Llama3 { .. }) = rotary.scaling else { return None };
    let plain = Positions::Rotary(Rotary { scaling: None, ..rotary }).inv_freq(config.shape.head_dim);
    let scaled = config.shape.inv_freq();
    let bytes: Vec<u8> = plain.iter().zip(&scaled).flat_map(|(p, s)| (p / s).to_le_bytes()).collect();
    let name = "rope_freqs.weight".to_owned();
    Some(Planned { name, shape: vec![plain.len()], kind: Kind::F32, bytes })
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Counts are u32 where they fit, as llama.cpp's own converter writes them; in lists they are i32.
fn type_of(value: &Value) -> u32 {
    match value {
        Value::Int(n) if u32::try_from(*n).is_ok() => 4,
        Value::Int(_) => 11,
        Value::Float(_) => 6,
        Value::Bool(_) => 7,
        Value::Text(_) => 8,
        Value::List(_) => 9,
    }
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Int(n) => match u32::try_from(*n) {
            Ok(n) => out.extend(n.to_le_bytes()),
            Err(_) => out.extend(n.to_le_bytes()),
        },
        Value::Float(x) => out.extend((*x as f32).to_le_bytes()),
        Value::Bool(b) => out.push(u8::from(*b)),
        Value::Text(t) => text(out, t),
        Value::List(list) => {
            let kind = match list.first() {
                Some(Value::Int(_)) => 5,
                Some(first) => type_of(first),
                None => 8,
            };
            out.extend(kind.to_le_bytes());
            out.extend((list.len() as u64).to_le_bytes());
            for value in list {
                match value {
                    Value::Int(n) => out.extend((*n as i32).to_le_bytes()),
                    other => put(out, other),
                }
            }
        }
    }
}
