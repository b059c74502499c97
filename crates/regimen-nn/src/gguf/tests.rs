//! Blocks of every format against the `gguf` package, files that are damaged, and the way out and back.

use std::path::PathBuf;

use super::*;
use crate::hf::{Family, TensorFile};
use crate::net::Arch;
use crate::testing::{assert_close, randomise, shapes};
use crate::{Positions, Shape};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn message(bytes: &[u8]) -> String {
    Gguf::read(bytes).err().map_or_else(|| "read".to_owned(), |e| e.what)
}

#[test]
fn every_format_is_that_of_the_gguf_package() {
    let (bytes, expected) = (fixture("blocks.gguf"), fixture("blocks.safetensors"));
    let (file, expected) = (Gguf::read(&bytes).expect("it is whole"), TensorFile::read(&expected));
    let expected = expected.expect("it is whole");
    assert_eq!(file.tensors().len(), 13);
    for (name, tensor) in file.tensors() {
        let wanted = &expected.tensors()[name];
        assert_eq!(tensor.shape, wanted.shape, "{name}");
        let (got, wanted) = (tensor.to_f32().expect("it is known"), wanted.to_f32().expect("it is f32"));
        assert_close(name, &got, &wanted, 1e-6);
    }
    assert_eq!(file.facts()["fixture.list"].list().map(<[Value]>::len), Some(3));
    assert_eq!(file.facts()["fixture.third"].number(), Some(1.0 / 3.0));
}

#[test]
fn every_cut_is_told() {
    let bytes = fixture("blocks.gguf");
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    for cut in 0..end {
        let told = message(&bytes[..cut]);
        assert!(told.contains("cut off") || told.contains("begin"), "{cut}: {told}");
    }
}

#[test]
fn noise_is_refused_without_a_panic() {
    let bytes = fixture("blocks.gguf");
    let mut other = bytes.clone();
    other[4] = 9;
    assert!(message(&other).contains("version 9"));
    // every byte of the header turned around: an error or another file, never a panic or a lot of memory
    for at in 0..2048.min(bytes.len()) {
        let mut other = bytes.clone();
        other[at] ^= 0xff;
        if let Ok(file) = Gguf::read(&other) {
            for tensor in file.tensors().values() {
                let _ = tensor.to_f32();
            }
        }
    }
}

/// A tensor's header: its name, its axes from the innermost, its type, where its numbers begin.
type Head<'a> = (&'a str, &'a [u64], u32, u64);

/// A file of these tensors with so many bytes of numbers.
fn file(tensors: &[Head], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    for (name, axes, kind, offset) in tensors {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((axes.len() as u32).to_le_bytes());
        axes.iter().for_each(|axis| bytes.extend(axis.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

#[test]
fn tensors_that_cannot_be_are_refused() {
    const F32: u32 = 0;
    const Q8_0: u32 = 8;
    let told = |tensors: &[Head]| message(&file(tensors, 64));
    assert_eq!(told(&[("a", &[8], F32, 0), ("b", &[8], F32, 32)]), "read");
    let overlapping = told(&[("a", &[16], F32, 0), ("b", &[8], F32, 32)]);
    assert_eq!(overlapping, "the GGUF file places tensor `b` where another one lies");
    assert!(told(&[("a", &[16], F32, 0), ("b", &[16], F32, 0)]).contains("where another one lies"));
    assert!(told(&[("a", &[8], F32, 0), ("a", &[8], F32, 32)]).contains("has tensor `a` twice"));
    let absurd: [&[u64]; 4] = [&[1 << 50], &[1 << 39, 1 << 39], &[0], &[u64::MAX, 2]];
    for axes in absurd {
        assert!(told(&[("a", axes, F32, 0)]).contains("gives tensor `a` an absurd shape"), "{axes:?}");
    }
    assert!(told(&[("a", &[8], F32, u64::MAX - 3)]).contains("absurd shape"));
    assert!(told(&[("a", &[1, 1, 1, 1, 1], F32, 0)]).contains("gives tensor `a` 5 axes"));
    assert!(told(&[("a", &[33], Q8_0, 0)]).contains("cuts tensor `a` inside of a block"));
    for (axes, offset) in [(&[1_u64 << 32], 0), (&[8], 1 << 40)] {
        assert!(told(&[("a", axes, F32, offset)]).contains("is cut off in tensor `a`"), "{axes:?}");
    }
}

fn written() -> Vec<(Config, Params)> {
    let of = |shape: Shape| {
        let mut params = Params::zeros(Arch::Decoder(shape.clone()).layout());
        randomise(&mut params);
        (Config { family: Family::of(&shape), shape, bos: Some(1), eos: vec![2], pad: None }, params)
    };
    let known = shapes().into_iter().filter(|s| s.lora.is_none()).map(of);
    known.filter(|(c, _)| !matches!(c.family.model_type, "regimen" | "arcee")).collect()
}

#[test]
fn what_is_written_is_read() {
    let all = written();
    assert!(all.len() >= 5);
    for (config, params) in all {
        for (store, loss) in [(Store::F16, 1e-3), (Store::Q8_0, 1e-2)] {
            let bytes =
                write(&config, &params, store, vec![token("bos", 1), token("eos", 2)]).expect("known");
            let file = Gguf::read(&bytes).expect("just written");
            let back = read_config(&file).expect("just written");
            assert_eq!((back.shape.clone(), back.family), (config.shape.clone(), config.family));
            assert_eq!((back.bos, back.eos.as_slice()), (Some(1), &[2][..]));
            let fresh = read_weights(&file, &back, None).expect("just written");
            for entry in params.layout().entries() {
                let range = entry.range.clone();
                assert_close(&entry.path, &fresh.flat()[range.clone()], &params.flat()[range], loss);
            }
        }
    }
}

fn token(which: &str, id: i64) -> (String, Value) {
    (format!("tokenizer.ggml.{which}_token_id"), Value::Int(id))
}

#[test]
fn llama3_positions_survive() {
    let scaling = Some(crate::RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192 });
    let positions = Positions::Rotary(crate::Rotary { theta: 5e5, dims: None, scaling });
    let shape = Shape { positions, head_dim: 64, ..shapes()[0].clone() };
    let params = Params::zeros(Arch::Decoder(shape.clone()).layout());
    let config = Config { family: Family::of(&shape), shape, bos: None, eos: vec![], pad: None };
    let bytes = write(&config, &params, Store::F16, vec![]).expect("known");
    let back = read_config(&Gguf::read(&bytes).expect("just written")).expect("just written");
    assert_eq!(back.shape.positions, positions);
}
