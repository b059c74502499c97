//! A JSON Schema of recipes, for completion and checks in editors.

use serde_json::{Map, Value as Json, json};

use crate::kind::{Catalogue, KindSpec};
use crate::raw::{Raw, RawValue};
use crate::room::Room;
use crate::source::Origin;
use crate::spec::{Fallback, Field, Range, Ty, Variant};
use crate::top::TOP;

/// JSON Schema (draft 2020-12) of all recipes that can be written with the kinds of `catalogue`.
pub fn schema(catalogue: &Catalogue) -> Json {
    let builder = Builder { catalogue };
    let fields: Vec<&'static Field> = TOP.iter().collect();
    let mut root = builder.object(&fields, None);
    let mut defs = Map::new();
    for kind in catalogue.all().iter().filter(|kind| kind.room != Room::Claim) {
        defs.insert(def_name(kind, false), builder.kind(kind, false));
        if !kind.room.shared_fields().is_empty() {
            defs.insert(def_name(kind, true), builder.kind(kind, true));
        }
    }
    if let Json::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("Regimen recipe"));
        // a recipe that builds on another one may leave out anything
        root.remove("required");
        root.insert("$defs".to_owned(), Json::Object(defs));
    }
    root
}

fn def_name(kind: &KindSpec, in_list: bool) -> String {
    if in_list && !kind.room.shared_fields().is_empty() {
        format!("{}.entry", kind.topic())
    } else {
        kind.topic()
    }
}

struct Builder<'a> {
    catalogue: &'a Catalogue,
}

