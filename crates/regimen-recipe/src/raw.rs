//! TOML as written: a tree in which every key and value knows where it stands.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use crate::report::Diag;
use crate::source::{Origin, Sources, Via};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub value: RawValue,
    pub origin: Origin,
}

/// What TOML can say.
#[derive(Clone, Debug)]
pub(crate) enum RawValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// A date or a time, which no field takes.
    Date(String),
    List(Vec<Raw>),
    Table(RawTable),
}

/// Entries in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawTable {
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_at: Origin,
    pub value: Raw,
}

impl RawTable {
    /// The value of exactly this key.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// The value of exactly this key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Raw> {
        self.entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let i = self.entries.iter().position(|e| e.key == key)?;
        Some(self.entries.remove(i))
    }

    /// The text at this key.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Raw::as_str)
    }
}

impl Raw {
    /// A text.
    pub fn text(text: &str, origin: &Origin) -> Self {
        Self { value: RawValue::Str(text.to_owned()), origin: origin.clone() }
    }

    /// A table with one entry.
    pub fn table_of(key: &str, key_at: &Origin, value: Self) -> Self {
        let entry = Entry { key: key.to_owned(), key_at: key_at.clone(), value };
        Self { value: RawValue::Table(RawTable { entries: vec![entry] }), origin: key_at.clone() }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            RawValue::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_table(&self) -> Option<&RawTable> {
        match &self.value {
            RawValue::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn as_table_mut(&mut self) -> Option<&mut RawTable> {
        match &mut self.value {
            RawValue::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            RawValue::List(list) => Some(list),
            _ => None,
        }
    }

    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.value {
            RawValue::List(list) => Some(list),
            _ => None,
        }
    }

    /// The kind that it selects: of a table, or written as a bare word.
    pub fn kind(&self) -> Option<&str> {
        match &self.value {
            RawValue::Str(text) => Some(text),
            RawValue::Table(table) => table.str("kind"),
            _ => None,
        }
    }

    /// A default, from the text of a spec.
    pub fn of_default(text: &str, origin: &Origin) -> Result<Self, Diag> {
        let mut sources = Sources::default();
        let source = sources.add("default", text);
        let via = Via::Default("".into());
        let mut raw = Reader { sources: &sources, source, via, layer: 0, shift: 0 }.value(text)?;
        raw.replace_origin(origin);
        Ok(raw)
    }

    fn replace_origin(&mut self, origin: &Origin) {
        self.origin = origin.clone();
        match &mut self.value {
            RawValue::List(list) => list.iter_mut().for_each(|item| item.replace_origin(origin)),
            RawValue::Table(table) => {
                for entry in &mut table.entries {
                    entry.key_at = origin.clone();
                    entry.value.replace_origin(origin);
                }
            }
            _ => {}
        }
    }

    /// Says of the whole tree who wrote it.
    pub fn restamp(&mut self, via: &Via, layer: usize) {
        restamp_origin(&mut self.origin, via, layer);
        match &mut self.value {
            RawValue::List(list) => list.iter_mut().for_each(|item| item.restamp(via, layer)),
            RawValue::Table(table) => {
                for entry in &mut table.entries {
                    restamp_origin(&mut entry.key_at, via, layer);
                    entry.value.restamp(via, layer);
                }
            }
            _ => {}
        }
    }

    /// The values alone. A number that is not finite, which no field takes, becomes a text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            RawValue::Bool(b) => Json::from(*b),
            RawValue::Int(n) => Json::from(*n),
            RawValue::Float(x) => {
                serde_json::Number::from_f64(*x).map_or_else(|| x.to_string().into(), Json::Number)
            }
            RawValue::Str(text) | RawValue::Date(text) => Json::from(text.as_str()),
            RawValue::List(list) => Json::Array(list.iter().map(Self::to_json).collect()),
            RawValue::Table(table) => {
                Json::Object(table.entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect())
            }
        }
    }

    /// What it is, for a message: `the text "x"`, `the number 3`, `a table`.
    pub fn found(&self) -> String {
        match &self.value {
            RawValue::Bool(b) => format!("`{b}`"),
            RawValue::Int(n) => format!("the number {n}"),
            RawValue::Float(x) => format!("the number {x}"),
            RawValue::Str(text) => format!("the text \"{}\"", shorten(text)),
            RawValue::Date(date) => format!("the date {date}"),
            RawValue::List(_) => "a list".to_owned(),
            RawValue::Table(_) => "a table".to_owned(),
        }
    }
}

fn restamp_origin(origin: &mut Origin, via: &Via, layer: usize) {
    origin.via = via.clone();
    origin.layer = layer;
}

/// At most forty characters of a text, without line breaks and control characters.
pub(crate) fn shorten(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    match text.char_indices().nth(40) {
        Some((end, _)) => text[..end].chars().map(plain).chain(['…']).collect(),
        None => text.chars().map(plain).collect(),
    }
}

/// Turns TOML text into trees.
pub(crate) struct Reader<'a> {
    pub sources: &'a Sources,
    pub source: usize,
    pub via: Via,
    pub layer: usize,
    /// Where the parsed text begins within its source, less what was put before it to make it parse.
    pub shift: isize,
}

