//! Putting one tree over another: bases, arms, `--set`.
//!
//! Later wins, key by key. Lists whose items have an `id` are matched by it; other lists are replaced. A table that
//! selects another `kind` replaces the whole table, because the fields of one kind mean nothing to another. A table
//! over a list changes single items, named by `id`, by `kind` or by position: that is how paths such as
//! `stage.main.lr` and `objective.kl.coef` reach into lists.

use crate::hint;
use crate::path::Segment;
use crate::raw::{Entry, Raw, RawTable, RawValue};
use crate::report::Diag;
use crate::source::Origin;

/// Puts `over` onto `target`.
pub(crate) fn merge(target: &mut Raw, over: Raw, name: &str, diags: &mut Vec<Diag>) {
    if replaces(target, &over) {
        *target = over;
        return;
    }
    if let RawValue::Str(kind) = &target.value {
        // a bare word stands for a table with that kind, so that single fields of it can be changed
        let origin = target.origin.clone();
        *target = Raw::table_of("kind", &origin, Raw::text(&kind.clone(), &origin));
    }
    match (&mut target.value, over.value) {
        (RawValue::Table(table), RawValue::Table(over)) => merge_tables(table, over, diags),
        (RawValue::List(list), RawValue::List(over)) => merge_lists(list, over, name, diags),
        (RawValue::List(list), RawValue::Table(over)) => merge_into_items(list, over, name, diags),
        (_, _) => {}
    }
}

/// Whether the two cannot be mixed.
fn replaces(target: &Raw, over: &Raw) -> bool {
    match (&target.value, &over.value) {
        (RawValue::Table(table), RawValue::Table(over)) => match (table.str("kind"), over.str("kind")) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        },
        (RawValue::Str(_), RawValue::Table(over)) => over.get("kind").is_some(),
        (RawValue::List(_), RawValue::Table(over)) => over.get("kind").is_some() || over.get("id").is_some(),
        (RawValue::List(list), RawValue::List(over)) => !(have_ids(list) && have_ids(over)),
        _ => true,
    }
}

fn have_ids(list: &[Raw]) -> bool {
    !list.is_empty() && list.iter().all(|item| id_of(item).is_some())
}

/// The `id` of an item.
pub(crate) fn id_of(item: &Raw) -> Option<&str> {
    item.as_table().and_then(|table| table.str("id"))
}

fn merge_tables(table: &mut RawTable, over: RawTable, diags: &mut Vec<Diag>) {
    for entry in over.entries {
        if is_lone_item(table, &entry) {
            if let Some(fields) = entry.value.as_table() {
                merge_tables(table, fields.clone(), diags);
            }
        } else if let Some(present) = table.entries.iter_mut().find(|e| e.key == entry.key) {
            present.key_at = entry.key_at;
            merge(&mut present.value, entry.value, &entry.key, diags);
        } else {
            table.entries.push(entry);
        }
    }
}

/// Whether the key names the table itself, as the only item of what could have been a list.
fn is_lone_item(table: &RawTable, entry: &Entry) -> bool {
    let named = table.str("kind") == Some(&entry.key) || (entry.key == "0" && table.get("kind").is_some());
    named && table.get(&entry.key).is_none() && entry.value.as_table().is_some()
}

fn merge_lists(list: &mut Vec<Raw>, over: Vec<Raw>, name: &str, diags: &mut Vec<Diag>) {
    for item in over {
        match list.iter_mut().find(|present| id_of(present) == id_of(&item)) {
            Some(present) => merge(present, item, name, diags),
            None => list.push(item),
        }
    }
}

fn merge_into_items(list: &mut [Raw], over: RawTable, name: &str, diags: &mut Vec<Diag>) {
    for entry in over.entries {
        match find_item(list, &entry.key) {
            Some(i) => merge(&mut list[i], entry.value, &entry.key, diags),
            None => diags.push(no_item(list, &entry.key, &entry.key_at, name)),
        }
    }
}

/// What an item of a list goes by: its `id`, its `name`, or its kind.
pub(crate) fn call_name(item: &Raw) -> Option<&str> {
    id_of(item).or_else(|| item.as_table().and_then(|table| table.str("name"))).or_else(|| item.kind())
}

/// The item of a list that a path names: by `id`, by `name` or `kind` if only one has it, or by position.
pub(crate) fn find_item(list: &[Raw], key: &str) -> Option<usize> {
    if let Some(i) = list.iter().position(|item| id_of(item) == Some(key)) {
        return Some(i);
    }
    let called: Vec<usize> =
        list.iter().enumerate().filter(|(_, item)| call_name(item) == Some(key)).map(|(i, _)| i).collect();
    match called.as_slice() {
        [i] => Some(*i),
        _ => key.parse().ok().filter(|&i: &usize| i < list.len()),
    }
}

fn no_item(list: &[Raw], key: &str, at: &Origin, name: &str) -> Diag {
    let names: Vec<&str> = list.iter().filter_map(call_name).collect();
    let diag = Diag::new(format!("`{name}` has no entry `{key}`")).at(at, hint::did_you_mean(key, &names));
    if names.iter().filter(|n| **n == key).count() > 1 {
        return diag.note(format!("several entries are `{key}`: name one by its position, from 0"));
    }
    diag.note(if names.is_empty() { String::new() } else { format!("entries: {}", names.join(", ")) })
}

/// Puts `value` at a path. `at` gives the place of each segment.
pub(crate) fn put(
    root: &mut Raw,
    path: &[Segment],
    value: Raw,
    at: &dyn Fn(&Segment) -> Origin,
    diags: &mut Vec<Diag>,
) {
    let over =
        path.iter().rev().fold(value, |inner, segment| Raw::table_of(&segment.name, &at(segment), inner));
    merge(root, over, "recipe", diags);
}

