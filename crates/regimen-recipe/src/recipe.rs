//! A recipe as written: its file, the files that it builds on, and its arms.

use regimen_base::Result as BaseResult;

use crate::expand;
use crate::hint;
use crate::kind::Catalogue;
use crate::merge::{self, id_of};
use crate::node::{Node, Value};
use crate::path::{self, Segment};
use crate::plan;
use crate::raw::{Raw, RawValue, Reader};
use crate::report::{Diag, Report};
use crate::resolve::{Place, Resolver};
use crate::resolved::Resolved;
use crate::source::{Origin, Sources, Via};
use crate::spec::Ty;
use crate::top::ARM;

/// Gives the text of a recipe. Gets a base's path joined to the folder of the file that names it, then, if that fails,
/// the path as written.
pub type Loader<'a> = dyn Fn(&str) -> BaseResult<String> + 'a;

/// A chain of bases longer than this is a mistake.
const DEEPEST_BASE: usize = 16;

/// A recipe as written, together with its bases.
#[derive(Clone, Debug)]
pub struct Recipe {
    root: Raw,
    sources: Sources,
    /// The first free layer above the files.
    layer: usize,
    /// What is wrong with the files as such.
    diags: Vec<Diag>,
}

/// What the user chose on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The arm to run; none is the recipe as it stands.
    pub arm: Option<&'a str>,
    /// `path=value`, in order; the last one wins.
    pub sets: &'a [String],
}

impl Recipe {
    /// Reads a recipe and the recipes that it builds on.
    pub fn read(path: &str, loader: &Loader<'_>) -> Result<Self, Report> {
        let mut files =
            Files { loader, sources: Sources::default(), layer: 0, root: None, diags: Vec::new() };
        match loader(path) {
            Ok(text) => files.read(path, &text, &Via::File, &mut vec![path.to_owned()]),
            Err(error) => files.diags.push(Diag::new(error.to_string())),
        }
        match files.root {
            Some(root) if files.fatal().is_none() => {
                Ok(Self { root, sources: files.sources, layer: files.layer, diags: files.diags })
            }
            _ => Err(Report::new(files.diags, &files.sources)),
        }
    }

    /// The ids of the arms, in order.
    pub fn arms(&self) -> Vec<String> {
        self.arm_list().iter().filter_map(id_of).map(str::to_owned).collect()
    }

    /// The values as they are written, bases merged in: without places, comments and defaults, for digests.
    pub fn as_written(&self) -> serde_json::Value {
        self.root.to_json()
    }

    fn arm_about(&self, id: Option<&str>) -> Option<&str> {
        let arm = self.arm_list().iter().find(|arm| id.is_some() && id_of(arm) == id)?;
        arm.as_table()?.str("about")
    }

    fn arm_list(&self) -> &[Raw] {
        self.root.as_table().and_then(|t| t.get("arm")).and_then(Raw::as_list).unwrap_or(&[])
    }

    /// The recipe with its defaults, checked, for one choice of arm and values.
    pub fn resolve(&self, catalogue: &Catalogue, choice: &Choice<'_>) -> Result<Resolved, Report> {
        let mut sources = self.sources.clone();
        let mut diags = self.diags.clone();
        let mut root = self.root.clone();
        read_ahead("arm", &Ty::List(&Ty::Table(ARM)), &root, &sources, &mut diags);
        if let Some(id) = choice.arm {
            self.apply_arm(id, &mut root, &mut diags);
        }
        for (i, set) in choice.sets.iter().enumerate() {
            apply_set(set, self.layer + 1 + i, &mut root, &mut sources, &mut diags);
        }
        let seeds = seeds(&root, &sources, &mut diags);
        if let Some(table) = root.as_table_mut() {
            table.remove("arm");
            table.remove("seeds");
            expand::expand(table);
        }
        let named = expand::named_data(&root);
        let mut resolver = Resolver { named, diags, ..Resolver::new(catalogue, &sources) };
        let tree = resolver.root(&root);
        let used = resolver.used;
        let mut diags = resolver.diags;
        let plan = plan::check(&tree, &mut diags);
        if diags.is_empty() {
            Ok(Resolved::new(tree, (choice.arm, self.arm_about(choice.arm)), seeds, sources, plan, &used))
        } else {
            Err(Report::new(diags, &sources))
        }
    }

