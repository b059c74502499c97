//! The vocabulary as a table: names, and the bytes of text that each id stands for.

use std::collections::BTreeMap;

use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    names: Vec<Option<Box<str>>>,
    bytes: Vec<Box<[u8]>>,
    ids: BTreeMap<Box<str>, u32>,
}

/// How a model spells bytes in its vocabulary.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Spelling {
    /// GPT-2's: a printable character a byte.
    ByteLevel,
    /// SentencePiece's: `▁` for a space, `<0x0A>` for a byte.
    Metaspace,
    /// WordPiece's: `##` before what continues a word.
    WordPiece,
}

/// The largest id a file may name: a hostile one must not make us allocate.
pub(super) const MAX_ID: u64 = 1 << 22;

impl Vocabulary {
    /// From the `model` of a `tokenizer.json`; `None` when its `vocab` is none or has absurd ids.
    pub(super) fn of_model(model: &Value, spelling: Spelling) -> Option<Self> {
        let mut vocabulary = Self::default();
        let table = byte_table();
        let mut enter = |name: &str, id: u64| {
            (id < MAX_ID).then(|| vocabulary.enter(name, id as u32, spell(name, spelling, &table)))
        };
        match model.get("vocab")? {
            Value::Object(tokens) => tokens.iter().try_for_each(|(name, id)| enter(name, id.as_u64()?))?,
            Value::Array(pieces) => {
                pieces
                    .iter()
                    .enumerate()
                    .try_for_each(|(id, piece)| enter(piece.get(0)?.as_str()?, id as u64))?;
            }
            _ => return None,
        }
        Some(vocabulary)
    }

    pub(super) fn enter(&mut self, name: &str, id: u32, bytes: Vec<u8>) {
        let at = id as usize;
        if at >= self.names.len() {
            self.names.resize(at + 1, None);
            self.bytes.resize(at + 1, Box::default());
        }
        self.names[at] = Some(name.into());
        self.bytes[at] = bytes.into();
        self.ids.insert(name.into(), id);
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(super) fn token(&self, id: u32) -> Option<&str> {
        self.names.get(id as usize)?.as_deref()
    }

    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |b| b)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(|n| &**n)
    }
}

fn byte_table() -> BTreeMap<char, u8> {
    ByteLevel::alphabet().iter().enumerate().map(|(byte, c)| (*c, byte as u8)).collect()
}

fn spell(name: &str, spelling: Spelling, table: &BTreeMap<char, u8>) -> Vec<u8> {
    match spelling {
        Spelling::ByteLevel => {
            let bytes: Option<Vec<u8>> = name.chars().map(|c| table.get(&c).copied()).collect();
            bytes.unwrap_or_else(|| name.as_bytes().to_vec())
        }
        Spelling::Metaspace => match hex_byte(name) {
            Some(byte) => vec![byte],
            None => name.replace('\u{2581}', " ").into_bytes(),
        },
        Spelling::WordPiece => name.strip_prefix("##").unwrap_or(name).as_bytes().to_vec(),
    }
}

fn hex_byte(name: &str) -> Option<u8> {
    let hex = name.strip_prefix("<0x")?.strip_suffix('>')?;
    (hex.len() == 2).then(|| u8::from_str_radix(hex, 16).ok()).flatten()
}
