//! The fields of one table: known or not, given once or twice, or left to a default.

use std::sync::Arc;

use super::{Place, Resolver};
use crate::hint;
use crate::node::{Node, Value};
use crate::path::join;
use crate::raw::{Entry, Raw, RawTable};
use crate::report::Diag;
use crate::source::Origin;
use crate::spec::{Fallback, Field, Ty, same_key};
use crate::topics::{self, Topic};

/// A default that stands before the field's own: field, TOML text, whose it is.
pub(super) type Override = (&'static str, &'static str, String);

impl Resolver<'_> {
    /// The nodes of all fields in the order of the specs. `selects`: the table's `kind` is not a field.
    pub(super) fn fields(
        &mut self,
        specs: &[&'static Field],
        table: &RawTable,
        table_at: &Origin,
        place: &Place,
        overrides: &[Override],
        selects: bool,
    ) -> Vec<(Arc<str>, Node)> {
        let mut given: Vec<Vec<&Entry>> = vec![Vec::new(); specs.len()];
        for entry in &table.entries {
            match specs.iter().position(|field| field.answers_to(&entry.key)) {
                Some(i) => given[i].push(entry),
                None if selects && entry.key == "kind" => {}
                None => self.unknown(entry, specs, place),
            }
        }
        let mut nodes = Vec::with_capacity(specs.len());
        for (field, entries) in specs.iter().zip(given) {
            let at = field_place(field, place);
            let node = match self.winner(field, &entries) {
                Some(entry) => self.value(&field.ty, &entry.value, &at),
                // the refusal of the old name says what to write
                None if table.entries.iter().any(|e| refuses(field, &e.key)) => {
                    Node::broken(&at.path, table_at)
                }
                None => self.fallback(field, table_at, place, &at, overrides),
            };
            nodes.push((field.name.into(), node));
        }
        nodes
    }

    /// The entry that counts: the one of the highest layer. Two names for one field in one layer are an error.
    fn winner<'e>(&mut self, field: &Field, entries: &[&'e Entry]) -> Option<&'e Entry> {
        let top = entries.iter().map(|e| e.key_at.layer).max()?;
        let mut of_top = entries.iter().filter(|e| e.key_at.layer == top);
        let first = of_top.next()?;
        for second in of_top {
            let message = if field.name == first.key || field.name == second.key {
                format!("`{}` and `{}` are the same field", first.key, second.key)
            } else {
                format!("`{}` and `{}` are both `{}`", first.key, second.key, field.name)
            };
            self.diags.push(
                Diag::new(message).at(&second.key_at, "keep one of them").at(&first.key_at, "the other"),
            );
        }
        Some(first)
    }

    fn fallback(
        &mut self,
        field: &'static Field,
        table_at: &Origin,
        owner: &Place,
        at: &Place,
        overrides: &[Override],
    ) -> Node {
        if let Some((_, text, whose)) = overrides.iter().find(|(name, ..)| *name == field.name) {
            return self.default_value(field, text, &Origin::default_of(whose), at);
        }
        let origin = Self::default_origin();
        match field.fallback {
            Fallback::Absent => Node::new(&at.path, &origin, Value::Absent),
            Fallback::Value(text) => self.default_value(field, text, &origin, at),
            Fallback::Room => {
                let rooms = if let Ty::Kind(rooms) | Ty::KindOr(rooms, _) = field.ty { rooms } else { &[] };
                match self.catalogue.standard(rooms) {
                    Some(spec) => self.value(&field.ty, &Raw::text(spec.name, &origin), at),
                    None => Node::new(&at.path, &origin, Value::Absent),
                }
            }
            Fallback::Required => {
                let message = format!("{} needs `{}`", owner.title, field.name);
                let diag = Diag::new(message)
                    .at(table_at, addition(field))
                    .note(format!("{}: {}; {}", field.name, field.doc, field.ty.describe()))
                    .note(format!("see: regimen explain {}", owner.topic));
                self.diags.push(diag);
                Node::broken(&at.path, table_at)
            }
        }
    }

    fn default_value(&mut self, field: &'static Field, text: &str, origin: &Origin, at: &Place) -> Node {
        match Raw::of_default(text, origin) {
            Ok(raw) => self.value(&field.ty, &raw, at),
            Err(diag) => {
                self.diags.push(
                    diag.note(format!("in the default of `{}`, which is a fault of the program", at.path)),
                );
                Node::broken(&at.path, origin)
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, specs: &[&'static Field], place: &Place) {
        let key = entry.key.as_str();
        let message = format!("{} has no field `{key}`", place.title);
        let renamed = specs.iter().flat_map(|f| f.renamed).find(|(old, _)| same_key(old, key));
        let other = place.others.iter().find(|(fields, _)| fields.iter().any(|f| f.answers_to(key)));
        let label = match (renamed, other) {
            (Some((_, remedy)), _) => (*remedy).to_owned(),
            (None, Some((_, label))) => label.clone(),
            (None, None) => self.elsewhere(key, place).unwrap_or_else(|| {
                let names: Vec<&str> = specs
                    .iter()
                    .flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()))
                    .collect();
                hint::did_you_mean(key, &names)
            }),
        };
        let diag = Diag::new(message)
            .at(&entry.key_at, label)
            .note(fields_note(specs))
            .note(format!("see: regimen explain {}", place.topic));
        self.diags.push(diag);
    }

    /// Where a key would be at home, if it is a field of another table.
    fn elsewhere(&self, key: &str, place: &Place) -> Option<String> {
        let here = place.topic.as_str();
        let own_room = here.split('.').next().unwrap_or(here);
        let in_form = self.catalogue.forms().iter().any(|form| form.name == own_room);
        let at_home = |topic: &Topic| {
            topic.field.answers_to(key)
                && topic.of_form == in_form
                && topic.table != here
                && !(topic.of_kind && topic.table.starts_with(own_room))
        };
        let topics = topics::all(self.catalogue);
        let homes: Vec<&Topic> = topics.iter().filter(|t| at_home(t)).collect();
        let home = homes.iter().find(|t| !t.of_kind).or_else(|| homes.first())?;
        let name = home.field.name;
        Some(match home.table.as_str() {
            "recipe" => format!("`{name}` belongs to the top of the recipe"),
            table if home.of_kind => format!("`{name}` is a field of {table}"),
            table => format!("`{name}` belongs to {}", topics::as_path(table, name)),
        })
    }
}

