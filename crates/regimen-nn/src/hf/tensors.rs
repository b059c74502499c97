//! The safetensors file format: an 8-byte little-endian header length, a JSON header, the numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regimen_base::{Error, Result};
use regimen_kernels::Half;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde_json::{Map, Value, json};

/// What the reference implementation allows as well; beyond it a length field is noise, not a header.
const LARGEST_HEADER: u64 = 100_000_000;

/// A safetensors file in memory, its header checked.
pub struct TensorFile<'a> {
    tensors: BTreeMap<String, Found<'a>>,
    notes: BTreeMap<String, String>,
}

/// One tensor of a file.
pub struct Found<'a> {
    /// Its number format.
    pub dtype: Dtype,
    /// Its axes, outermost first.
    pub shape: Vec<usize>,
    bytes: &'a [u8],
}

impl Found<'_> {
    /// The numbers, from f32, bf16 or f16; `None` for any other format.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        super::float::to_f32(self.dtype, self.bytes)
    }

    pub(super) fn half(&self) -> Option<Half> {
        super::float::half(self.dtype)
    }
}

impl<'a> TensorFile<'a> {
    /// Reads the header of a safetensors file.
    ///
    /// # Errors
    /// When the file is truncated or longer than its header says, or when its header is too large, not JSON, or
    /// describes overlapping, missing or wrongly sized data.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        check_length(bytes)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| explain(&e))?;
        let notes = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        let file = SafeTensors::deserialize(bytes).map_err(|e| explain(&e))?;
        let found = |view: safetensors::tensor::TensorView<'a>| Found {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data(),
        };
        let tensors = file.tensors().into_iter().map(|(name, view)| (name, found(view))).collect();
        Ok(Self { tensors, notes })
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Found<'a>> {
        &self.tensors
    }

    /// How many numbers all tensors hold.
    pub fn numbers(&self) -> usize {
        self.tensors.values().map(|t| t.shape.iter().product::<usize>()).sum()
    }

    /// The header's free `__metadata__`.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }
}

fn check_length(bytes: &[u8]) -> Result<()> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged(format!("is truncated: {} bytes are not even a header", bytes.len())));
    };
    let header = u64::from_le_bytes(*length);
    if header > LARGEST_HEADER {
        return Err(Error::data(format!(
            "the header is too large: {header} bytes, {LARGEST_HEADER} are allowed"
        ))
        .remedy("check that this is a safetensors file"));
    }
    if header > rest.len() as u64 {
        return Err(damaged(format!(
            "is truncated: its header has {header} bytes, {} of them are there",
            rest.len()
        )));
    }
    check_data_length(&rest[..header as usize], rest.len() as u64 - header)
}

/// The reference implementation reports a truncated file and one with a wrong shape alike; tell them apart first.
fn check_data_length(header: &[u8], there: u64) -> Result<()> {
    let Ok(Value::Object(entries)) = serde_json::from_slice::<Value>(header) else {
        return Err(damaged("has a header that is not JSON".to_owned()));
    };
    let ends = entries.values().filter_map(|entry| entry.get("data_offsets")?.get(1)?.as_u64());
    let wanted = ends.max().unwrap_or(0);
    match wanted.cmp(&there) {
        std::cmp::Ordering::Greater => {
            Err(damaged(format!("is truncated: it should hold {wanted} bytes of numbers and holds {there}")))
        }
        std::cmp::Ordering::Less => {
            Err(damaged(format!("holds {there} bytes of numbers, its header accounts for {wanted}")))
        }
        std::cmp::Ordering::Equal => Ok(()),
    }
}

fn damaged(what: String) -> Error {
    Error::data(format!("the file {what}")).remedy("copy or download it again")
}

fn explain(error: &SafeTensorError) -> Error {
    damaged(match error {
        SafeTensorError::InvalidOffset(name) => {
            format!("places tensor `{name}` where another one lies, or with a gap")
        }
        SafeTensorError::TensorInvalidInfo => "has a tensor whose shape does not fit its bytes".to_owned(),
        other => format!("is not a safetensors file: {other}"),
    })
}