impl Builder<'_> {
    fn kind(&self, kind: &KindSpec, in_list: bool) -> Json {
        let mut object = self.object(&kind.all_fields(in_list), Some((kind.name, true)));
        object["description"] = json!(kind.doc);
        object
    }

    /// A table; `kind` is its name and whether it must be written.
    fn object(&self, fields: &[&'static Field], kind: Option<(&str, bool)>) -> Json {
        let mut properties = Map::new();
        let mut patterns = Map::new();
        let mut required = Vec::new();
        if let Some((name, must)) = kind {
            properties.insert("kind".to_owned(), json!({ "const": name }));
            required.extend(must.then_some("kind"));
        }
        for field in fields {
            let schema = self.field(field);
            // other spellings are accepted, but an editor should offer only one
            for spelling in other_spellings(field) {
                patterns.insert(format!("^{spelling}$"), schema.clone());
            }
            if field.fallback == Fallback::Required && field.aliases.is_empty() {
                required.push(field.name);
            }
            properties.insert(field.name.to_owned(), schema);
        }
        let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !patterns.is_empty() {
            object["patternProperties"] = Json::Object(patterns);
        }
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }

    fn field(&self, field: &Field) -> Json {
        let mut schema = self.ty(&field.ty, &field.range, false);
        schema["description"] = json!(field.doc);
        if let Fallback::Value(text) = field.fallback
            && let Ok(raw) = Raw::of_default(text, &Origin::default_of(""))
        {
            schema["default"] = plain(&raw);
        }
        schema
    }

    fn ty(&self, ty: &Ty, range: &Range, in_list: bool) -> Json {
        match ty {
            Ty::Bool => json!({ "type": "boolean" }),
            Ty::Int => limited("integer", range),
            Ty::Count => limited("integer", &Range { min: Some(range.min.unwrap_or(0.0)), ..*range }),
            Ty::Float => limited("number", range),
            Ty::Str | Ty::Path => json!({ "type": "string" }),
            Ty::Name(names) => json!({ "type": "string", "$comment": names.describe() }),
            Ty::Length => json!({ "type": "string", "pattern": LENGTH }),
            Ty::Every => {
                json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": LENGTH }] })
            }
            Ty::Choice(words) => json!({ "enum": words }),
            Ty::List(inner) => json!({ "type": "array", "items": self.ty(inner, range, true) }),
            Ty::OneOrMany(inner) => {
                let item = self.ty(inner, range, true);
                json!({ "anyOf": [item, { "type": "array", "items": item }] })
            }
            Ty::Table(fields) => self.object(&fields.iter().collect::<Vec<_>>(), None),
            Ty::Map(inner) => {
                json!({ "type": "object", "additionalProperties": self.ty(inner, range, false) })
            }
            Ty::OneOrNamed(inner) => {
                let one = self.ty(inner, range, false);
                let named =
                    json!({ "type": "object", "not": { "required": ["kind"] }, "additionalProperties": one });
                json!({ "anyOf": [one, named] })
            }
            Ty::Kind(rooms) => json!({ "anyOf": self.kinds(rooms, in_list) }),
            Ty::KindOr(rooms, fields) => {
                let mut forms = self.kinds(rooms, in_list);
                forms.push(self.object(&fields.iter().collect::<Vec<_>>(), None));
                json!({ "anyOf": forms })
            }
            Ty::Variants(variants) => json!({ "oneOf": self.variants(variants) }),
            Ty::OneOf(types) => {
                json!({ "anyOf": types.iter().map(|t| self.ty(t, range, in_list)).collect::<Vec<_>>() })
            }
            Ty::Range2 => {
                let number = limited("integer", range);
                json!({ "anyOf": [number, { "type": "array", "items": number, "minItems": 2, "maxItems": 2 }] })
            }
            Ty::Any => json!({}),
        }
    }

    fn variants(&self, variants: &'static [Variant]) -> Vec<Json> {
        let form = |(i, variant): (usize, &'static Variant)| {
            // the first variant is meant when `kind` is absent
            let mut object =
                self.object(&variant.fields.iter().collect::<Vec<_>>(), Some((variant.name, i > 0)));
            object["description"] = json!(variant.doc);
            object
        };
        variants.iter().enumerate().map(form).collect()
    }

    /// The bare words, then one form for each kind. A name of a data set is a bare word too.
    fn kinds(&self, rooms: &[Room], in_list: bool) -> Vec<Json> {
        let kinds: Vec<&KindSpec> = rooms.iter().flat_map(|&room| self.catalogue.kinds(room)).collect();
        let lone = |k: &&&KindSpec| !k.fields.iter().any(|f| f.fallback == Fallback::Required);
        let words: Vec<&str> = kinds.iter().filter(lone).map(|k| k.name).collect();
        let data = rooms.iter().any(|room| matches!(room, Room::Data | Room::Task));
        let mut forms = vec![json!({ "enum": words })];
        if data {
            forms.push(json!({ "type": "string", "$comment": "the name of a data set of this recipe" }));
            let named = json!({
                "type": "object",
                "properties": { "kind": { "type": "string", "not": { "enum": kinds.iter().map(|k| k.name).collect::<Vec<_>>() } } },
                "required": ["kind"],
            });
            forms.push(named);
        }
        forms.extend(
            kinds.iter().map(|kind| json!({ "$ref": format!("#/$defs/{}", def_name(kind, in_list)) })),
        );
        forms
    }
}

const LENGTH: &str = r"^[0-9._]+([kMG]?(st|tok)|ep)$";

fn other_spellings(field: &Field) -> Vec<String> {
    let pattern = |name: &str| name.replace(['-', '_'], "[-_]");
    let own = field.name.contains('-').then(|| field.name.replace('-', "_"));
    own.into_iter().chain(field.aliases.iter().map(|alias| pattern(alias))).collect()
}

fn limited(ty: &str, range: &Range) -> Json {
    let mut schema = json!({ "type": ty });
    let whole = |x: f64| if x.fract() == 0.0 { json!(x as i64) } else { json!(x) };
    if let Some(min) = range.min {
        schema[if range.above { "exclusiveMinimum" } else { "minimum" }] = whole(min);
    }
    if let Some(max) = range.max {
        schema[if range.below { "exclusiveMaximum" } else { "maximum" }] = whole(max);
    }
    schema
}

fn plain(raw: &Raw) -> Json {
    match &raw.value {
        RawValue::Bool(b) => json!(b),
        RawValue::Int(n) => json!(n),
        RawValue::Float(x) => json!(x),
        RawValue::Str(text) | RawValue::Date(text) => json!(text),
        RawValue::List(list) => Json::Array(list.iter().map(plain).collect()),
        RawValue::Table(table) => {
            Json::Object(table.entries.iter().map(|e| (e.key.clone(), plain(&e.value))).collect())
        }
    }
}
