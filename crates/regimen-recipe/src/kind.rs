//! Kinds of pieces, and the catalogue of all of them.

use crate::form::FormSpec;
use crate::room::Room;
use crate::spec::Field;

/// How far a kind can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Its fields and its results are kept from version to version.
    Stable,
    /// It may change.
    Experimental,
}

/// What a recipe selects with `kind = "…"`.
#[derive(Clone, Copy, Debug)]
pub struct KindSpec {
    /// The room it lives in.
    pub room: Room,
    /// The name, in kebab-case: the field's own word.
    pub name: &'static str,
    /// What it does, in one or two lines.
    pub doc: &'static str,
    /// Paper and equation, or empty.
    pub source: &'static str,
    /// A TOML value that selects it, or empty.
    pub example: &'static str,
    /// The fields besides `kind`.
    pub fields: &'static [Field],
    /// How far it can be relied on.
    pub status: Status,
    /// It is what the room falls back to.
    pub standard: bool,
    /// Knobs of the stage that it always writes. `{field}` stands for each value of that field:
    /// `stream.{between}.weight`.
    pub writes: &'static [&'static str],
    /// Values that a stage takes from its first objective when the recipe says nothing: `("lr", "1e-6")`.
    pub stage_defaults: &'static [(&'static str, &'static str)],
}

impl KindSpec {
    /// A stable kind.
    pub const fn new(room: Room, name: &'static str, doc: &'static str, fields: &'static [Field]) -> Self {
        Self {
            room,
            name,
            doc,
            source: "",
            example: "",
            fields,
            status: Status::Stable,
            standard: false,
            writes: &[],
            stage_defaults: &[],
        }
    }

    /// Says where it comes from.
    #[must_use]
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// Shows how it is written, as a TOML value.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// Marks it as subject to change.
    #[must_use]
    pub const fn experimental(mut self) -> Self {
        self.status = Status::Experimental;
        self
    }

    /// Makes it what the room falls back to.
    #[must_use]
    pub const fn standard(mut self) -> Self {
        self.standard = true;
        self
    }

    /// Names the knobs that it always writes.
    #[must_use]
    pub const fn writes(mut self, knobs: &'static [&'static str]) -> Self {
        self.writes = knobs;
        self
    }

    /// Gives a stage other defaults.
    #[must_use]
    pub const fn stage_defaults(mut self, defaults: &'static [(&'static str, &'static str)]) -> Self {
        self.stage_defaults = defaults;
        self
    }

    /// `objective.grpo`, as `regimen explain` takes it.
    pub fn topic(&self) -> String {
        format!("{}.{}", self.room.name(), self.name)
    }

    /// Its fields, and the room's shared ones where it stands in a list.
    pub(crate) fn all_fields(&self, in_list: bool) -> Vec<&'static Field> {
        let own: Vec<&'static Field> = self.fields.iter().collect();
        let shared: &'static [Field] = if in_list { self.room.shared_fields() } else { &[] };
        let shared = shared.iter().filter(|s| !self.fields.iter().any(|f| f.name == s.name));
        own.into_iter().chain(shared).collect()
    }
}

/// All kinds of all rooms, put together from the tables of the crates that hold pieces.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    kinds: Vec<&'static KindSpec>,
    forms: Vec<&'static FormSpec>,
}

impl Catalogue {
    /// The kinds of these tables, in their order.
    pub fn new(tables: &[&'static [KindSpec]]) -> Self {
        let mut catalogue = Self::default();
        for table in tables {
            catalogue.add(table);
        }
        catalogue
    }

    /// Adds one more table.
    pub fn add(&mut self, table: &'static [KindSpec]) {
        self.kinds.extend(table);
    }

    /// Adds a kind of file that stands beside recipes, so that `explain` knows its fields.
    pub fn add_form(&mut self, form: &'static FormSpec) {
        self.forms.push(form);
    }

    pub(crate) fn forms(&self) -> &[&'static FormSpec] {
        &self.forms
    }

    /// The kinds of one room.
    pub fn kinds(&self, room: Room) -> impl Iterator<Item = &'static KindSpec> + '_ {
        self.kinds.iter().copied().filter(move |kind| kind.room == room)
    }

    /// Every kind.
    pub fn all(&self) -> &[&'static KindSpec] {
        &self.kinds
    }

    /// The kind of that name.
    pub fn get(&self, room: Room, name: &str) -> Option<&'static KindSpec> {
        self.kinds(room).find(|kind| kind.name == name)
    }

    /// The first kind of that name in any of these rooms.
    pub(crate) fn find(&self, rooms: &[Room], name: &str) -> Option<&'static KindSpec> {
        rooms.iter().find_map(|&room| self.get(room, name))
    }

    /// The kind that these rooms fall back to.
    pub(crate) fn standard(&self, rooms: &[Room]) -> Option<&'static KindSpec> {
        rooms.iter().find_map(|&room| self.kinds(room).find(|kind| kind.standard))
    }
}
