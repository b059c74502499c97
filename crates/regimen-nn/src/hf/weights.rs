//! A net's weights ↔ safetensors with its family's names, strictly.

use std::collections::{BTreeMap, BTreeSet};

use regimen_base::{Error, Result};
use regimen_kernels::{Half, Shape};

use super::family::Family;
use super::stored::Stored;
use super::tensors::{Found, Header, TensorFile, write_each, write_tensors};
use crate::device::Device;
use crate::net::{Arch, Net, build_with};
use crate::params::Params;

const REMEDY: &str = "check that config.json and the weights belong together";

/// What the matrices of a checkpoint are held in once they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// f32.
    Full,
    /// 16 bits, rounded to them.
    Half(Half),
    /// 16 bits if its first file has all matrices in one such format, else f32.
    AsStored,
}

impl Hold {
    fn resolve(self, first: &TensorFile<'_>) -> Option<Half> {
        let mut matrices = first.tensors().values().filter(|t| t.shape.len() == 2).map(Found::half);
        match self {
            Self::Full => None,
            Self::Half(half) => Some(half),
            Self::AsStored => {
                matrices.next().flatten().filter(|half| matrices.all(|other| other == Some(*half)))
            }
        }
    }
}

/// Gathers the weights of a checkpoint, file by file.
pub struct WeightReader {
    stored: BTreeMap<String, Stored>,
    family: &'static Family,
    shape: Shape,
    hold: Hold,
    seen: BTreeSet<String>,
    /// A tied head that a file holds under its own name.
    twin: Option<Vec<f32>>,
    /// There from the first file on.
    params: Option<Params>,
}

impl WeightReader {
    /// For a net of this family and shape, without adapters.
    pub fn new(family: &'static Family, shape: &Shape, hold: Hold) -> Self {
        let stored = (family.tensors)(shape).into_iter().map(|s| (s.name.clone(), s)).collect();
        let shape = Shape { lora: None, ..shape.clone() };
        Self { stored, family, shape, hold, seen: BTreeSet::new(), twin: None, params: None }
    }

    /// Takes the tensors of one safetensors file (f32, bf16 or f16).
    ///
    /// # Errors
    /// One message, naming the tensor, when one is unknown, there twice, of a wrong shape, of a wrong number format, or
    /// holds a NaN or an infinity; and what [`TensorFile::read`] refuses.
    pub fn file(&mut self, bytes: &[u8]) -> Result<()> {
        let file = TensorFile::read(bytes)?;
        let fresh = || Params::zeros_in(Arch::Decoder(self.shape.clone()).layout(), self.hold.resolve(&file));
        let mut params = self.params.take().unwrap_or_else(fresh);
        for (name, found) in file.tensors() {
            if is_constant(name) {
                continue;
            }
            let Some(known) = self.find(name) else {
                self.twin(name, found, params.half())?;
                continue;
            };
            let stored = &self.stored[&known];
            let numbers = numbers(name, &stored.shape, found, stored.half(&params))?;
            stored.scatter(numbers, &mut params);
            if !self.seen.insert(known) {
                return Err(Error::data(format!("tensor `{name}` is there twice")).remedy(REMEDY));
            }
        }
        self.params = Some(params);
        Ok(())
    }

    /// A net of these weights.
    ///
    /// # Errors
    /// When a tensor is missing, or a tied head is not the embedding.
    pub fn net(self, device: &Device) -> Result<Box<dyn Net>> {
        let shape = self.shape.clone();
        build_with(&shape, device, self.finish()?)
    }

    fn finish(self) -> Result<Params> {
        if let Some(missing) = self.stored.values().find(|s| !self.seen.contains(&s.name)) {
            let what = format!("tensor `{}` {:?} is missing", missing.name, missing.shape);
            return Err(Error::data(what).remedy(REMEDY));
        }
        let [head, embedding] = self.family.head;
        let params = self.params.expect("something was seen");
        let own = self.stored.get(embedding).map(|e| e.gather(&params));
        if let (Some(twin), Some(own)) = (&self.twin, own)
            && *twin != *own
        {
            return Err(Error::data(format!(
                "config.json ties `{head}` to `{embedding}`, but the file holds two different tensors"
            ))
            .remedy("set \"tie_word_embeddings\": false in config.json"));
        }
        Ok(params)
    }

    /// By its name, or by the name without the part that stands for the model below the head.
    fn find(&self, name: &str) -> Option<String> {
        let names = [name.to_owned(), format!("{}{name}", self.family.prefix)];
        names.into_iter().find(|name| self.stored.contains_key(name))
    }

