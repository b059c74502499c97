//! `explain`, `list` and `schema`.

use crate::fake::catalogue;
use regimen_recipe::{Room, explain, list, schema};
use serde_json::Value;

#[test]
fn explains_kinds_tables_and_fields() {
    let texts = ["objective.grpo", "kl", "stage", "stage.stream", "learning_rate", "model", "stage.schedule"]
        .map(|topic| explain(&catalogue(), topic).unwrap());
    insta::assert_snapshot!(texts.join("\n---\n"));
    assert_eq!(explain(&catalogue(), "sampler").unwrap(), list(&catalogue(), Room::Sampler));
    let error = explain(&catalogue(), "objective.gprpo").unwrap_err();
    assert_eq!(error.remedy.as_deref(), Some("did you mean `objective.grpo`?"));
}

#[test]
fn lists_rooms() {
    insta::assert_snapshot!(list(&catalogue(), Room::Objective));
    assert!(list(&catalogue(), Room::Edit).ends_with("nothing yet\n"));
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn references<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
        match value {
            Value::Object(entries) => {
                out.extend(entries.get("$ref").and_then(Value::as_str));
                entries.values().for_each(|v| references(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, out)),
            _ => {}
        }
    }
    let schema = schema(&catalogue());
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let name = reference.strip_prefix("#/$defs/").unwrap();
        assert!(schema["$defs"].get(name).is_some(), "{reference}");
    }
    let grpo = &schema["$defs"]["objective.grpo.entry"];
    assert_eq!(grpo["properties"]["clip"]["default"], 0.2);
    assert_eq!(grpo["properties"]["clip"]["exclusiveMinimum"], 0);
    assert_eq!(grpo["properties"]["ratio"]["enum"], serde_json::json!(["token", "sequence"]));
    assert_eq!(grpo["properties"]["coef"]["default"], 1.0);
    assert!(schema["$defs"]["objective.grpo"]["properties"].get("coef").is_none());
    assert!(grpo["patternProperties"].get("^epsilon[-_]high$").is_some());
}
