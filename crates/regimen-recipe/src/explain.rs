//! What a room, a kind, a table or a field is, for the terminal.

use std::fmt::Write as _;

use regimen_base::{Error, Result};

use crate::hint;
use crate::kind::{Catalogue, KindSpec, Status};
use crate::room::Room;
use crate::spec::{Fallback, Field, Ty};
use crate::topics::{self, Topic};

/// What `topic` is: a kind (`objective.grpo`), a room (`objective`), a table (`stage.stream`), a field (`stage.lr`, or
/// just `lr`), or the whole `recipe`.
///
/// # Errors
/// When nothing has that name; the remedy is the nearest name.
pub fn explain(catalogue: &Catalogue, topic: &str) -> Result<String> {
    let topics = topics::all(catalogue);
    if topic == "recipe" {
        return Ok(table_text(
            "recipe",
            "A recipe: stages in order, and what they need.",
            &topics,
            catalogue,
        ));
    }
    let kind = topic.split_once('.').and_then(|(room, name)| catalogue.get(Room::from_name(room)?, name));
    if let Some(kind) = kind.or_else(|| catalogue.all().iter().copied().find(|k| k.name == topic)) {
        return Ok(kind_text(kind, catalogue));
    }
    if let Some(field) = topics.iter().find(|t| t.name() == topic) {
        return Ok(topic_text(field, &topics, catalogue));
    }
    let room = Room::from_name(topic).map(|room| list(catalogue, room));
    if let Some(form) = catalogue.forms().iter().find(|form| form.name == topic) {
        let kinds = room.map_or_else(String::new, |kinds| format!("\n{kinds}"));
        return Ok(table_text(topic, form.doc, &topics, catalogue) + &kinds);
    }
    if let Some(list) = room {
        return Ok(list);
    }
    let fields: Vec<&Topic> = topics.iter().filter(|t| t.field.answers_to(topic)).collect();
    if !fields.is_empty() {
        return Ok(fields.iter().map(|t| topic_text(t, &topics, catalogue)).collect::<Vec<_>>().join("\n"));
    }
    Err(nothing_called(topic, &topics, catalogue))
}

fn nothing_called(topic: &str, topics: &[Topic], catalogue: &Catalogue) -> Error {
    let mut names: Vec<String> =
        catalogue.all().iter().flat_map(|k| [k.topic(), k.name.to_owned()]).collect();
    names.extend(topics.iter().filter(|t| !t.of_kind).map(Topic::name));
    names.extend(Room::ALL.iter().map(|room| room.name().to_owned()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let remedy = match hint::nearest(topic, &names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`regimen explain recipe` shows where to begin".to_owned(),
    };
    Error::usage(format!("nothing is called `{topic}`")).remedy(remedy)
}

/// The kinds of a room, one line each.
pub fn list(catalogue: &Catalogue, room: Room) -> String {
    let mut out = format!("{}: {}\n", room.name(), room.doc());
    let width = catalogue.kinds(room).map(|k| k.name.len()).max().unwrap_or(0);
    for kind in catalogue.kinds(room) {
        let note = match (kind.standard, kind.status) {
            (true, _) => " (standard)",
            (_, Status::Experimental) => " (experimental)",
            _ => "",
        };
        let _ = writeln!(out, "  {:width$}  {}{note}", kind.name, kind.doc);
    }
    if width == 0 {
        out.push_str("  nothing yet\n");
    }
    out
}

fn kind_text(kind: &KindSpec, catalogue: &Catalogue) -> String {
    let mut out = format!("{}: {}\n", kind.topic(), kind.doc);
    if !kind.source.is_empty() {
        let _ = writeln!(out, "source: {}", kind.source);
    }
    if kind.status == Status::Experimental {
        out.push_str("experimental: it may change\n");
    }
    fields_text(&kind.all_fields(true), catalogue, &mut out);
    if !kind.writes.is_empty() {
        let _ = writeln!(out, "\nwrites: {}", kind.writes.join(", "));
    }
    for (field, value) in kind.stage_defaults {
        let _ = writeln!(out, "\ngives its stage the default {field} = {value}");
    }
    if !kind.example.is_empty() {
        let _ = writeln!(out, "\nexample:\n  {} = {}", kind.room.name(), kind.example);
    }
    out
}

fn topic_text(topic: &Topic, topics: &[Topic], catalogue: &Catalogue) -> String {
    let name = topic.name();
    if topics.iter().any(|t| t.table == name) {
        return table_text(&name, topic.field.doc, topics, catalogue);
    }
    let mut out = format!("{name}: {}\n", topic.field.doc);
    let _ = writeln!(out, "  {}", facts(topic.field, catalogue));
    rooms_text(&topic.field.ty, catalogue, &mut out);
    if !topic.of_kind && !topic.of_form {
        let _ = writeln!(
            out,
            "  on the command line: --set {}=…",
            topics::as_path(home(topic), topic.field.name)
        );
    }
    out
}

fn home(topic: &Topic) -> &str {
    if topic.table == "recipe" { "" } else { &topic.table }
}

fn table_text(name: &str, doc: &str, topics: &[Topic], catalogue: &Catalogue) -> String {
    let mut out = format!("{name}: {doc}\n");
    let fields: Vec<&'static Field> = topics.iter().filter(|t| t.table == name).map(|t| t.field).collect();
    fields_text(&fields, catalogue, &mut out);
    if let Some(topic) = topics.iter().find(|t| t.name() == name) {
        rooms_text(&topic.field.ty, catalogue, &mut out);
    }
    out
}

fn rooms_text(ty: &'static Ty, catalogue: &Catalogue, out: &mut String) {
    for room in topics::rooms_of(ty) {
        let names: Vec<&str> = catalogue.kinds(room).map(|k| k.name).collect();
        let _ = writeln!(
            out,
            "  kinds of {}: {}",
            room.name(),
            if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
        );
    }
}

fn fields_text(fields: &[&'static Field], catalogue: &Catalogue, out: &mut String) {
    if fields.is_empty() {
        return out.push_str("\nit has no fields\n");
    }
    out.push_str("\nfields:\n");
    let width = fields.iter().map(|f| f.name.len()).max().unwrap_or(0);
    for field in fields {
        let _ = writeln!(out, "  {:width$}  {}", field.name, field.doc);
        let _ = writeln!(out, "  {:width$}  {}", "", facts(field, catalogue));
    }
}

/// Type, limits, default, other names.
fn facts(field: &Field, catalogue: &Catalogue) -> String {
    let mut facts = vec![field.ty.describe()];
    let range = field.range.describe();
    if !range.is_empty() {
        facts.push(range);
    }
    match field.fallback {
        Fallback::Required => facts.push("required".to_owned()),
        Fallback::Absent => facts.push("may be absent".to_owned()),
        Fallback::Value(text) => facts.push(format!("default {text}")),
        Fallback::Room => {
            let rooms = if let Ty::Kind(rooms) | Ty::KindOr(rooms, _) = field.ty { rooms } else { &[] };
            facts.push(
                catalogue
                    .standard(rooms)
                    .map_or("may be absent".to_owned(), |k| format!("default {}", k.name)),
            );
        }
    }
    if !field.aliases.is_empty() {
        facts.push(format!("also {}", field.aliases.join(", ")));
    }
    format!("[{}]", facts.join("; "))
}