/// A tensor of a file that is to be written.
pub(super) struct Header {
    pub shape: Vec<usize>,
    /// What its numbers are written as, when not as f32.
    pub half: Option<Half>,
}

impl Header {
    fn dtype(&self) -> &'static str {
        match self.half {
            None => "F32",
            Some(Half::Bf16) => "BF16",
            Some(Half::F16) => "F16",
        }
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * if self.half.is_some() { 2 } else { 4 }
    }

    fn put(&self, numbers: &[f32], bytes: &mut Vec<u8>) {
        match self.half {
            None => bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
            Some(half) => bytes.extend(numbers.iter().flat_map(|x| half.narrow(*x).to_le_bytes())),
        }
    }
}

/// A safetensors file of f32 tensors, ordered by name: the same tensors always give the same bytes.
pub fn write_tensors<'a>(
    tensors: impl IntoIterator<Item = (&'a str, Vec<usize>, &'a [f32])>,
    notes: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut headers = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for (name, shape, values) in tensors {
        headers.insert(name, Header { shape, half: None });
        numbers.insert(name, values);
    }
    write_each(&headers, notes, |name| Cow::Borrowed(numbers[name]))
}

/// A safetensors file of tensors whose numbers are asked for one by one.
pub(super) fn write_each<'a>(
    tensors: &BTreeMap<&str, Header>,
    notes: &BTreeMap<String, String>,
    numbers: impl Fn(&str) -> Cow<'a, [f32]>,
) -> Vec<u8> {
    let mut header = Map::new();
    if !notes.is_empty() {
        header.insert("__metadata__".to_owned(), json!(notes));
    }
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += tensor.bytes();
        header.insert(
            (*name).to_owned(),
            json!({ "dtype": tensor.dtype(), "shape": tensor.shape, "data_offsets": [start, end] }),
        );
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // the numbers start at a multiple of 8, as the format asks
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for (name, tensor) in tensors {
        tensor.put(&numbers(name), &mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        write_tensors([("b", vec![2, 2], &[1.0, 2.0, 3.0, 4.0][..]), ("a", vec![1], &[-0.0])], &notes)
    }

    fn message(bytes: &[u8]) -> String {
        TensorFile::read(bytes).err().map_or_else(|| "read".to_owned(), |e| e.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = file();
        let read = TensorFile::read(&bytes).expect("it was just written");
        assert_eq!(read.notes()["format"], "pt");
        let b = &read.tensors()["b"];
        assert_eq!((b.shape.clone(), b.to_f32()), (vec![2, 2], Some(vec![1.0, 2.0, 3.0, 4.0])));
        assert_eq!(read.tensors()["a"].to_f32().map(|v| v[0].to_bits()), Some((-0.0_f32).to_bits()));
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
        assert_eq!(header % 8, 0);
    }

    #[test]
    fn every_cut_is_called_truncated() {
        let bytes = file();
        for cut in 0..bytes.len() {
            assert!(message(&bytes[..cut]).contains("truncated"), "{cut}: {}", message(&bytes[..cut]));
        }
        assert!(message(&[bytes, vec![0]].concat()).contains("accounts for 20"));
    }

    #[test]
    fn noise_is_refused() {
        assert!(message(&[0xff; 64]).contains("too large"));
        let mut bytes = file();
        bytes[8] = b'x';
        assert!(message(&bytes).contains("not JSON"));
        let text = String::from_utf8_lossy(&file()[8..]).into_owned();
        let wrong = |from: &str, to: &str| {
            let at = text.find(from).expect("the header has it") + 8;
            let mut bytes = file();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            message(&bytes)
        };
        assert!(
            wrong("\"shape\":[2,2]", "\"shape\":[2,3]").contains("does not fit"),
            "{}",
            wrong("[2,2]", "[2,3]")
        );
        assert!(wrong("[4,20]", "[0,20]").contains("where another one lies"));
    }
}
