//! `tojson` as transformers defines it: Python's `json.dumps(ensure_ascii=False)`, nothing escaped for HTML.

use minijinja::value::{Kwargs, Value as Jinja};
use minijinja::{Error, ErrorKind};
use serde_json::Value;

pub(super) fn tojson(value: Jinja, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let sorted: Option<bool> = kwargs.get("sort_keys")?;
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    let _: Option<Jinja> = kwargs.get("separators")?;
    kwargs.assert_all_used()?;
    let value =
        serde_json::to_value(&value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    let mut out = String::new();
    dump(&value, indent, sorted.unwrap_or(false), 0, &mut out);
    Ok(out)
}

fn dump(value: &Value, indent: Option<usize>, sorted: bool, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) => {
            list(items.iter(), ['[', ']'], indent, depth, out, |item, out| {
                dump(item, indent, sorted, depth + 1, out);
            });
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            if sorted {
                fields.sort_by_key(|(name, _)| *name);
            }
            list(fields.into_iter(), ['{', '}'], indent, depth, out, |(name, value), out| {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push_str(": ");
                dump(value, indent, sorted, depth + 1, out);
            });
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn list<T>(
    items: impl ExactSizeIterator<Item = T>,
    brackets: [char; 2],
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
    mut each: impl FnMut(T, &mut String),
) {
    let empty = items.len() == 0;
    out.push(brackets[0]);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        break_line(indent, depth + 1, out);
        each(item, out);
    }
    if !empty {
        break_line(indent, depth, out);
    }
    out.push(brackets[1]);
}

fn break_line(indent: Option<usize>, depth: usize, out: &mut String) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}
