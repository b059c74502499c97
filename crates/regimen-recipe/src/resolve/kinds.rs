//! Tables that a word selects: pieces by `kind`, variants by `kind`, data sets by name.

use std::borrow::Cow;

use super::fields::Override;
use super::{Place, Resolver};
use crate::hint;
use crate::kind::KindSpec;
use crate::merge;
use crate::node::{Node, Select, Value};
use crate::raw::{Entry, Raw, RawTable, RawValue};
use crate::report::Diag;
use crate::room::Room;
use crate::source::Origin;
use crate::spec::{Fallback, Field, Ty, Variant};
use crate::top::PACKED;

impl Resolver<'_> {
    pub(super) fn kind(&mut self, ty: &Ty, rooms: &[Room], raw: &Raw, place: &Place) -> Node {
        let (name, name_at) = match &raw.value {
            RawValue::Str(name) => (name.as_str(), &raw.origin),
            RawValue::Table(table) => match table.get("kind") {
                Some(Raw { value: RawValue::Str(name), origin }) => (name.as_str(), origin),
                Some(other) => {
                    let kind = Place { name: "kind".to_owned(), ..place.clone() };
                    return self.wrong(&Ty::Str, other, &kind, "put the kind into quotes");
                }
                None => match self.default_kind(rooms, place) {
                    Some(spec) => return self.piece(spec, raw, place),
                    None => return self.no_kind(rooms, raw, place),
                },
            },
            _ => return self.wrong(ty, raw, place, ""),
        };
        if let Some(spec) = self.catalogue.find(rooms, name) {
            return self.piece(spec, raw, place);
        }
        if !self.takes_names(rooms) || !self.named.contains_key(name) {
            return self.no_such_kind(rooms, name, name_at, place);
        }
        let names_off = std::mem::replace(&mut self.names_off, true);
        let node = match self.data_set(rooms, name, raw, place) {
            Some((spec, merged)) => self.piece(spec, &merged, place),
            // told where the data set is described
            None => Node::broken(&place.path, name_at),
        };
        self.names_off = names_off;
        node
    }

    /// The kind that fields without a `kind` belong to: `--set stage.main.optimizer.weight-decay=0.1`.
    fn default_kind(&self, rooms: &[Room], place: &Place) -> Option<&'static KindSpec> {
        match place.fallback {
            Fallback::Room => self.catalogue.standard(rooms),
            Fallback::Value(text) => {
                let raw = Raw::of_default(text, &Self::default_origin()).ok()?;
                self.catalogue.find(rooms, raw.kind()?)
            }
            Fallback::Required | Fallback::Absent => None,
        }
    }

    /// Whether the name of a data set can stand for a kind.
    fn takes_names(&self, rooms: &[Room]) -> bool {
        !self.names_off && rooms.iter().any(|room| matches!(room, Room::Data | Room::Task))
    }

    /// A data set that the recipe names, with the fields that are written here on top.
    fn data_set(
        &mut self,
        rooms: &[Room],
        name: &str,
        raw: &Raw,
        place: &Place,
    ) -> Option<(&'static KindSpec, Raw)> {
        let mut merged = self.named.get(name)?.clone();
        self.used.insert(name.to_owned());
        let mut over = raw.as_table().cloned().unwrap_or_default();
        over.remove("kind");
        if place.in_list && over.get("name").is_none() {
            // so that paths stay what they are when the resolved recipe is read again
            let value = Raw::text(name, &raw.origin);
            over.entries.push(Entry { key: "name".to_owned(), key_at: raw.origin.clone(), value });
        }
        let over = Raw { value: RawValue::Table(over), origin: raw.origin.clone() };
        merge::merge(&mut merged, over, name, &mut self.diags);
        let spec = self.catalogue.find(rooms, merged.kind()?)?;
        Some((spec, merged))
    }

    fn piece(&mut self, spec: &'static KindSpec, raw: &Raw, place: &Place) -> Node {
        let table = raw.as_table().map_or_else(|| Cow::Owned(RawTable::default()), Cow::Borrowed);
        let title = format!("{} `{}`", spec.room.name(), spec.name);
        let mut here = Place { title, topic: spec.topic(), in_list: false, ..place.clone() };
        if !place.in_list {
            here.others.push((spec.room.shared_fields(), "only entries of a list have it".to_owned()));
        }
        let specs = spec.all_fields(place.in_list);
        let fields = self.fields(&specs, &table, &raw.origin, &here, &[], true);
        Node::new(&place.path, &raw.origin, Value::Table(fields)).selected_by(Select::Kind(spec))
    }

    fn no_kind(&mut self, rooms: &[Room], raw: &Raw, place: &Place) -> Node {
        let diag = Diag::new(format!("{} needs a `kind`", place.title))
            .at(&raw.origin, "add `kind = \"…\"`")
            .note(self.kinds_note(rooms))
            .note(see_list(rooms));
        self.diags.push(diag);
        Node::broken(&place.path, &raw.origin)
    }

    fn no_such_kind(&mut self, rooms: &[Room], name: &str, at: &Origin, place: &Place) -> Node {
        let wanted: Vec<&str> = rooms.iter().map(|room| room.name()).collect();
        let label =
            self.kind_elsewhere(name).unwrap_or_else(|| hint::did_you_mean(name, &self.kind_names(rooms)));
        let diag = Diag::new(format!("there is no {} `{name}`", wanted.join(" or ")))
            .at(at, label)
            .note(self.kinds_note(rooms))
            .note(see_list(rooms));
        self.diags.push(diag);
        Node::broken(&place.path, at)
    }

    /// What a kind of that name in another room is, or why there is none.
    fn kind_elsewhere(&self, name: &str) -> Option<String> {
        if name == "packing" {
            return Some(PACKED.to_owned());
        }
        let found = self.catalogue.all().iter().find(|kind| kind.name == name)?;
        Some(format!("`{name}` is {}", found.room.with_article()))
    }

    fn kind_names(&self, rooms: &[Room]) -> Vec<&str> {
        let kinds = rooms.iter().flat_map(|&room| self.catalogue.kinds(room)).map(|kind| kind.name);
        let takes_names = self.takes_names(rooms);
        let mut names: Vec<&str> = self.named.keys().filter(|_| takes_names).map(String::as_str).collect();
        for kind in kinds {
            if !names.contains(&kind) {
                names.push(kind);
            }
        }
        names
    }

    fn kinds_note(&self, rooms: &[Room]) -> String {
        let names = self.kind_names(rooms);
        if names.is_empty() { String::new() } else { format!("kinds: {}", names.join(", ")) }
    }

    pub(super) fn variant(
        &mut self,
        ty: &Ty,
        variants: &'static [Variant],
        raw: &Raw,
        place: &Place,
    ) -> Node {
        let Some(table) = raw.as_table() else { return self.wrong(ty, raw, place, "") };
        let kind = table.get("kind");
        let name = kind.map_or_else(|| variants.first().map(|v| v.name), Raw::as_str);
        let Some(variant) = variants.iter().find(|v| Some(v.name) == name) else {
            let names: Vec<&str> = variants.iter().map(|v| v.name).collect();
            let origin = kind.map_or(&raw.origin, |kind| &kind.origin);
            let diag = Diag::new(format!("`kind` of {} must be one of {}", place.title, names.join(", ")))
                .at(origin, hint::did_you_mean(name.unwrap_or(""), &names))
                .note(format!("see: regimen explain {}", place.topic));
            self.diags.push(diag);
            return Node::broken(&place.path, &raw.origin);
        };
        let specs: Vec<&'static Field> = variant.fields.iter().collect();
        let overrides = self.objective_defaults(table);
        let other = |v: &&'static Variant| v.name != variant.name;
        let only =
            |v: &'static Variant| (v.fields, format!("only a {} of kind `{}` has it", place.name, v.name));
        let others = variants.iter().filter(other).map(only).collect();
        let here = Place { in_list: false, others, ..place.clone() };
        let fields = self.fields(&specs, table, &raw.origin, &here, &overrides, true);
        Node::new(&place.path, &raw.origin, Value::Table(fields)).selected_by(Select::Variant(variant.name))
    }

    /// What a stage takes from the first objective of its streams when the recipe says nothing.
    fn objective_defaults(&self, stage: &RawTable) -> Vec<Override> {
        let streams = stage.get("stream").and_then(Raw::as_table);
        let objectives =
            streams.iter().flat_map(|t| &t.entries).filter_map(|e| e.value.as_table()?.get("objective"));
        let first =
            objectives.flat_map(|o| o.as_list().unwrap_or(std::slice::from_ref(o))).find_map(Raw::kind);
        let Some(spec) = first.and_then(|name| self.catalogue.get(Room::Objective, name)) else {
            return Vec::new();
        };
        spec.stage_defaults.iter().map(|(field, text)| (*field, *text, spec.topic())).collect()
    }
}

fn see_list(rooms: &[Room]) -> String {
    let rooms: Vec<String> = rooms.iter().map(|room| format!("regimen list {}", room.name())).collect();
    format!("see: {}", rooms.join(", "))
}
