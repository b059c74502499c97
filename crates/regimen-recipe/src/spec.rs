//! Static data that describes a table of a recipe: which fields, of which type, with which default.

use crate::room::Room;

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// Other names that people type for it (TRL's, Axolotl's).
    pub aliases: &'static [&'static str],
    /// Keys that are refused, each with what to write instead.
    pub renamed: &'static [(&'static str, &'static str)],
    /// What may stand there.
    pub ty: Ty,
    /// What stands there when the recipe says nothing.
    pub fallback: Fallback,
    /// Limits of a number, or of each number of a list.
    pub range: Range,
    /// One line, with units.
    pub doc: &'static str,
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Ty {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A whole number that is not negative.
    Count,
    /// A finite number.
    Float,
    /// Any text.
    Str,
    /// A file or folder, relative to where the program was started.
    Path,
    /// [`regimen_base::Length`] as text: `"60st"`.
    Length,
    /// A length, or a bare whole number of steps. Resolved to a length.
    Every,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Ty),
    /// A list; a lone value is short for a list of one. Resolved to a list.
    OneOrMany(&'static Ty),
    /// A table of these fields.
    Table(&'static [Field]),
    /// Named values; the order is kept.
    Map(&'static Ty),
    /// One value with a `kind`, or named ones.
    OneOrNamed(&'static Ty),
    /// A table with `kind`, looked up in these rooms; `"shuffle"` is short for `{ kind = "shuffle" }`.
    Kind(&'static [Room]),
    /// A kind, or (without `kind`) a table of these fields.
    KindOr(&'static [Room], &'static [Field]),
    /// A table told apart by `kind`, which is the first variant's name when absent.
    Variants(&'static [Variant]),
    /// The first of these whose shape fits.
    OneOf(&'static [Ty]),
    /// `3`, or `[3, 5]` with both ends included.
    Range2,
    /// A checked reference.
    Name(Names),
    /// Anything that TOML can say.
    Any,
}

/// One form of a [`Ty::Variants`] table.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// The value of `kind`.
    pub name: &'static str,
    /// One line.
    pub doc: &'static str,
    /// The fields besides `kind`.
    pub fields: &'static [Field],
}

/// What a reference names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// Weights to start from: an earlier stage, `model`, or a folder (which has a `/` or starts with a dot).
    Start,
    /// `stage.stream` of an earlier stage.
    StreamOf,
    /// A stream of this stage.
    Stream,
    /// A cast of this stage, or `policy`.
    Cast,
    /// A number of this stage that the holder writes.
    Knob,
    /// A number of this stage that the holder reads.
    KnobRead,
    /// A clamp of this stage.
    Clamp,
}

/// What a field is when the recipe says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// The recipe must say it.
    Required,
    /// Nothing.
    Absent,
    /// This TOML value; bare words are texts.
    Value(&'static str),
    /// The room's standard kind.
    Room,
}

/// Limits of a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
    /// The least value itself is outside.
    pub above: bool,
    /// The greatest value itself is outside.
    pub below: bool,
}

impl Range {
    /// Every number.
    pub const ANY: Self = Self { min: None, max: None, above: false, below: false };

    /// Whether `x` lies inside.
    pub fn contains(&self, x: f64) -> bool {
        let low = self.min.is_none_or(|min| if self.above { x > min } else { x >= min });
        let high = self.max.is_none_or(|max| if self.below { x < max } else { x <= max });
        low && high
    }

    /// `at least 0 and below 1`; empty when there is no limit.
    pub fn describe(&self) -> String {
        let low = self.min.map(|min| format!("{} {min}", if self.above { "above" } else { "at least" }));
        let high = self.max.map(|max| format!("{} {max}", if self.below { "below" } else { "at most" }));
        [low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

impl Field {
    /// A field that may be absent.
    pub const fn new(name: &'static str, ty: Ty, doc: &'static str) -> Self {
        Self { name, aliases: &[], renamed: &[], ty, fallback: Fallback::Absent, range: Range::ANY, doc }
    }

    /// The recipe must say it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.fallback = Fallback::Required;
        self
    }

    /// The default, as TOML text; bare words are texts.
    #[must_use]
    pub const fn or(mut self, toml: &'static str) -> Self {
        self.fallback = Fallback::Value(toml);
        self
    }

    /// The default is the kind that its room marks with [`crate::KindSpec::standard`].
    #[must_use]
    pub const fn or_standard(mut self) -> Self {
        self.fallback = Fallback::Room;
        self
    }

    /// Other accepted names. `_` and `-` are the same in every key, so only other words need to be listed.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Refused names, each with what to write instead.
    #[must_use]
    pub const fn renamed(mut self, renamed: &'static [(&'static str, &'static str)]) -> Self {
        self.renamed = renamed;
        self
    }

    /// The least value.
    #[must_use]
    pub const fn min(mut self, min: f64) -> Self {
        self.range.min = Some(min);
        self
    }

    /// The greatest value.
    #[must_use]
    pub const fn max(mut self, max: f64) -> Self {
        self.range.max = Some(max);
        self
    }

    /// Every value must lie above this one.
    #[must_use]
    pub const fn above(mut self, min: f64) -> Self {
        self.range.above = true;
        self.min(min)
    }

    /// Every value must lie below this one.
    #[must_use]
    pub const fn below(mut self, max: f64) -> Self {
        self.range.below = true;
        self.max(max)
    }

    /// Whether a key in a recipe means this field.
    pub(crate) fn answers_to(&self, key: &str) -> bool {
        same_key(self.name, key) || self.aliases.iter().any(|alias| same_key(alias, key))
    }
}

/// Keys are the same whether they are written with `_` or with `-`.
pub(crate) fn same_key(a: &str, b: &str) -> bool {
    let plain = |c: u8| if c == b'_' { b'-' } else { c };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

impl Ty {
    /// What a reader should write: `a number`, `one of a, b`.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Count => "a whole number from 0 up".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::Str => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Length => "a length such as \"60st\", \"2Mtok\" or \"3ep\"".to_owned(),
            Self::Every => "a number of steps, or a length such as \"60st\" or \"2Mtok\"".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List(Self::Table(_) | Self::Variants(_)) => "a list of tables".to_owned(),
            Self::List(inner) => format!("a list, each {}", inner.describe()),
            Self::OneOrMany(inner) => format!("{}, or a list of these", inner.describe()),
            Self::Table(_) | Self::Variants(_) => "a table".to_owned(),
            Self::Map(_) => "a table of named entries".to_owned(),
            Self::OneOrNamed(inner) => format!("{}, or named ones", inner.describe()),
            Self::Kind(rooms) => describe_rooms(rooms),
            Self::KindOr(rooms, _) => format!("{}, or a table", describe_rooms(rooms)),
            Self::OneOf(types) => types.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
            Self::Range2 => "a whole number, or a range such as [3, 5]".to_owned(),
            Self::Name(names) => names.describe().to_owned(),
            Self::Any => "any value".to_owned(),
        }
    }
}

fn describe_rooms(rooms: &[Room]) -> String {
    rooms.iter().map(|room| room.with_article()).collect::<Vec<_>>().join(" or ")
}

impl Names {
    /// What a reader should write.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Start => "an earlier stage, \"model\", or a checkpoint folder",
            Self::StreamOf => "a stream of an earlier stage as \"stage.stream\"",
            Self::Stream => "a stream of this stage",
            Self::Cast => "a cast of this stage, or \"policy\"",
            Self::Clamp => "a clamp of this stage",
            Self::Knob | Self::KnobRead => "a number of this stage, such as \"lr\"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_open_and_closed_ends() {
        let f = Field::new("x", Ty::Float, "").above(0.0).max(1.0);
        assert!(!f.range.contains(0.0) && f.range.contains(1.0) && !f.range.contains(1.1));
        assert_eq!(f.range.describe(), "above 0 and at most 1");
        assert!(!Range { min: Some(0.0), ..Range::ANY }.contains(f64::NAN));
    }

    #[test]
    fn underscores_are_dashes() {
        let f = Field::new("max-grad-norm", Ty::Float, "").aliases(&["clip_norm"]);
        assert!(f.answers_to("max_grad_norm") && f.answers_to("max-grad-norm") && f.answers_to("clip-norm"));
        assert!(!f.answers_to("max-grad"));
    }
}
