//! The resolved recipe: a typed tree in which every value knows its origin and whether anybody read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regimen_base::{Error, Length};
use serde_json::{Value as Json, json};

use crate::kind::KindSpec;
use crate::room::Room;
use crate::source::Origin;
use crate::spec::Names;

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A field that the recipe leaves out and that has no default.
    Absent,
    Bool(bool),
    Int(i64),
    Count(u64),
    Float(f64),
    Str(Arc<str>),
    Length(Length),
    Range(i64, i64),
    List(Vec<Node>),
    Table(Vec<(Arc<str>, Node)>),
    Any(Json),
}

/// What selected a table.
#[derive(Clone, Debug)]
pub(crate) enum Select {
    /// Nothing: a plain table, or not a table.
    Plain,
    /// A variant of this name.
    Variant(&'static str),
    /// A piece.
    Kind(&'static KindSpec),
}

/// A value of the resolved recipe. Clones share the mark that says whether the value was read.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) path: Arc<str>,
    pub(crate) origin: Origin,
    pub(crate) value: Value,
    pub(crate) select: Select,
    pub(crate) names: Option<Names>,
    /// Something was wrong with it, and was reported.
    pub(crate) broken: bool,
    read: Arc<AtomicBool>,
}

/// A value that nobody read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// Its dotted path.
    pub path: String,
    /// Where it comes from.
    pub origin: String,
    /// Whether the recipe says it; otherwise it is a default, or absent.
    pub given: bool,
}