    /// Checks the recipe as it stands and every arm of it.
    pub fn check(&self, catalogue: &Catalogue, sets: &[String]) -> Result<(), Report> {
        let arms = self.arms();
        let choices = std::iter::once(None).chain(arms.iter().map(|arm| Some(arm.as_str())));
        let failed = choices.filter_map(|arm| self.resolve(catalogue, &Choice { arm, sets }).err());
        failed.reduce(Report::merge).map_or(Ok(()), Err)
    }

    fn apply_arm(&self, id: &str, root: &mut Raw, diags: &mut Vec<Diag>) {
        let Some(arm) = self.arm_list().iter().find(|arm| id_of(arm) == Some(id)).and_then(Raw::as_table)
        else {
            let names = self.arms();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let note = if names.is_empty() {
                "it has no arms".to_owned()
            } else {
                format!("arms: {}", names.join(", "))
            };
            let diag = Diag::new(format!("the recipe has no arm `{id}`"));
            return diags.push(diag.note(hint::did_you_mean(id, &names)).note(note));
        };
        for path in arm.get("drop").into_iter().flat_map(|d| d.as_list().unwrap_or(std::slice::from_ref(d))) {
            let Some(text) = path.as_str() else { continue };
            if let Some(segments) = checked_path(text, &path.origin, diags) {
                merge::drop_at(root, &segments, &path.origin, diags);
            }
        }
        let via = Via::Arm(id.into());
        for entry in arm.get("set").and_then(Raw::as_table).map_or(&[][..], |set| &set.entries) {
            let mut value = entry.value.clone();
            value.restamp(&via, self.layer);
            let at = Origin { via: via.clone(), layer: self.layer, at: entry.key_at.at.clone() };
            if let Some(segments) = checked_path(&entry.key, &at, diags) {
                merge::put(root, &segments, value, &|_| at.clone(), diags);
            }
        }
    }
}

/// Reads a field that is taken out before the rest is resolved.
fn read_ahead(
    field: &str,
    ty: &'static Ty,
    root: &Raw,
    sources: &Sources,
    diags: &mut Vec<Diag>,
) -> Option<Node> {
    let value = root.as_table().and_then(|t| t.get(field))?;
    let catalogue = Catalogue::default();
    let mut resolver = Resolver::new(&catalogue, sources);
    let name = field.to_owned();
    let place = Place { name: name.clone(), topic: name.clone(), path: name, ..Place::root() };
    let read = resolver.value(ty, value, &place);
    diags.extend(resolver.diags);
    Some(read)
}

/// The seeds that the recipe is to be run with.
fn seeds(root: &Raw, sources: &Sources, diags: &mut Vec<Diag>) -> Vec<u64> {
    let list = read_ahead("seeds", &Ty::List(&Ty::Count), root, sources, diags);
    let mut seeds = Vec::new();
    let Some(Value::List(items)) = list.map(|node| node.value) else { return seeds };
    for item in items {
        match item.value {
            Value::Count(seed) if seeds.contains(&seed) => {
                diags.push(Diag::new(format!("`seeds` has {seed} twice")).at(&item.origin, "give each once"));
            }
            Value::Count(seed) => seeds.push(seed),
            _ => {}
        }
    }
    seeds
}

/// Splits a path; what cannot be changed from outside the files is reported.
fn checked_path(text: &str, at: &Origin, diags: &mut Vec<Diag>) -> Option<Vec<Segment>> {
    let Some(segments) = path::split(text) else {
        let diag = Diag::new(format!("`{text}` is not a path"))
            .at(at, "write names with dots between them: stage.main.lr");
        diags.push(diag);
        return None;
    };
    if matches!(segments[0].name.as_str(), "base" | "extends" | "arm") {
        let diag = Diag::new(format!("`{}` cannot be changed here", segments[0].name));
        diags.push(diag.at(at, "it is read before any value is set: change the file"));
        return None;
    }
    Some(segments)
}

fn apply_set(set: &str, layer: usize, root: &mut Raw, sources: &mut Sources, diags: &mut Vec<Diag>) {
    let source = sources.add("--set", set);
    let origin = |sources: &Sources, start, end| Origin {
        via: Via::Set,
        layer,
        at: Some(sources.at(source, start, end)),
    };
    let Some(equals) = path::equals(set) else {
        let whole = origin(sources, 0, set.len());
        return diags.push(Diag::new("--set takes path=value").at(&whole, "write it as stage.main.lr=1e-3"));
    };
    let path_at = origin(sources, 0, equals);
    let Some(segments) = checked_path(&set[..equals], &path_at, diags) else { return };
    let rest = &set[equals + 1..];
    let start = equals + 1 + (rest.len() - rest.trim_start().len());
    let reader = Reader { sources, source, via: Via::Set, layer, shift: start as isize };
    match reader.value(rest.trim()) {
        Ok(value) => {
            let at = |segment: &Segment| origin(sources, segment.start, segment.end);
            merge::put(root, &segments, value, &at, diags);
        }
        Err(diag) => diags.push(diag),
    }
}

