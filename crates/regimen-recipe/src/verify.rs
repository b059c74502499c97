//! Faults of the tables themselves, which are the program's own.

use std::collections::BTreeSet;

use crate::kind::{Catalogue, KindSpec};
use crate::raw::Raw;
use crate::resolve::{Place, Resolver};
use crate::source::{Origin, Sources};
use crate::spec::{Fallback, Field, Ty, same_key};
use crate::top::TOP;
use crate::topics;

impl Catalogue {
    /// What is wrong with the tables: names, defaults that do not fit their own type, examples that do not resolve,
    /// two kinds or two fields of one name, rooms with two standard kinds. A test of every table asserts that it is
    /// empty.
    pub fn verify(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut names = BTreeSet::new();
        for kind in self.all() {
            let topic = kind.topic();
            if !names.insert(topic.clone()) {
                faults.push(format!("{topic} occurs twice"));
            }
            if !kebab(kind.name) {
                faults.push(format!("{topic} is not in kebab-case"));
            }
            if kind.standard && self.standard(&[kind.room]).is_some_and(|first| first.name != kind.name) {
                faults.push(format!("{topic} is the second standard kind of its room"));
            }
            if kind.doc.is_empty() {
                faults.push(format!("{topic} has no doc"));
            }
            table_faults(&topic, &kind.all_fields(true), &mut faults);
            if kind.fields.iter().any(|f| f.name == "kind") {
                faults.push(format!("{topic} has a field `kind`"));
            }
            self.example_faults(kind, &mut faults);
            stage_default_faults(kind, &mut faults);
        }
        for topic in topics::all(self) {
            self.default_faults(&topic.name(), topic.field, topic.of_kind, &mut faults);
        }
        faults
    }

    fn example_faults(&self, kind: &KindSpec, faults: &mut Vec<String>) {
        let topic = kind.topic();
        if !kind.example.is_empty() {
            match Raw::of_default(kind.example, &Origin::default_of("")) {
                Ok(raw) if raw.kind() != Some(kind.name) => {
                    faults.push(format!("the example of {topic} is of another kind"));
                }
                Ok(raw) => {
                    let what = format!("the example of {topic}");
                    self.value_faults(&what, TY_OF_ROOM[kind.room as usize], &raw, None, true, faults);
                }
                Err(_) => faults.push(format!("the example of {topic} is not TOML")),
            }
        }
    }

    fn default_faults(&self, name: &str, field: &'static Field, of_kind: bool, faults: &mut Vec<String>) {
        if field.doc.is_empty() {
            faults.push(format!("{name} has no doc"));
        }
        let Fallback::Value(text) = field.fallback else { return };
        match Raw::of_default(text, &Origin::default_of("")) {
            // a default of the recipe's own tables may name a piece that a small catalogue lacks
            Ok(_) if !of_kind && !topics::rooms_of(&field.ty).is_empty() => {}
            Ok(raw) => self.value_faults(
                &format!("the default of {name}"),
                &field.ty,
                &raw,
                Some(field),
                false,
                faults,
            ),
            Err(_) => faults.push(format!("the default of {name} is not TOML")),
        }
    }

    fn value_faults(
        &self,
        what: &str,
        ty: &'static Ty,
        raw: &Raw,
        field: Option<&Field>,
        in_list: bool,
        faults: &mut Vec<String>,
    ) {
        let sources = Sources::default();
        let mut resolver = Resolver::new(self, &sources);
        let range = field.map_or(crate::Range::ANY, |f| f.range);
        let name = field.map_or("value", |f| f.name).to_owned();
        resolver.value(ty, raw, &Place { name, range, in_list, ..Place::root() });
        let report = crate::Report::new(resolver.diags, &sources);
        faults.extend(report.messages().iter().map(|message| format!("{what}: {message}")));
    }
}

/// A type for the kinds of each room, in the order of the rooms.
static TY_OF_ROOM: [&Ty; 19] = {
    use crate::room::Room as R;
    [
        &Ty::Kind(&[R::Arch]),
        &Ty::Kind(&[R::Tokenizer]),
        &Ty::Kind(&[R::Task]),
        &Ty::Kind(&[R::Data]),
        &Ty::Kind(&[R::Env]),
        &Ty::Kind(&[R::Transform]),
        &Ty::Kind(&[R::Sampler]),
        &Ty::Kind(&[R::Objective]),
        &Ty::Kind(&[R::Rollout]),
        &Ty::Kind(&[R::Reward]),
        &Ty::Kind(&[R::Advantage]),
        &Ty::Kind(&[R::Update]),
        &Ty::Kind(&[R::Optimizer]),
        &Ty::Kind(&[R::Schedule]),
        &Ty::Kind(&[R::Controller]),
        &Ty::Kind(&[R::Edit]),
        &Ty::Kind(&[R::Probe]),
        &Ty::Kind(&[R::Metric]),
        &Ty::Kind(&[R::Claim]),
    ]
};

fn table_faults(table: &str, fields: &[&'static Field], faults: &mut Vec<String>) {
    for (i, field) in fields.iter().enumerate() {
        let name = field.name;
        if !kebab(name) {
            faults.push(format!("{table}.{name} is not in kebab-case"));
        }
        let keys = |f: &Field| std::iter::once(f.name).chain(f.aliases.iter().copied()).collect::<Vec<_>>();
        for other in &fields[..i] {
            if let Some(key) = keys(field).iter().find(|key| other.answers_to(key)) {
                faults.push(format!("{table}: `{key}` means both {} and {name}", other.name));
            }
            if field.renamed.iter().any(|(old, _)| other.answers_to(old)) {
                faults.push(format!("{table}: {name} refuses what {} takes", other.name));
            }
        }
        if field.aliases.iter().any(|alias| same_key(alias, name)) {
            faults.push(format!("{table}.{name} has itself as an alias"));
        }
    }
}

fn stage_default_faults(kind: &KindSpec, faults: &mut Vec<String>) {
    let topic = kind.topic();
    let is_field = |name: &str| {
        TOP.iter().filter(|f| f.name == "stage").any(|f| match f.ty {
            Ty::List(Ty::Variants(variants)) => {
                variants.iter().flat_map(|v| v.fields).any(|f| f.name == name)
            }
            _ => false,
        })
    };
    for (field, _) in kind.stage_defaults {
        if !is_field(field) {
            faults.push(format!("{topic} gives a default to `{field}`, which no stage has"));
        }
    }
}

fn kebab(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with('-') && !name.ends_with('-')
}
