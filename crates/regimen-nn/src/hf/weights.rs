//! A net's weights ↔ safetensors with Hugging Face's names, strictly.

use std::collections::BTreeMap;

use regimen_base::{Error, Result};

use super::tensors::{Found, TensorFile, write_tensors};
use crate::layout::Entry;
use crate::params::Params;

/// The tied output projection under its own name: some checkpoints store the embedding twice.
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Reads every parameter from a safetensors file (f32, bf16 or f16). `params` is left as it was when anything fails.
///
/// # Errors
/// One message, naming the tensor, when one is missing, unknown, of a wrong shape, of a wrong number format, or holds
/// a NaN or an infinity; and what [`TensorFile::read`] refuses.
pub fn read_weights(bytes: &[u8], params: &mut Params) -> Result<()> {
    let file = TensorFile::read(bytes)?;
    refuse_extra(&file, params)?;
    let mut flat = vec![0.0; params.len()];
    for entry in params.layout().entries() {
        let found = file.tensors().get(&entry.path).ok_or_else(|| missing(entry))?;
        flat[entry.range.clone()].copy_from_slice(&numbers(&entry.path, &entry.shape, found)?);
    }
    check_tied_twin(&file, params, &flat)?;
    params.flat_mut().copy_from_slice(&flat);
    Ok(())
}

/// All parameters as a safetensors file with Hugging Face's names, f32, ordered by name.
pub fn write_weights(params: &Params) -> Vec<u8> {
    // `transformers` refuses files that do not say which framework's axes they follow
    let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let entries = params.layout().entries().iter();
    write_tensors(
        entries.map(|e| (e.path.as_str(), e.shape.clone(), &params.flat()[e.range.clone()])),
        &notes,
    )
}

fn missing(entry: &Entry) -> Error {
    Error::data(format!("tensor `{}` {:?} is missing", entry.path, entry.shape))
        .remedy("check that config.json and the weights belong together")
}

fn refuse_extra(file: &TensorFile<'_>, params: &Params) -> Result<()> {
    let known = |name: &str| {
        params.layout().find(name).is_some()
            || name.ends_with("rotary_emb.inv_freq") // a constant that old checkpoints store
            || (name == HEAD && params.layout().find(EMBEDDING).is_some())
    };
    match file.tensors().keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(Error::data(format!("tensor `{name}` is not part of this architecture"))
            .remedy("check that config.json and the weights belong together")),
    }
}

fn numbers(name: &str, shape: &[usize], found: &Found<'_>) -> Result<Vec<f32>> {
    if found.shape != shape {
        return Err(Error::data(format!(
            "tensor `{name}` has shape {:?}, the architecture wants {shape:?}",
            found.shape
        ))
        .remedy("check that config.json and the weights belong together"));
    }
    let numbers = found.to_f32().ok_or_else(|| {
        Error::data(format!("tensor `{name}` is of type {:?}, not F32, BF16 or F16", found.dtype))
            .remedy("save the checkpoint unquantised")
    })?;
    match numbers.iter().position(|v| !v.is_finite()) {
        None => Ok(numbers),
        Some(at) => {
            Err(Error::data(format!("tensor `{name}` holds {} at {:?}", numbers[at], place(at, shape)))
                .remedy("go back to an earlier checkpoint"))
        }
    }
}

/// The index along each axis of the flat index `at`.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut place: Vec<usize> = shape.iter().rev().map(|axis| (at % axis, at /= axis).0).collect();
    place.reverse();
    place
}

/// With a tied head the file may hold it as well, but then as the same numbers.
fn check_tied_twin(file: &TensorFile<'_>, params: &Params, flat: &[f32]) -> Result<()> {
    let (None, Some(twin), Some(embedding)) =
        (params.layout().find(HEAD), file.tensors().get(HEAD), params.layout().find(EMBEDDING))
    else {
        return Ok(());
    };
    if numbers(HEAD, &embedding.shape, twin)? == flat[embedding.range.clone()] {
        Ok(())
    } else {
        Err(Error::data(format!(
            "config.json ties `{HEAD}` to `{EMBEDDING}`, but the file holds two different tensors"
        ))
        .remedy("set \"tie_word_embeddings\": false in config.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn params() -> Params {
        let named = [(EMBEDDING, vec![3, 2]), ("model.norm.weight", vec![2])];
        let mut params = Params::zeros(Layout::new(named.map(|(path, shape)| (path.to_owned(), shape))));
        for (i, w) in params.flat_mut().iter_mut().enumerate() {
            *w = i as f32 - 2.5;
        }
        params
    }

    fn read(tensors: &[(&str, Vec<usize>, &[f32])]) -> Result<()> {
        read_weights(&write_tensors(tensors.iter().cloned(), &BTreeMap::new()), &mut params())
    }

    fn refused(tensors: &[(&str, Vec<usize>, &[f32])]) -> String {
        read(tensors).expect_err("it should be refused").what
    }

    const E: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    const N: [f32; 2] = [1.0, 1.0];

    #[test]
    fn a_round_trip_keeps_every_bit() {
        let mut fresh = Params::zeros(params().layout().clone());
        read_weights(&write_weights(&params()), &mut fresh).expect("it was just written");
        assert_eq!(fresh, params());
    }

    #[test]
    fn each_fault_has_its_message() {
        let norm = ("model.norm.weight", vec![2], &N[..]);
        let embedding = (EMBEDDING, vec![3, 2], &E[..]);
        assert_eq!(
            refused(std::slice::from_ref(&norm)),
            "tensor `model.embed_tokens.weight` [3, 2] is missing"
        );
        assert_eq!(
            refused(&[(EMBEDDING, vec![2, 3], &E), norm.clone()]),
            "tensor `model.embed_tokens.weight` has shape [2, 3], the architecture wants [3, 2]"
        );
        assert_eq!(
            refused(&[embedding.clone(), norm.clone(), ("extra", vec![1], &[0.0])]),
            "tensor `extra` is not part of this architecture"
        );
        let nan = [1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0];
        assert_eq!(
            refused(&[(EMBEDDING, vec![3, 2], &nan), norm.clone()]),
            "tensor `model.embed_tokens.weight` holds NaN at [1, 1]"
        );
        assert!(
            refused(&[embedding.clone(), norm.clone(), (HEAD, vec![3, 2], &[0.0; 6])])
                .contains("two different tensors")
        );
        assert_eq!(read(&[embedding, norm, (HEAD, vec![3, 2], &E)]), Ok(()));
    }

    #[test]
    fn a_failed_read_changes_nothing() {
        let mut kept = params();
        let half = write_tensors([(EMBEDDING, vec![3, 2], &E[..])], &BTreeMap::new());
        assert!(read_weights(&half, &mut kept).is_err());
        assert_eq!(kept, params());
    }
}