/// Takes away what stands at a path.
pub(crate) fn drop_at(root: &mut Raw, path: &[Segment], at: &Origin, diags: &mut Vec<Diag>) {
    let Some((last, lead)) = path.split_last() else { return };
    let mut here = root;
    let mut name = "recipe";
    for segment in lead {
        here = match step(here, &segment.name) {
            Ok(next) => next,
            Err(names) => return diags.push(nothing_there(&segment.name, name, &names, at)),
        };
        name = &segment.name;
    }
    let removed = match &mut here.value {
        RawValue::Table(table) => table.remove(&last.name).is_some(),
        RawValue::List(list) => find_item(list, &last.name).map(|i| list.remove(i)).is_some(),
        _ => false,
    };
    if !removed {
        diags.push(nothing_there(&last.name, name, &names_in(here), at));
    }
}

fn step<'a>(here: &'a mut Raw, key: &str) -> Result<&'a mut Raw, Vec<String>> {
    let names = names_in(here);
    match &mut here.value {
        RawValue::Table(table) => table.get_mut(key),
        RawValue::List(list) => find_item(list, key).and_then(|i| list.get_mut(i)),
        _ => None,
    }
    .ok_or(names)
}

fn names_in(raw: &Raw) -> Vec<String> {
    let own = |text: &str| text.to_owned();
    match &raw.value {
        RawValue::Table(table) => table.entries.iter().map(|e| e.key.clone()).collect(),
        RawValue::List(list) => list.iter().filter_map(call_name).map(own).collect(),
        _ => Vec::new(),
    }
}

fn nothing_there(key: &str, name: &str, names: &[String], at: &Origin) -> Diag {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Diag::new(format!("there is no `{key}` in `{name}` to drop"))
        .at(at, hint::did_you_mean(key, &names))
        .note(format!("there are: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::split;
    use crate::raw::Reader;
    use crate::source::{Sources, Via};

    fn tree(text: &str, layer: usize) -> Raw {
        let mut sources = Sources::default();
        let source = sources.add("t", text);
        Reader { sources: &sources, source, via: Via::File, layer, shift: 0 }.file(text).unwrap()
    }

    fn show(raw: &Raw) -> String {
        match &raw.value {
            RawValue::Str(text) => text.clone(),
            RawValue::Int(n) => n.to_string(),
            RawValue::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(" ")),
            RawValue::Table(t) => {
                let entry = |e: &Entry| format!("{}:{}", e.key, show(&e.value));
                format!("{{{}}}", t.entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
            other => format!("{other:?}"),
        }
    }

    fn merged(base: &str, over: &str) -> (String, usize) {
        let mut diags = Vec::new();
        let mut target = tree(base, 0);
        merge(&mut target, tree(over, 1), "recipe", &mut diags);
        (show(&target), diags.len())
    }

    #[test]
    fn stages_are_matched_by_id() {
        let (out, faults) = merged(
            "[[stage]]\nid='a'\nlr=1\n[[stage]]\nid='b'",
            "[[stage]]\nid='b'\nlr=2\n[[stage]]\nid='c'",
        );
        assert_eq!(out, "{stage:[{id:a lr:1} {id:b lr:2} {id:c}]}");
        assert_eq!(faults, 0);
    }

    #[test]
    fn another_kind_replaces_and_the_same_kind_merges() {
        assert_eq!(merged("x={kind='a', n=1}", "x={kind='b', m=2}").0, "{x:{kind:b m:2}}");
        assert_eq!(merged("x={kind='a', n=1}", "x={kind='a', m=2}").0, "{x:{kind:a n:1 m:2}}");
        assert_eq!(merged("x='a'", "x={m=2}").0, "{x:{kind:a m:2}}");
        assert_eq!(merged("x={kind='a', n=1}", "x='b'").0, "{x:b}");
    }

    #[test]
    fn paths_reach_into_lists() {
        let base = "stage=[{id='m', o=[{kind='kl', coef=1}, 'ce']}]";
        assert_eq!(merged(base, "stage.m.o.kl.coef=5").0, "{stage:[{id:m o:[{kind:kl coef:5} ce]}]}");
        assert_eq!(
            merged(base, "stage.m.o.1.coef=5").0,
            "{stage:[{id:m o:[{kind:kl coef:1} {kind:ce coef:5}]}]}"
        );
        assert_eq!(merged(base, "stage.n.o=1").1, 1);
        assert_eq!(merged("o={kind='kl', coef=1}", "o.kl.coef=5").0, "{o:{kind:kl coef:5}}");
        assert_eq!(merged(base, "stage.m.o=['x']").0, "{stage:[{id:m o:[x]}]}");
    }

    #[test]
    fn dropping_needs_something_to_drop() {
        let mut root = tree("stage=[{id='m', o=[{kind='kl'}, 'ce']}]", 0);
        let at = root.origin.clone();
        let mut diags = Vec::new();
        drop_at(&mut root, &split("stage.m.o.kl").unwrap(), &at, &mut diags);
        assert_eq!((show(&root).as_str(), diags.len()), ("{stage:[{id:m o:[ce]}]}", 0));
        drop_at(&mut root, &split("stage.m.p").unwrap(), &at, &mut diags);
        drop_at(&mut root, &split("stage.x.o").unwrap(), &at, &mut diags);
        assert_eq!(diags.len(), 2);
    }
}