fn refuses(field: &Field, key: &str) -> bool {
    field.renamed.iter().any(|(old, _)| same_key(old, key))
}

/// What to add for a field that is missing.
fn addition(field: &Field) -> String {
    match field.ty {
        Ty::List(Ty::Table(_) | Ty::Variants(_)) => format!("add a [[{}]]", field.name),
        Ty::Table(_) => format!("add `{} = {{ … }}`", field.name),
        Ty::Map(_) => format!("add `{}.NAME = {{ … }}`", field.name),
        _ => format!("add `{} = …`", field.name),
    }
}

fn field_place(field: &Field, owner: &Place) -> Place {
    let topic = if owner.topic == "recipe" {
        field.name.to_owned()
    } else {
        format!("{}.{}", owner.topic, field.name)
    };
    let path = join(&owner.path, field.name);
    let (title, name) = (format!("`{path}`"), field.name.to_owned());
    let (range, fallback) = (field.range, field.fallback);
    Place { path, name, topic, title, range, in_list: false, fallback, others: Vec::new() }
}

/// `fields: clip, clip-high, ratio (token | sequence)`.
fn fields_note(specs: &[&'static Field]) -> String {
    let one = |field: &&'static Field| match field.ty {
        Ty::Choice(words) if words.len() <= 5 => format!("{} ({})", field.name, words.join(" | ")),
        _ => field.name.to_owned(),
    };
    let all: Vec<String> = specs.iter().map(one).collect();
    if all.is_empty() { "it has no fields".to_owned() } else { format!("fields: {}", all.join(", ")) }
}
