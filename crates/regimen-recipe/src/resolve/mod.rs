//! From a tree as written to a typed tree: every value is checked against its spec, defaults are filled in, and
//! everything that is wrong is collected.

mod fields;
mod kinds;
mod scalar;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::form::FormSpec;
use crate::hint;
use crate::kind::Catalogue;
use crate::merge::call_name;
use crate::node::{Node, Value};
use crate::path::join;
use crate::raw::{Raw, RawTable, RawValue};
use crate::report::Diag;
use crate::source::{Origin, Sources};
use crate::spec::{Fallback, Field, Range, Ty};
use crate::top::TOP;
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
    /// What stands there when nothing is said, which a table without `kind` changes.
    pub fallback: Fallback,
    /// Fields that the table would have if it were something else, and what it would have to be.
    pub others: Vec<(&'static [Field], String)>,
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
            fallback: Fallback::Absent,
            others: Vec::new(),
        }
    }

    /// An item of the list that stands here.
    fn item(&self, step: &str) -> Self {
        let title = if step.parse::<usize>().is_ok() {
            format!("entry {step} of `{}`", self.name)
        } else {
            format!("{} `{step}`", self.name)
        };
        Self {
            path: join(&self.path, step),
            title,
            in_list: true,
            fallback: Fallback::Absent,
            ..self.clone()
        }
    }

    /// An entry of the map that stands here.
    fn entry(&self, key: &str) -> Self {
        let title = format!("{} `{key}`", self.name);
        let (path, name) = (join(&self.path, key), join(&self.name, key));
        Self { path, name, title, fallback: Fallback::Absent, ..self.clone() }
    }
}

impl<'a> Resolver<'a> {
    /// A walk without names of data sets.
    pub fn new(catalogue: &'a Catalogue, sources: &'a Sources) -> Self {
        let (named, used) = (BTreeMap::new(), BTreeSet::new());
        Self { catalogue, sources, named, used, names_off: false, diags: Vec::new() }
    }

    /// The whole recipe, without what is used up before.
    pub fn root(&mut self, raw: &Raw) -> Node {
        let specs: Vec<&'static Field> = TOP.iter().filter(|f| !matches!(f.name, "base" | "arm")).collect();
        let empty = RawTable::default();
        let table = raw.as_table().unwrap_or(&empty);
        let fields = self.fields(&specs, table, &raw.origin, &Place::root(), &[], false);
        Node::new("", &raw.origin, Value::Table(fields))
    }

    /// The table of a file that stands beside recipes.
    pub fn form(&mut self, spec: &FormSpec, raw: &Raw) -> Node {
        let specs: Vec<&'static Field> = spec.fields.iter().collect();
        let name = spec.name.to_owned();
        let place = Place { title: format!("the {name}"), topic: name.clone(), name, ..Place::root() };
        let empty = RawTable::default();
        let table = raw.as_table().unwrap_or(&empty);
        let fields = self.fields(&specs, table, &raw.origin, &place, &[], false);
        Node::new("", &raw.origin, Value::Table(fields))
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
                let node = self.one_or_named(ty, inner, raw, &Place { in_list: true, ..place.clone() });
                self.names_off = names_off;
                node
            }
            Ty::Kind(rooms) => self.kind(ty, rooms, raw, place),
            Ty::KindOr(rooms, fields) => match raw.as_table() {
                Some(table) if table.get("kind").is_none() => self.plain_table(fields, table, raw, place),
                _ => {
                    let others = vec![(
                        *fields,
                        "it stands only where no `kind` does: keep one of the two".to_owned(),
                    )];
                    self.kind(ty, rooms, raw, &Place { others, ..place.clone() })
                }
            },
            Ty::Variants(variants) => self.variant(ty, variants, raw, place),
            Ty::OneOf(types) => match types.iter().find(|t| scalar::fits(t, raw)) {
                Some(found) => self.value(found, raw, place),
                None => self.wrong(ty, raw, place, &nearest_choice(types, raw)),
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
            let message = format!("`{}` must be {}", place.name, place.range.describe());
            self.diags
                .push(Diag::new(message).at(&raw.origin, format!("found {out}")).note(see(&place.topic)));
        }
    }

    /// Reports a value of another type.
    fn wrong(&mut self, ty: &Ty, raw: &Raw, place: &Place, remedy: &str) -> Node {
        let message = format!("`{}` must be {}", place.name, ty.describe());
        let label = if remedy.is_empty() { format!("found {}", raw.found()) } else { remedy.to_owned() };
        self.diags.push(Diag::new(message).at(&raw.origin, label).note(see(&place.topic)));
        Node::broken(&place.path, &raw.origin)
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
                let message = format!("`{}` cannot be a name in `{}`", entry.key, place.name);
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
                    format!("`{}` cannot name a data set: it is a kind of {}", entry.key, kind.room.name());
                let label = if entry.value.as_table().is_some() {
                    "choose another name"
                } else {
                    "is a `kind` missing?"
                };
                self.diags.push(Diag::new(message).at(&entry.key_at, label).note(see(&kind.topic())));
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

fn see(topic: &str) -> String {
    format!("see: regimen explain {topic}")
}

/// The word that was meant, where one of several types is a choice of words.
fn nearest_choice(types: &[Ty], raw: &Raw) -> String {
    let words = types.iter().filter_map(|ty| if let Ty::Choice(words) = ty { Some(*words) } else { None });
    raw.as_str().map_or_else(String::new, |text| {
        hint::did_you_mean(text, &words.flatten().copied().collect::<Vec<_>>())
    })
}

/// Why a name cannot be used in dotted paths.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (name.is_empty() || !name.chars().all(plain)).then_some("use letters, digits, `-` and `_`")
}

/// What an item is called in paths: what it goes by, if no other item does, or its position.
fn step_name(items: &[Raw], i: usize) -> String {
    let name = call_name(&items[i]).filter(|name| name_fault(name).is_none());
    match name {
        Some(name) if items.iter().filter(|item| call_name(item) == Some(name)).count() == 1 => {
            name.to_owned()
        }
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