impl Reader<'_> {
    /// A whole file.
    pub fn file(&self, text: &str) -> Result<Raw, Diag> {
        let document = Document::parse(text).map_err(|e| self.syntax(&e))?;
        let whole = Some(0..text.len().min(1));
        Ok(Raw { value: RawValue::Table(self.table(document.as_table())), origin: self.origin(whole) })
    }

    /// One value. What is not TOML but a bare word or a path is a text.
    pub fn value(&self, text: &str) -> Result<Raw, Diag> {
        const LEAD: &str = "v = ";
        let shifted = Reader {
            sources: self.sources,
            source: self.source,
            via: self.via.clone(),
            layer: self.layer,
            shift: self.shift - LEAD.len() as isize,
        };
        let whole = || shifted.origin(Some(LEAD.len()..LEAD.len() + text.len()));
        let one_line = format!("{LEAD}{text}");
        match Document::parse(one_line.as_str()) {
            Ok(document) if document.as_table().len() == 1 => {
                let item = document.as_table().get("v").map(|item| shifted.item(item, &whole()));
                Ok(item.unwrap_or_else(|| Raw::text(text, &whole())))
            }
            Err(error) if text.trim_start().starts_with(['[', '{', '"', '\'']) => Err(shifted.syntax(&error)),
            _ => Ok(Raw::text(text, &whole())),
        }
    }

    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let at = span.map(|span| {
            let shift = |i: usize| i.saturating_add_signed(self.shift);
            self.sources.at(self.source, shift(span.start), shift(span.end))
        });
        Origin { via: self.via.clone(), layer: self.layer, at }
    }

    fn syntax(&self, error: &toml_edit::TomlError) -> Diag {
        let message = format!("this is not TOML: {}", error.message().replace('\n', ", "));
        let mut span = error.span().unwrap_or(0..0);
        span.end = span.end.max(span.start + 1);
        Diag::new(message).at(&self.origin(Some(span)), "here")
    }

    fn table(&self, table: &dyn TableLike) -> RawTable {
        let mut entries = Vec::with_capacity(table.len());
        for (name, item) in table.iter() {
            let key_at = self.origin(table.key(name).and_then(toml_edit::Key::span));
            let value = self.item(item, &key_at);
            entries.push(Entry { key: name.to_owned(), key_at, value });
        }
        RawTable { entries }
    }

    fn item(&self, item: &Item, key_at: &Origin) -> Raw {
        let origin = item.span().map_or_else(|| key_at.clone(), |span| self.origin(Some(span)));
        let value = match item {
            Item::None => RawValue::Table(RawTable::default()),
            Item::Value(value) => return self.toml_value(value, key_at),
            Item::Table(table) => RawValue::Table(self.table(table)),
            Item::ArrayOfTables(tables) => {
                let each = |table: &toml_edit::Table| Raw {
                    value: RawValue::Table(self.table(table)),
                    origin: table.span().map_or_else(|| key_at.clone(), |span| self.origin(Some(span))),
                };
                RawValue::List(tables.iter().map(each).collect())
            }
        };
        Raw { value, origin }
    }

    fn toml_value(&self, value: &TomlValue, key_at: &Origin) -> Raw {
        let origin = value.span().map_or_else(|| key_at.clone(), |span| self.origin(Some(span)));
        let value = match value {
            TomlValue::String(s) => RawValue::Str(s.value().clone()),
            TomlValue::Integer(i) => RawValue::Int(*i.value()),
            TomlValue::Float(x) => RawValue::Float(*x.value()),
            TomlValue::Boolean(b) => RawValue::Bool(*b.value()),
            TomlValue::Datetime(d) => RawValue::Date(d.value().to_string()),
            TomlValue::Array(items) => {
                RawValue::List(items.iter().map(|item| self.toml_value(item, &origin)).collect())
            }
            TomlValue::InlineTable(table) => RawValue::Table(self.table(table)),
        };
        Raw { value, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(sources: &Sources) -> Reader<'_> {
        Reader { sources, source: 0, via: Via::Set, layer: 0, shift: 2 }
    }

    #[test]
    fn values_keep_their_place_in_the_line() {
        let mut sources = Sources::default();
        sources.add("--set", "a={ k = \"x\", n = 3 }");
        let raw = reader(&sources).value("{ k = \"x\", n = 3 }").unwrap();
        let at = |key: &str| {
            let entry = raw.as_table().unwrap().entries.iter().find(|e| e.key == key).unwrap();
            sources.text(entry.value.origin.at.as_ref().unwrap())
        };
        assert_eq!((at("k"), at("n")), ("\"x\"", "3"));
    }

    #[test]
    fn bare_words_are_texts() {
        let mut sources = Sources::default();
        sources.add("--set", "a=some/path.txt and more");
        let r = reader(&sources);
        assert_eq!(r.value("some/path.txt and more").unwrap().as_str(), Some("some/path.txt and more"));
        assert_eq!(r.value("60st").unwrap().as_str(), Some("60st"));
        assert!(matches!(r.value("2e-6").unwrap().value, RawValue::Float(x) if x == 2e-6));
        assert!(matches!(r.value("1\nb = 2").unwrap().value, RawValue::Str(_)));
        assert!(r.value("[1, 2").is_err());
    }
}