/// The files of one recipe, while they are read.
struct Files<'a> {
    loader: &'a Loader<'a>,
    sources: Sources,
    layer: usize,
    root: Option<Raw>,
    diags: Vec<Diag>,
}

impl Files<'_> {
    /// A fault after which the rest cannot be judged.
    fn fatal(&self) -> Option<&Diag> {
        self.diags.iter().find(|d| d.is_fatal())
    }

    fn read(&mut self, path: &str, text: &str, via: &Via, chain: &mut Vec<String>) {
        let source = self.sources.add(path, text);
        let reader = Reader { sources: &self.sources, source, via: via.clone(), layer: 0, shift: 0 };
        let mut raw = match reader.file(text) {
            Ok(raw) => raw,
            Err(diag) => return self.diags.push(diag.fatal()),
        };
        for base in self.take_bases(&mut raw) {
            self.read_base(path, &base, chain);
        }
        raw.restamp(via, self.layer);
        self.layer += 1;
        check_ids(&raw, &mut self.diags);
        match &mut self.root {
            Some(root) => merge::merge(root, raw, "recipe", &mut self.diags),
            None => self.root = Some(raw),
        }
    }

    fn take_bases(&mut self, raw: &mut Raw) -> Vec<Raw> {
        let Some(table) = raw.as_table_mut() else { return Vec::new() };
        let entries: Vec<_> = ["base", "extends"].iter().filter_map(|key| table.remove(key)).collect();
        if let [first, second] = entries.as_slice() {
            let diag = Diag::new("`base` and `extends` are the same field");
            self.diags.push(diag.at(&second.key_at, "keep one of them").at(&first.key_at, "the other"));
        }
        let each = |value: Raw| match value.value {
            RawValue::List(list) => list,
            _ => vec![value],
        };
        entries.into_iter().flat_map(|entry| each(entry.value)).collect()
    }

    fn read_base(&mut self, from: &str, base: &Raw, chain: &mut Vec<String>) {
        let Some(written) = base.as_str() else {
            let diag = Diag::new(format!("`base` must be the path of a recipe, found {}", base.found()));
            return self.diags.push(diag.at(&base.origin, "").fatal());
        };
        let written = format!("{}.toml", written.strip_suffix(".toml").unwrap_or(written));
        let joined = match from.rsplit_once('/') {
            Some((folder, _)) if !written.starts_with('/') => format!("{folder}/{written}"),
            _ => written.clone(),
        };
        let found = (self.loader)(&joined)
            .map(|text| (joined.clone(), text))
            .or_else(|first| (self.loader)(&written).map(|text| (written.clone(), text)).map_err(|_| first));
        let (path, text) = match found {
            Ok(found) => found,
            Err(error) => {
                let tried = if joined == written { joined } else { format!("{joined} and {written}") };
                let diag = Diag::new(format!("cannot read the base: {}", error.what)).at(&base.origin, "");
                return self.diags.push(diag.note(format!("tried {tried}")).fatal());
            }
        };
        if chain.contains(&path) || chain.len() > DEEPEST_BASE {
            let diag = Diag::new("the recipe builds on itself").at(&base.origin, "this closes the circle");
            return self.diags.push(diag.note(format!("{} → {path}", chain.join(" → "))).fatal());
        }
        chain.push(path.clone());
        self.read(&path, &text, &Via::Base, chain);
        chain.pop();
    }
}

/// Two stages or two arms of one file with one id.
fn check_ids(root: &Raw, diags: &mut Vec<Diag>) {
    for key in ["stage", "arm"] {
        let list = root.as_table().and_then(|t| t.get(key)).and_then(Raw::as_list).unwrap_or(&[]);
        for (i, item) in list.iter().enumerate() {
            let Some(id) = id_of(item) else { continue };
            if let Some(first) = list[..i].iter().find(|other| id_of(other) == Some(id)) {
                let place = |item: &Raw| {
                    item.as_table()
                        .and_then(|t| t.get("id"))
                        .map_or_else(|| item.origin.clone(), |id| id.origin.clone())
                };
                let diag = Diag::new(format!("two {key}s are called `{id}`"));
                diags.push(diag.at(&place(item), "give it another id").at(&place(first), "the first"));
            }
        }
    }
}
