//! The resolved recipe as TOML, each value with its origin.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::node::{Node, Select, Value};

/// Origins stand in one column up to this width.
const WIDEST: usize = 44;

/// The whole recipe.
pub(crate) fn to_toml(root: &Node, arm: Option<&str>) -> String {
    let mut out = String::from("# everything that this run was told, and what was filled in\n");
    if let Some(arm) = arm {
        let _ = writeln!(out, "# arm: {}", one_line(arm));
    }
    table_body(root, "", &mut out);
    out
}

/// The fields of a table: first what fits on a line, then tables.
fn table_body(node: &Node, header: &str, out: &mut String) {
    let Value::Table(fields) = &node.value else { return };
    let mut lines: Vec<(String, String)> = Vec::new();
    match node.select {
        Select::Plain => {}
        Select::Variant(name) => lines.push((format!("kind = {}", quote(name)), String::new())),
        Select::Kind(spec) => lines.push((format!("kind = {}", quote(spec.name)), node.origin())),
    }
    let (inner, flat): (Vec<_>, Vec<_>) =
        fields.iter().filter(|(_, f)| f.present()).partition(|(_, f)| has_tables(f));
    for (key, field) in flat {
        lines.push((format!("{} = {}", bare(key), inline(field)), field.origin()));
    }
    let width =
        lines.iter().map(|(text, _)| text.chars().count()).filter(|&w| w <= WIDEST).max().unwrap_or(0);
    for (text, origin) in lines {
        match origin.as_str() {
            "" => drop(writeln!(out, "{text}")),
            origin => drop(writeln!(out, "{text:width$}  # {}", one_line(origin))),
        }
    }
    for (key, field) in inner {
        tables(key, field, header, out);
    }
}

fn tables(key: &str, field: &Node, header: &str, out: &mut String) {
    let header = if header.is_empty() { bare(key) } else { format!("{header}.{}", bare(key)) };
    match &field.value {
        Value::List(items) => {
            for item in items {
                let _ = write!(out, "\n[[{header}]]\n");
                table_body(item, &header, out);
            }
        }
        Value::Table(fields) => {
            if needs_header(field, fields) {
                let _ = write!(out, "\n[{header}]\n");
            }
            table_body(field, &header, out);
        }
        _ => {}
    }
}

/// A table that holds only tables is made by the headers of these.
fn needs_header(node: &Node, fields: &[(Arc<str>, Node)]) -> bool {
    let mut present = fields.iter().map(|(_, f)| f).filter(|f| f.present()).peekable();
    !matches!(node.select, Select::Plain) || present.peek().is_none() || present.any(|f| !has_tables(f))
}

/// A table, or a list of nothing but tables.
fn has_tables(node: &Node) -> bool {
    match &node.value {
        Value::Table(_) => true,
        Value::List(items) => {
            !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Table(_)))
        }
        _ => false,
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Absent => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Count(n) => n.to_string(),
        Value::Float(x) => format!("{x:?}"),
        Value::Str(text) => quote(text),
        Value::Length(length) => quote(&length.to_string()),
        Value::Range(low, high) => format!("[{low}, {high}]"),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(fields) => inline_table(node, fields),
        Value::Any(json) => inline_json(json),
    }
}

fn inline_table(node: &Node, fields: &[(Arc<str>, Node)]) -> String {
    let kind = match node.select {
        Select::Plain => None,
        Select::Variant(name) => Some(name),
        Select::Kind(spec) => Some(spec.name),
    };
    let fields =
        fields.iter().filter(|(_, f)| f.present()).map(|(k, f)| format!("{} = {}", bare(k), inline(f)));
    let all: Vec<String> = kind.map(|k| format!("kind = {}", quote(k))).into_iter().chain(fields).collect();
    format!("{{ {} }}", all.join(", "))
}

fn inline_json(json: &Json) -> String {
    match json {
        // TOML has no null, and nothing makes one
        Json::Null => "\"\"".to_owned(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => i.to_string(),
            (None, Some(x)) => format!("{x:?}"),
            (None, None) => n.to_string(),
        },
        Json::String(text) => quote(text),
        Json::Array(items) => format!("[{}]", items.iter().map(inline_json).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| format!("{} = {}", bare(key), inline_json(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { key.to_owned() } else { quote(key) }
}

/// A basic string on one line: nothing in it can end the line or begin a comment.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
