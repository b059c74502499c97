//! Every field that a recipe can have, by the table it stands in.

use std::collections::BTreeSet;

use crate::kind::Catalogue;
use crate::room::Room;
use crate::spec::{Field, Ty};
use crate::top::TOP;

/// A field and its table.
pub(crate) struct Topic {
    /// `recipe`, `stage`, `stage.stream`, `objective.grpo`.
    pub table: String,
    pub field: &'static Field,
    /// The table is a kind of piece.
    pub of_kind: bool,
    /// It stands in a file of its own beside recipes.
    pub of_form: bool,
}

impl Topic {
    /// What `regimen explain` calls the field.
    pub fn name(&self) -> String {
        if self.table == "recipe" {
            self.field.name.to_owned()
        } else {
            format!("{}.{}", self.table, self.field.name)
        }
    }
}

/// All fields: those of the recipe's own tables first, then those of the kinds.
pub(crate) fn all(catalogue: &Catalogue) -> Vec<Topic> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for field in TOP {
        push("recipe", field, false, &mut out, &mut seen);
    }
    for kind in catalogue.all() {
        for field in kind.all_fields(true) {
            push(&kind.topic(), field, true, &mut out, &mut seen);
        }
    }
    for form in catalogue.forms() {
        for field in form.fields {
            push(form.name, field, false, &mut out, &mut seen);
        }
        let here = format!("{}.", form.name);
        for topic in &mut out {
            topic.of_form |= topic.table == form.name || topic.table.starts_with(&here);
        }
    }
    out
}

fn push(
    table: &str,
    field: &'static Field,
    of_kind: bool,
    out: &mut Vec<Topic>,
    seen: &mut BTreeSet<String>,
) {
    let topic = Topic { table: table.to_owned(), field, of_kind, of_form: false };
    let name = topic.name();
    // variants of one table share fields
    if seen.insert(name.clone()) {
        out.push(topic);
        inside(&field.ty, &name, of_kind, out, seen);
    }
}

fn inside(ty: &'static Ty, name: &str, of_kind: bool, out: &mut Vec<Topic>, seen: &mut BTreeSet<String>) {
    match ty {
        Ty::List(inner) | Ty::OneOrMany(inner) | Ty::Map(inner) | Ty::OneOrNamed(inner) => {
            inside(inner, name, of_kind, out, seen);
        }
        Ty::OneOf(types) => types.iter().for_each(|t| inside(t, name, of_kind, out, seen)),
        Ty::Table(fields) | Ty::KindOr(_, fields) => {
            fields.iter().for_each(|f| push(name, f, of_kind, out, seen));
        }
        Ty::Variants(variants) => {
            variants.iter().flat_map(|v| v.fields).for_each(|f| push(name, f, of_kind, out, seen));
        }
        _ => {}
    }
}

/// A topic as it would be written after `--set`: tables of named entries need a name.
pub(crate) fn as_path(table: &str, field: &str) -> String {
    let mut path = String::new();
    for step in table.split('.') {
        path = crate::path::join(&path, step);
        if matches!(step, "stage" | "stream" | "cast" | "arm") {
            path = format!("{path}.<{step}>");
        }
    }
    crate::path::join(&path, field)
}

/// The rooms whose kinds can stand in a field.
pub(crate) fn rooms_of(ty: &'static Ty) -> Vec<Room> {
    match ty {
        Ty::Kind(rooms) | Ty::KindOr(rooms, _) => rooms.to_vec(),
        Ty::List(inner) | Ty::OneOrMany(inner) | Ty::Map(inner) | Ty::OneOrNamed(inner) => rooms_of(inner),
        Ty::OneOf(types) => types.iter().flat_map(rooms_of).collect(),
        _ => Vec::new(),
    }
}
