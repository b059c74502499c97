//! What stands for something else: `use` of an earlier stream, the one `[data]` of a short recipe, names of data sets.

use std::collections::BTreeMap;

use crate::merge;
use crate::raw::{Entry, Raw, RawTable, RawValue};

/// Writes out what the recipe only hints at. Faults are left for the plan, which sees the whole tree.
pub(crate) fn expand(root: &mut RawTable) {
    choose_model(root);
    let one_data = root.get("data").filter(|data| data.kind().is_some()).cloned();
    let Some(stages) = root.get_mut("stage").and_then(Raw::as_list_mut) else { return };
    for i in 0..stages.len() {
        let (earlier, rest) = stages.split_at_mut(i);
        let streams = rest[0].as_table_mut().and_then(|t| t.get_mut("stream")).and_then(Raw::as_table_mut);
        for entry in streams.into_iter().flat_map(|t| &mut t.entries) {
            expand_use(earlier, entry);
            if let (Some(data), Some(stream)) = (&one_data, entry.value.as_table_mut()) {
                take_the_data(stream, data);
            }
        }
    }
}

/// The keys of a model that is read, which a new one does not have.
const OF_FROM: [&str; 2] = ["from", "dtype"];

/// `from` of a later layer puts aside the new model of an earlier one, and the other way round.
fn choose_model(root: &mut RawTable) {
    let Some(model) = root.get_mut("model").and_then(Raw::as_table_mut) else { return };
    let layer = |key: &str| model.entries.iter().find(|e| e.key == key).map(|e| e.key_at.layer);
    match (layer("kind"), layer("from")) {
        (Some(kind), Some(from)) if kind < from => {
            model.entries.retain(|e| OF_FROM.contains(&e.key.as_str()));
        }
        (Some(kind), Some(from)) if from < kind => {
            model.entries.retain(|e| !OF_FROM.contains(&e.key.as_str()));
        }
        _ => {}
    }
}

fn expand_use(earlier: &[Raw], entry: &mut Entry) {
    let Some(stream) = entry.value.as_table() else { return };
    let Some(target) = stream.str("use") else { return };
    let mut own = entry.value.clone();
    match find_stream(earlier, target) {
        Some(found) => {
            let mut merged = found.clone();
            if let Some(table) = merged.as_table_mut() {
                table.remove("use");
            }
            // both are tables without a kind, so nothing in the merge can fail but paths into lists, which `own` may hold
            merge::merge(&mut merged, own, &entry.key, &mut Vec::new());
            entry.value = merged;
        }
        // the plan tells; an empty list keeps a second complaint away
        None if stream.get("objective").is_none() => {
            let empty = Raw { value: RawValue::List(Vec::new()), origin: own.origin.clone() };
            let objective = Entry { key: "objective".to_owned(), key_at: own.origin.clone(), value: empty };
            if let Some(table) = own.as_table_mut() {
                table.entries.push(objective);
            }
            entry.value = own;
        }
        None => {}
    }
}

fn find_stream<'a>(stages: &'a [Raw], target: &str) -> Option<&'a Raw> {
    let (stage, stream) = target.split_once('.')?;
    let stage = stages.iter().find(|s| merge::id_of(s) == Some(stage))?;
    let found = stage.as_table()?.get("stream")?.as_table()?.get(stream)?;
    found.as_table().map(|_| found)
}

/// A stream that says nothing about its data takes the recipe's only data set.
fn take_the_data(stream: &mut RawTable, data: &Raw) {
    let says = |key: &str| stream.get(key).is_some();
    if says("data") || says("env") || says("use") {
        return;
    }
    let value = Raw::text("data", &data.origin);
    stream.entries.push(Entry { key: "data".to_owned(), key_at: data.origin.clone(), value });
}

/// The data sets by name; a lone one is called `data`.
pub(crate) fn named_data(root: &Raw) -> BTreeMap<String, Raw> {
    let Some(data) = root.as_table().and_then(|t| t.get("data")) else { return BTreeMap::new() };
    if data.kind().is_some() {
        return BTreeMap::from([("data".to_owned(), data.clone())]);
    }
    let entries = data.as_table().map_or(&[][..], |table| &table.entries);
    entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect()
}
