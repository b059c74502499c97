//! From a tree as written to a typed tree: every value is checked against its spec, defaults are filled in, and
//! everything that is wrong is collected.

mod fields;
mod kinds;
mod scalar;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::kind::Catalogue;
use crate::merge::id_of;
use crate::node::{Node, Value};
use crate::path::join;
use crate::raw::{Raw, RawTable, RawValue};
use crate::report::Diag;
use crate::source::{Origin, Sources};
use crate::spec::{Field, Range, Ty};
use crate::topics;

/// Walks a tree against its spec.
pub(crate) struct Resolver<'a> {
    pub catalogue: &'a Catalogue,
    pub sources: &'a Sources,
    /// The data sets that the recipe names, which stand for kinds of data.
    pub named: BTreeMap<String, Raw>,
    /// Those of them that something uses.
    pub used: BTreeSet<String>,
    /// Names of data sets mean nothing here: in the data sets themselves.
    pub names_off: bool,
    pub diags: Vec<Diag>,
}

/// Where the walk is.
#[derive(Clone)]
pub(crate) struct Place {
    /// The path of the value.
    pub path: String,
    /// The field's name, for messages.
    pub name: String,
    /// What `regimen explain` calls it.
    pub topic: String,
    /// What messages call it when it is a table.
    pub title: String,
    /// Limits of numbers.
    pub range: Range,
    /// It is an item of a list, which has its room's shared fields.
    pub in_list: bool,
}

impl Place {
    /// The recipe itself.
    pub fn root() -> Self {
        Self {
            path: String::new(),
            name: "recipe".to_owned(),
            topic: "recipe".to_owned(),
            title: "the recipe".to_owned(),
            range: Range::ANY,
            in_list: false,
        }
    }

    /// An item of the list that stands here.
    fn item(&self, step: &str) -> Self {
        let title = if step.parse::<usize>().is_ok() {
            format!("entry {step} of `{}`", self.name)
        } else {
            format!("{} `{step}`", self.name)
        };
        Self { path: join(&self.path, step), title, in_list: true, ..self.clone() }
    }

    /// An entry of the map that stands here.
    fn entry(&self, key: &str) -> Self {
        Self { path: join(&self.path, key), title: format!("{} `{key}`", self.name), ..self.clone() }
    }
}

impl<'a> Resolver<'a> {
    /// A walk without names of data sets.
    pub fn new(catalogue: &'a Catalogue, sources: &'a Sources) -> Self {
        let (named, used) = (BTreeMap::new(), BTreeSet::new());
        Self { catalogue, sources, named, used, names_off: false, diags: Vec::new() }
    }

    /// The recipe's own fields.
    pub fn root_fields(
        &mut self,
        specs: &[&'static Field],
        table: &RawTable,
        at: &Origin,
    ) -> Vec<(Arc<str>, Node)> {
        self.fields(specs, table, at, &Place::root(), &[], false)
    }

    /// The node for `raw`.
    pub fn value(&mut self, ty: &'static Ty, raw: &Raw, place: &Place) -> Node {
        match ty {
            Ty::List(inner) => match raw.as_list() {
                Some(items) => self.list(inner, items, raw, place),
                None => self.wrong(ty, raw, place, &format!("put it into brackets: {} = […]", place.name)),
            },
            Ty::OneOrMany(inner) => match raw.as_list() {
                Some(items) => self.list(inner, items, raw, place),
                None => self.list(inner, std::slice::from_ref(raw), raw, place),
            },
            Ty::Table(fields) => match raw.as_table() {
                Some(table) => self.plain_table(fields, table, raw, place),
                None => self.wrong(ty, raw, place, ""),
            },
            Ty::Map(inner) => self.map(ty, inner, raw, place),
            Ty::OneOrNamed(inner) => {
                let names_off = std::mem::replace(&mut self.names_off, true);
                let node = self.one_or_named(ty, inner, raw, place);
                self.names_off = names_off;
                node
            }
            Ty::Kind(rooms) => self.kind(ty, rooms, raw, place),
            Ty::KindOr(rooms, fields) => match raw.as_table() {
                Some(table) if table.get("kind").is_none() => self.plain_table(fields, table, raw, place),
                _ => self.kind(ty, rooms, raw, place),
            },
            Ty::Variants(variants) => self.variant(ty, variants, raw, place),
            Ty::OneOf(types) => match types.iter().find(|t| scalar::fits(t, raw)) {
                Some(found) => self.value(found, raw, place),
                None => self.wrong(ty, raw, place, ""),
            },
            Ty::Any => match any(raw) {
                Ok(json) => Node::new(&place.path, &raw.origin, Value::Any(json)),
                Err(()) => self.wrong(ty, raw, place, "only finite numbers can stand here"),
            },
            Ty::Name(names) => self.scalar(ty, raw, place).naming(*names),
            _ => self.scalar(ty, raw, place),
        }
    }

    fn scalar(&mut self, ty: &Ty, raw: &Raw, place: &Place) -> Node {
        match scalar::read(ty, raw, self.sources) {
            Ok(value) => {
                self.check_range(&value, raw, place);
                Node::new(&place.path, &raw.origin, value)
            }
            Err(remedy) => self.wrong(ty, raw, place, &remedy),
        }
    }

    fn check_range(&mut self, value: &Value, raw: &Raw, place: &Place) {
        let numbers = match *value {
            Value::Int(n) => vec![n as f64],
            Value::Count(n) => vec![n as f64],
            Value::Float(x) => vec![x],
            Value::Range(low, high) => vec![low as f64, high as f64],
            _ => return,
        };
        if let Some(out) = numbers.into_iter().find(|&x| !place.range.contains(x)) {
            let limits = place.range.describe();
            let message = format!("`{}` must be {limits}, found {out}", place.name);
            self.diags.push(Diag::new(message).at(&raw.origin, limits).note(self.see(&place.topic)));
        }
    }

    /// Reports a value of another type.
    fn wrong(&mut self, ty: &Ty, raw: &Raw, place: &Place, remedy: &str) -> Node {
        let message = format!("`{}` must be {}, found {}", place.name, ty.describe(), raw.found());
        self.diags.push(Diag::new(message).at(&raw.origin, remedy).note(self.see(&place.topic)));
        Node::broken(&place.path, &raw.origin)
    }

    #[expect(clippy::unused_self, reason = "reads as a part of the walk")]
    fn see(&self, topic: &str) -> String {
        format!("see: regimen explain {topic}")
    }

    fn list(&mut self, inner: &'static Ty, items: &[Raw], raw: &Raw, place: &Place) -> Node {
        let mut nodes = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let at = place.item(&step_name(items, i));
            nodes.push(self.value(inner, item, &at));
        }
        Node::new(&place.path, &raw.origin, Value::List(nodes))
    }

