//! A bounds-checked reader of GGUF versions 2 and 3: magic, counts, facts, tensors, then their numbers.

use std::collections::BTreeMap;

use regimen_base::{Error, Result};

use super::quant::{self, Kind};
use super::value::Value;

/// Lists in lists beyond this depth are noise.
const DEEPEST: usize = 4;
/// Axes of a tensor.
const MOST_AXES: u32 = 4;

/// A GGUF file in memory, its header checked.
pub struct Gguf<'a> {
    facts: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor<'a>>,
}

/// One tensor of a file.
pub struct Tensor<'a> {
    /// Its number format as the file says it.
    pub type_id: u32,
    /// Its axes, outermost first.
    pub shape: Vec<usize>,
    bytes: &'a [u8],
}

impl Tensor<'_> {
    /// The number format, when it is one that can be read.
    pub fn kind(&self) -> Option<Kind> {
        Kind::of(self.type_id)
    }

    /// The numbers, dequantised.
    ///
    /// # Errors
    /// Says that the type is not known.
    pub fn to_f32(&self) -> Result<Vec<f32>, String> {
        let kind = self.kind().ok_or_else(|| {
            format!(
                "is of the quantisation type {}, which is not supported ({})",
                self.type_id,
                Kind::names()
            )
        })?;
        Ok(quant::dequantise(kind, self.bytes))
    }
}

impl<'a> Gguf<'a> {
    /// Reads the header of a GGUF file.
    ///
    /// # Errors
    /// When the file is no GGUF of version 2 or 3, is cut off, or describes tensors that overlap, lie outside, or whose
    /// size is absurd.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        parse(bytes).map_err(|why| {
            Error::data(format!("the GGUF file {why}")).remedy("download it again, or convert the model anew")
        })
    }

    /// All facts by name.
    pub fn facts(&self) -> &BTreeMap<String, Value> {
        &self.facts
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor<'a>> {
        &self.tensors
    }
}

type Told<T> = Result<T, String>;

struct Header {
    name: String,
    shape: Vec<usize>,
    type_id: u32,
    offset: u64,
}

fn parse(bytes: &[u8]) -> Told<Gguf<'_>> {
    let mut at = Cursor { bytes, at: 0 };
    if at.take(4)? != b"GGUF" {
        return Err("does not begin with GGUF".to_owned());
    }
    let version = at.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("is of version {version}; 2 and 3 can be read"));
    }
    let (tensors, facts) = (at.u64()?, at.u64()?);
    let facts = read_facts(&mut at, facts)?;
    let mut headers = Vec::new();
    for _ in 0..tensors {
        headers.push(header(&mut at)?);
    }
    let alignment = facts.get("general.alignment").map_or(Some(32), Value::count);
    let alignment = alignment.filter(|a| a.is_power_of_two() && *a <= 1 << 20);
    let alignment = alignment.ok_or("has an absurd alignment")?;
    let start = at.at.next_multiple_of(alignment);
    let data = bytes.get(start..).unwrap_or_default();
    Ok(Gguf { facts, tensors: place(headers, data)? })
}

fn read_facts(at: &mut Cursor<'_>, count: u64) -> Told<BTreeMap<String, Value>> {
    let mut facts = BTreeMap::new();
    for _ in 0..count {
        let name = at.text()?;
        let kind = at.u32()?;
        let value = at.value(kind, 0).map_err(|why| format!("{why}, in the fact `{name}`"))?;
        if facts.insert(name.clone(), value).is_some() {
            return Err(format!("has the fact `{name}` twice"));
        }
    }
    Ok(facts)
}

fn header(at: &mut Cursor<'_>) -> Told<Header> {
    let name = at.text()?;
    let axes = at.u32()?;
    if axes == 0 || axes > MOST_AXES {
        return Err(format!("gives tensor `{name}` {axes} axes"));
    }
    let mut shape = Vec::new();
    for _ in 0..axes {
        let axis = at.u64()?;
        let axis = usize::try_from(axis).ok().filter(|a| (1..1 << 40).contains(a));
        shape.push(axis.ok_or_else(|| format!("gives tensor `{name}` an absurd shape"))?);
    }
    // the file counts from the innermost axis
    shape.reverse();
    Ok(Header { name, shape, type_id: at.u32()?, offset: at.u64()? })
}

/// Cuts the data into tensors that lie inside and do not overlap.
fn place(mut headers: Vec<Header>, data: &[u8]) -> Told<BTreeMap<String, Tensor<'_>>> {
    headers.sort_by_key(|h| h.offset);
    let (mut end, mut tensors) = (0_usize, BTreeMap::new());
    for Header { name, shape, type_id, offset } in headers {
        let count = shape.iter().try_fold(1_usize, |n, axis| n.checked_mul(*axis));
        let row = shape.last().copied().unwrap_or(0);
        let kind = Kind::of(type_id);
        // an unknown type is told when the tensor is wanted; its size is not known
        let len = match kind {
            None => Some(0),
            Some(kind) if !row.is_multiple_of(kind.block()) => {
                return Err(format!("cuts tensor `{name}` inside of a block"));
            }
            Some(kind) => count.and_then(|n| (n / kind.block()).checked_mul(kind.bytes())),
        };
        let start = usize::try_from(offset).ok();
        let stop = start.zip(len).and_then(|(start, len)| start.checked_add(len));
        let (Some(start), Some(stop)) = (start, stop) else {
            return Err(format!("gives tensor `{name}` an absurd shape"));
        };
        if start < end {
            return Err(format!("places tensor `{name}` where another one lies"));
        }
        let bytes = data.get(start..stop).ok_or_else(|| format!("is cut off in tensor `{name}`"))?;
        end = stop;
        if tensors.insert(name.clone(), Tensor { type_id, shape, bytes }).is_some() {
            return Err(format!("has tensor `{name}` twice"));
        }
    }
    Ok(tensors)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Told<&'a [u8]> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or("is cut off in its header")?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Told<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "is cut off in its header".to_owned())
    }

    fn u32(&mut self) -> Told<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Told<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The rest is never shorter than what is announced, so nothing is made room for that is not there.
    fn length(&mut self, each: usize) -> Told<usize> {
        let length = usize::try_from(self.u64()?).ok();
        let left = self.bytes.len() - self.at;
        length
            .filter(|n| n.checked_mul(each).is_some_and(|n| n <= left))
            .ok_or("is cut off in its header".to_owned())
    }

    fn text(&mut self) -> Told<String> {
        let length = self.length(1)?;
        let bytes = self.take(length)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Told<Value> {
        Ok(match kind {
            0 => Value::Int(i64::from(self.array::<1>()?[0])),
            1 => Value::Int(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Int(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Int(i64::from(self.u32()?)),
            5 => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 if depth < DEEPEST => {
                let kind = self.u32()?;
                let length = self.length(1)?;
                let list: Told<Vec<Value>> = (0..length).map(|_| self.value(kind, depth + 1)).collect();
                Value::List(list?)
            }
            10 => i64::try_from(self.u64()?).map(Value::Int).map_err(|_| "holds a number beyond 2⁶³")?,
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("holds a value of the unknown type {other}")),
        })
    }
}
