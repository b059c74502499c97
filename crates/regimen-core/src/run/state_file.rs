//! `state.safetensors`: a [`State`] as a safetensors file. Arrays are f32 tensors of one axis; facts are JSON in the
//! metadata, which keeps every bit of integers and floats.

use std::io::{self, Write};

use regimen_base::State;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

/// The file's name in a checkpoint.
pub(super) const STATE_FILE: &str = "state.safetensors";
/// The one metadata entry: with several, their order in the file would be random.
const FACTS: &str = "regimen.facts";

/// Writes `state`, array by array.
pub(super) fn write_state(state: &State, out: &mut dyn Write) -> io::Result<()> {
    let header = header(state)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for array in state.arrays.values() {
        for chunk in array.chunks(4096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|x| x.to_le_bytes()).collect();
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// The JSON header, filled up with blanks to a multiple of 8 bytes.
fn header(state: &State) -> io::Result<Vec<u8>> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({ FACTS: serde_json::to_string(&state.facts)? }));
    let mut start = 0;
    for (name, array) in &state.arrays {
        let end = start + array.len() * 4;
        let entry = json!({ "dtype": "F32", "shape": [array.len()], "data_offsets": [start, end] });
        entries.insert(name.clone(), entry);
        start = end;
    }
    let mut bytes = serde_json::to_vec(&Value::Object(entries))?;
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

/// Reads what [`write_state`] wrote; the error says what is wrong with it.
pub(super) fn read_state(bytes: &[u8]) -> Result<State, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let facts = header.metadata().as_ref().and_then(|m| m.get(FACTS)).ok_or("it holds no facts")?;
    let facts = serde_json::from_str(facts).map_err(|e| format!("its facts are not JSON ({e})"))?;
    let mut state = State { facts, ..State::new() };
    for (name, tensor) in SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?.iter() {
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("`{name}` is {:?}, not F32", tensor.dtype()));
        }
        let (quads, _) = tensor.data().as_chunks::<4>();
        state.arrays.insert(name.to_owned(), quads.iter().map(|q| f32::from_le_bytes(*q)).collect());
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(state: &State) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_state(state, &mut bytes).unwrap();
        bytes
    }

    fn full() -> State {
        State::new()
            .with("big", u64::MAX)
            .with("negative", i64::MIN)
            .with("tenth", 0.1)
            .with("tiny", 5e-324)
            .with("third", 1.0 / 3.0)
            .with("zero", -0.0)
            .with("text", "a \"quoted\" line\n\u{1F600}")
            .with("list", vec![1u64, (1 << 53) + 1])
            .with_array("adam/m", vec![1.5, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY])
            .with_array("adam/v", Vec::new())
            .with_array("z", (0..10_000).map(|i| (i as f32).sin()).collect())
    }

    #[test]
    fn every_bit_comes_back() {
        let back = read_state(&bytes_of(&full())).unwrap();
        assert_eq!(back, full());
        assert_eq!(back.facts["zero"].as_f64().unwrap().to_bits(), (-0.0f64).to_bits());
        assert_eq!(back.arrays["adam/m"][1].to_bits(), (-0.0f32).to_bits());
        let nan = f32::from_bits(0x7fc0_1234);
        let back = read_state(&bytes_of(&State::new().with_array("n", vec![nan]))).unwrap();
        assert_eq!(back.arrays["n"][0].to_bits(), nan.to_bits());
        assert_eq!(read_state(&bytes_of(&State::new())).unwrap(), State::new());
    }

    #[test]
    fn equal_states_are_equal_bytes() {
        assert_eq!(bytes_of(&full()), bytes_of(&full()));
    }

    #[test]
    fn other_files_are_refused() {
        let bytes = bytes_of(&full());
        for end in 0..bytes.len().min(600) {
            assert!(read_state(&bytes[..end]).is_err());
        }
        assert!(read_state(&bytes[..bytes.len() - 1]).is_err());
        let foreign = b"\x02\0\0\0\0\0\0\0{}".to_vec();
        assert_eq!(read_state(&foreign), Err("it holds no facts".to_owned()));
    }
}