    fn map(&mut self, ty: &Ty, inner: &'static Ty, raw: &Raw, place: &Place) -> Node {
        let Some(table) = raw.as_table() else { return self.wrong(ty, raw, place, "") };
        let mut entries: Vec<(Arc<str>, Node)> = Vec::with_capacity(table.entries.len());
        for entry in &table.entries {
            if let Some(fault) = name_fault(&entry.key) {
                let message = format!("`{}` cannot name {}", entry.key, article(&place.name));
                self.diags.push(Diag::new(message).at(&entry.key_at, fault));
                continue;
            }
            let node = self.value(inner, &entry.value, &place.entry(&entry.key));
            entries.push((entry.key.as_str().into(), node));
        }
        Node::new(&place.path, &raw.origin, Value::Table(entries))
    }

    fn one_or_named(&mut self, ty: &Ty, inner: &'static Ty, raw: &Raw, place: &Place) -> Node {
        let Some(table) = raw.as_table().filter(|table| table.get("kind").is_none()) else {
            return self.value(inner, raw, place);
        };
        for entry in &table.entries {
            if let Some(kind) = self.catalogue.find(&topics::rooms_of(inner), &entry.key) {
                let message =
                    format!("`{}` is a kind already, so it cannot name {}", entry.key, article(&place.name));
                let label = if entry.value.as_table().is_some() {
                    "choose another name"
                } else {
                    "is a `kind` missing?"
                };
                self.diags.push(Diag::new(message).at(&entry.key_at, label).note(self.see(&kind.topic())));
            }
        }
        self.map(ty, inner, raw, place)
    }

    fn plain_table(&mut self, fields: &'static [Field], table: &RawTable, raw: &Raw, place: &Place) -> Node {
        let specs: Vec<&'static Field> = fields.iter().collect();
        let entries = self.fields(&specs, table, &raw.origin, place, &[], false);
        Node::new(&place.path, &raw.origin, Value::Table(entries))
    }

    /// An origin for what nobody wrote.
    fn default_origin() -> Origin {
        Origin::default_of("")
    }
}

fn article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Why a name cannot be used in dotted paths.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (name.is_empty() || !name.chars().all(plain)).then_some("use letters, digits, `-` and `_`")
}

/// What an item is called in paths: its id, its kind if no other item has it, or its position.
fn step_name(items: &[Raw], i: usize) -> String {
    if let Some(id) = id_of(&items[i]).filter(|id| name_fault(id).is_none()) {
        return id.to_owned();
    }
    let kind = items[i].kind().filter(|kind| name_fault(kind).is_none());
    match kind {
        Some(kind) if items.iter().filter(|item| item.kind() == Some(kind)).count() == 1 => kind.to_owned(),
        _ => i.to_string(),
    }
}

fn any(raw: &Raw) -> Result<Json, ()> {
    Ok(match &raw.value {
        RawValue::Bool(b) => Json::from(*b),
        RawValue::Int(n) => Json::from(*n),
        RawValue::Float(x) => Json::Number(serde_json::Number::from_f64(*x).ok_or(())?),
        RawValue::Str(text) | RawValue::Date(text) => Json::from(text.as_str()),
        RawValue::List(list) => Json::Array(list.iter().map(any).collect::<Result<_, ()>>()?),
        RawValue::Table(table) => {
            let entry = |e: &crate::raw::Entry| Ok((e.key.clone(), any(&e.value)?));
            Json::Object(table.entries.iter().map(entry).collect::<Result<_, ()>>()?)
        }
    })
}