    fn twin(&mut self, name: &str, found: &Found<'_>, half: Option<Half>) -> Result<()> {
        let [head, embedding] = self.family.head;
        let Some(embedding) = self.stored.get(embedding).filter(|_| name == head || name == "lm_head.weight")
        else {
            return Err(
                Error::data(format!("tensor `{name}` is not part of this architecture")).remedy(REMEDY)
            );
        };
        let mut twin = numbers(name, &embedding.shape, found, half)?;
        if let Some(half) = half {
            for x in &mut twin {
                *x = half.widen(half.narrow(*x));
            }
        }
        self.twin = Some(twin);
        Ok(())
    }
}

/// Tables that old checkpoints store.
fn is_constant(name: &str) -> bool {
    [".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// All tensors of one safetensors file. Adapters stay as they were.
///
/// # Errors
/// As [`WeightReader`].
pub fn read_weights(bytes: &[u8], family: &'static Family, shape: &Shape, params: &mut Params) -> Result<()> {
    let mut reader = WeightReader::new(family, shape, params.half().map_or(Hold::Full, Hold::Half));
    reader.file(bytes)?;
    params.begin_with(&reader.finish()?);
    Ok(())
}

/// All parameters but adapters' as a safetensors file with the family's names, ordered by name; f32 but for matrices that
/// are held in 16 bits.
pub fn write_weights(family: &'static Family, shape: &Shape, params: &Params) -> Vec<u8> {
    // `transformers` refuses files that do not say which framework's axes they follow
    let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let stored = (family.or_other(shape).tensors)(shape);
    let by_name: BTreeMap<&str, &Stored> = stored.iter().map(|s| (s.name.as_str(), s)).collect();
    let header = |s: &Stored| Header { shape: s.shape.clone(), half: s.half(params) };
    let headers = by_name.iter().map(|(name, s)| (*name, header(s))).collect();
    write_each(&headers, &notes, |name| by_name[name].gather(params))
}

/// All parameters under their own names: the weights of a net that is of no family.
pub fn write_own_weights(params: &Params) -> Vec<u8> {
    let notes = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let entries = params.layout().entries().iter();
    let tensors = entries.map(|e| (e.path.as_str(), e.shape.clone(), &params.flat()[e.range.clone()]));
    write_tensors(tensors, &notes)
}

/// What [`write_own_weights`] wrote.
///
/// # Errors
/// As [`WeightReader`].
pub fn read_own_weights(bytes: &[u8], params: &mut Params) -> Result<()> {
    let file = TensorFile::read(bytes)?;
    let (layout, flat) = params.parts_mut();
    let known = |name: &str| layout.find(name).is_some();
    if let Some(name) = file.tensors().keys().find(|name| !known(name)) {
        return Err(Error::data(format!("tensor `{name}` is not part of this architecture")).remedy(REMEDY));
    }
    for entry in layout.entries() {
        let found = file.tensors().get(&entry.path).ok_or_else(|| {
            Error::data(format!("tensor `{}` {:?} is missing", entry.path, entry.shape)).remedy(REMEDY)
        })?;
        flat[entry.range.clone()].copy_from_slice(&numbers(&entry.path, &entry.shape, found, None)?);
    }
    Ok(())
}

fn numbers(name: &str, shape: &[usize], found: &Found<'_>, half: Option<Half>) -> Result<Vec<f32>> {
    if found.shape != shape {
        return Err(Error::data(format!(
            "tensor `{name}` has shape {:?}, the architecture wants {shape:?}",
            found.shape
        ))
        .remedy(REMEDY));
    }
    let numbers = found.to_f32().ok_or_else(|| {
        Error::data(format!("tensor `{name}` is of type {:?}, not F32, BF16 or F16", found.dtype))
            .remedy("save the checkpoint unquantised")
    })?;
    fits(name, shape, &numbers, half)?;
    Ok(numbers)
}

/// Errs when a tensor holds a NaN or an infinity, or a number beyond what it is to be held in.
pub(crate) fn fits(name: &str, shape: &[usize], numbers: &[f32], half: Option<Half>) -> Result<()> {
    let holds = |at: usize| format!("tensor `{name}` holds {} at {:?}", numbers[at], place(at, shape));
    if let Some(at) = numbers.iter().position(|v| !v.is_finite()) {
        return Err(Error::data(holds(at)).remedy("go back to an earlier checkpoint"));
    }
    let Some(half) = half else { return Ok(()) };
    match numbers.iter().position(|v| !half.widen(half.narrow(*v)).is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::data(format!("{}, which is beyond the range of {half:?}", holds(at)))
            .remedy("let it be held in another format")),
    }
}

/// The index along each axis of the flat index `at`.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut place: Vec<usize> = shape.iter().rev().map(|axis| (at % axis, at /= axis).0).collect();
    place.reverse();
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{randomise, shapes};

    const EMBEDDING: &str = "model.embed_tokens.weight";
    const HEAD: &str = "lm_head.weight";

    /// The smallest tied decoder of the family `regimen`: an embedding, an attention block and norms.
    fn shape() -> Shape {
        let shape = shapes().into_iter().find(|s| s.ffn == 0).expect("there is one");
        Shape { tied: true, layers: 1, ..shape }
    }

    fn params() -> Params {
        let mut params = Params::zeros(Arch::Decoder(shape()).layout());
        randomise(&mut params);
        params
    }

    fn read(bytes: &[u8], params: &mut Params) -> Result<()> {
        read_weights(bytes, Family::of(&shape()), &shape(), params)
    }

    type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

    /// The message for a file that was changed.
    fn refused(change: impl Fn(&mut Tensors)) -> String {
        let params = params();
        let entries = params.layout().entries().iter();
        let mut tensors: Tensors = entries
            .map(|e| (e.path.clone(), (e.shape.clone(), params.flat()[e.range.clone()].to_vec())))
            .collect();
        change(&mut tensors);
        let views =
            tensors.iter().map(|(name, (shape, values))| (name.as_str(), shape.clone(), values.as_slice()));
        let bytes = write_tensors(views, &BTreeMap::new());
        read(&bytes, &mut params.clone()).map_or_else(|e| e.what, |()| "read".to_owned())
    }

    #[test]
    fn a_round_trip_keeps_every_bit() {
        for shape in shapes() {
            let mut params = Params::zeros(Arch::Decoder(shape.clone()).layout());
            randomise(&mut params);
            let family = Family::of(&shape);
            let bytes = write_weights(family, &shape, &params);
            let mut fresh = params.clone();
            let base = Arch::Decoder(Shape { lora: None, ..shape.clone() }).layout().len();
            fresh.flat_mut()[..base].fill(0.0);
            read_weights(&bytes, family, &shape, &mut fresh).expect("it was just written");
            assert!(fresh == params, "{family:?}");
        }
    }

    #[test]
    fn each_fault_has_its_message() {
        let width = shape().width;
        assert_eq!(
            refused(|t| drop(t.remove(EMBEDDING))),
            format!("tensor `model.embed_tokens.weight` [37, {width}] is missing")
        );
        assert_eq!(
            refused(|t| t.get_mut(EMBEDDING).expect("there").0 = vec![width, 37]),
            format!(
                "tensor `model.embed_tokens.weight` has shape [{width}, 37], the architecture wants [37, {width}]"
            )
        );
        assert_eq!(
            refused(|t| drop(t.insert("extra".to_owned(), (vec![1], vec![0.0])))),
            "tensor `extra` is not part of this architecture"
        );
        assert_eq!(
            refused(|t| t.get_mut(EMBEDDING).expect("there").1[width + 1] = f32::NAN),
            "tensor `model.embed_tokens.weight` holds NaN at [1, 1]"
        );
        let twin = |t: &Tensors| t[EMBEDDING].clone();
        assert_eq!(refused(|t| drop(t.insert(HEAD.to_owned(), twin(t)))), "read");
        let other = |t: &Tensors| (twin(t).0, vec![0.0; 37 * width]);
        assert!(refused(|t| drop(t.insert(HEAD.to_owned(), other(t)))).contains("two different tensors"));
        assert_eq!(
            refused(|t| drop(
                t.insert("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), (vec![1], vec![1.0]))
            )),
            "read"
        );
    }

    #[test]
    fn names_may_lack_the_head_or_come_twice() {
        let bare = |t: &mut Tensors| {
            *t = std::mem::take(t).into_iter().map(|(n, v)| (n.replacen("model.", "", 1), v)).collect();
        };
        assert_eq!(refused(bare), "read");
        let twice =
            |t: &mut Tensors| drop(t.insert("norm.weight".to_owned(), t["model.norm.weight"].clone()));
        assert_eq!(refused(twice), "tensor `norm.weight` is there twice");
    }
}