impl Node {
    pub(crate) fn new(path: &str, origin: &Origin, value: Value) -> Self {
        Self {
            path: path.into(),
            origin: origin.clone(),
            value,
            select: Select::Plain,
            names: None,
            broken: false,
            read: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Says what selected it.
    pub(crate) fn selected_by(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// Says what its text refers to.
    pub(crate) fn naming(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
    }

    /// Stands where something wrong stood, so that the rest can still be looked at.
    pub(crate) fn broken(path: &str, origin: &Origin) -> Self {
        Self { broken: true, ..Self::new(path, origin, Value::Absent) }
    }

    pub(crate) fn mark(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Marks the whole tree as read.
    pub fn mark_all_read(&self) {
        self.mark();
        self.children().for_each(Self::mark_all_read);
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        let (list, table) = match &self.value {
            Value::List(list) => (list.as_slice(), [].as_slice()),
            Value::Table(table) => ([].as_slice(), table.as_slice()),
            _ => ([].as_slice(), [].as_slice()),
        };
        list.iter().chain(table.iter().map(|(_, node)| node))
    }

    /// The field, without marking it and without a panic.
    pub(crate) fn peek(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.iter().find(|(key, _)| &**key == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Its value is there and whole.
    pub(crate) fn present(&self) -> bool {
        !matches!(self.value, Value::Absent)
    }

    /// The field of that name, whatever its type.
    ///
    /// # Panics
    /// When the table's spec declares no such field: the code and the spec disagree.
    pub fn get(&self, name: &str) -> &Self {
        let node = self.peek(name).unwrap_or_else(|| self.undeclared(name));
        self.mark();
        node.mark();
        node
    }

    fn undeclared(&self, name: &str) -> ! {
        let what = match &self.select {
            Select::Kind(spec) => spec.topic(),
            _ => self.path.to_string(),
        };
        panic!("the code reads `{name}` of {what}, which its spec does not declare")
    }

    /// Whether a value is there: given, or a default.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).present()
    }

    /// A list; empty when absent.
    pub fn list(&self, name: &str) -> &[Self] {
        let node = self.get(name);
        match &node.value {
            Value::Absent => &[],
            Value::List(list) => list,
            _ => node.mismatch("a list"),
        }
    }

    /// The texts of a list; empty when absent.
    pub fn strs(&self, name: &str) -> Vec<&str> {
        self.items(name, Self::as_str)
    }

    /// The numbers of a list; empty when absent.
    pub fn f64s(&self, name: &str) -> Vec<f64> {
        self.items(name, Self::as_f64)
    }

    /// The counts of a list; empty when absent.
    pub fn u64s(&self, name: &str) -> Vec<u64> {
        self.items(name, Self::as_u64)
    }

    fn items<'a, T>(&'a self, name: &str, read: impl Fn(&'a Self) -> Option<T>) -> Vec<T> {
        let each =
            |item: &'a Self| read(item).unwrap_or_else(|| item.mismatch("of the type that the code reads"));
        self.list(name).iter().map(each).collect()
    }

    /// A table or a piece.
    pub fn table(&self, name: &str) -> &Self {
        self.opt_table(name).unwrap_or_else(|| self.get(name).mismatch("a table"))
    }

    /// A table or a piece, if it is there.
    pub fn opt_table(&self, name: &str) -> Option<&Self> {
        let node = self.get(name);
        match &node.value {
            Value::Absent => None,
            Value::Table(_) => Some(node),
            _ => node.mismatch("a table"),
        }
    }

    /// Anything, as JSON; null when absent.
    pub fn json(&self, name: &str) -> Json {
        self.get(name).to_json()
    }

    /// Named entries in the order of the recipe; empty when absent.
    pub fn map(&self, name: &str) -> Vec<(&str, &Self)> {
        let node = self.get(name);
        let entries = match &node.value {
            Value::Absent => [].as_slice(),
            Value::Table(table) => table.as_slice(),
            _ => node.mismatch("a table of named entries"),
        };
        entries
            .iter()
            .map(|(key, entry)| {
                entry.mark();
                (&**key, entry)
            })
            .collect()
    }

    pub(crate) fn mismatch(&self, wanted: &str) -> ! {
        panic!("the code reads {} as {wanted}, which its spec does not declare: {:?}", self.path, self.value)
    }

    /// A truth.
    pub fn as_bool(&self) -> Option<bool> {
        self.mark();
        if let Value::Bool(b) = self.value { Some(b) } else { None }
    }

    /// A whole number.
    pub fn as_i64(&self) -> Option<i64> {
        self.mark();
        if let Value::Int(n) = self.value { Some(n) } else { None }
    }

    /// A count.
    pub fn as_u64(&self) -> Option<u64> {
        self.mark();
        if let Value::Count(n) = self.value { Some(n) } else { None }
    }

    /// Any number.
    pub fn as_f64(&self) -> Option<f64> {
        self.mark();
        self.number()
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self.value {
            Value::Int(n) => Some(n as f64),
            Value::Count(n) => Some(n as f64),
            Value::Float(x) => Some(x),
            _ => None,
        }
    }

    /// A text, a path, a word of a choice, a name.
    pub fn as_str(&self) -> Option<&str> {
        self.mark();
        self.text()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Str(text) = &self.value { Some(text) } else { None }
    }

    /// A length.
    pub fn as_length(&self) -> Option<Length> {
        self.mark();
        if let Value::Length(length) = self.value { Some(length) } else { None }
    }

    /// Both ends, included.
    pub fn as_range(&self) -> Option<(i64, i64)> {
        self.mark();
        if let Value::Range(low, high) = self.value { Some((low, high)) } else { None }
    }

    /// A list.
    pub fn as_list(&self) -> Option<&[Self]> {
        self.mark();
        if let Value::List(list) = &self.value { Some(list) } else { None }
    }

    /// Whether the recipe leaves it out and there is no default.
    pub fn is_absent(&self) -> bool {
        self.mark();
        !self.present()
    }

    /// The kind of a piece, the name of a variant; empty for a plain table.
    pub fn kind(&self) -> &'static str {
        self.mark();
        match self.select {
            Select::Plain => "",
            Select::Variant(name) => name,
            Select::Kind(spec) => spec.name,
        }
    }

    /// The room of a piece.
    pub fn room(&self) -> Option<Room> {
        self.spec().map(|spec| spec.room)
    }

    /// The spec of a piece.
    pub fn spec(&self) -> Option<&'static KindSpec> {
        if let Select::Kind(spec) = self.select { Some(spec) } else { None }
    }

    /// The dotted path: `stage.rl.stream.rl.objective.kl`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the value comes from: `recipe.toml:24`, `--set`, `default`.
    pub fn origin(&self) -> String {
        self.origin.to_string()
    }

    /// Whether the recipe says it; otherwise it is a default, or absent.
    pub fn given(&self) -> bool {
        self.origin.given() && (self.present() || self.broken)
    }

    /// An error about this value, with its place in the recipe: `recipe.toml:24: …`.
    pub fn error(&self, what: impl Into<String>) -> Error {
        let place = if self.origin.given() { self.origin() } else { self.path.to_string() };
        Error::usage(format!("{place}: {}", what.into()))
    }

    /// The values without their origins, for digests. Marks nothing as read.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Absent => Json::Null,
            Value::Bool(b) => json!(b),
            Value::Int(n) => json!(n),
            Value::Count(n) => json!(n),
            Value::Float(x) => json!(x),
            Value::Str(text) => json!(&**text),
            Value::Length(length) => json!(length.to_string()),
            Value::Range(low, high) => json!([low, high]),
            Value::List(list) => Json::Array(list.iter().map(Self::to_json).collect()),
            Value::Table(table) => Json::Object(self.json_entries(table)),
            Value::Any(any) => any.clone(),
        }
    }

    fn json_entries(&self, table: &[(Arc<str>, Self)]) -> serde_json::Map<String, Json> {
        let kind = match self.select {
            Select::Plain => None,
            Select::Variant(name) => Some(name),
            Select::Kind(spec) => Some(spec.name),
        };
        let kind = kind.map(|name| ("kind".to_owned(), json!(name)));
        let fields = table.iter().filter(|(_, node)| node.present());
        kind.into_iter().chain(fields.map(|(key, node)| (key.to_string(), node.to_json()))).collect()
    }

    /// The values that nobody read: fields of tables, given or not, and tables whose `kind` nobody asked for.
    pub(crate) fn collect_unread(&self, out: &mut Vec<Unread>) {
        if !self.read.load(Ordering::Relaxed) {
            out.push(Unread { path: self.path.to_string(), origin: self.origin(), given: self.given() });
            return;
        }
        self.children().for_each(|child| child.collect_unread(out));
    }

    /// The given values among those that nobody read.
    pub(crate) fn given_unread<'a>(&'a self, out: &mut Vec<&'a Self>) {
        if self.read.load(Ordering::Relaxed) {
            self.children().for_each(|child| child.given_unread(out));
        } else if self.given() {
            out.push(self);
        }
    }
}
