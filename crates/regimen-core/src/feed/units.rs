//! Units as JSON, for the episodes that a checkpoint must keep between two inner steps.

use regimen_base::StateError;
use regimen_data::{ExampleId, Features, Role, Token};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::picks::{Content, Side, Unit};

#[derive(Serialize, Deserialize)]
struct Row {
    example: ExampleId,
    weight: f32,
    advantage: Option<f32>,
    side: Option<Side>,
    #[serde(default)]
    tokens: Vec<(u32, Role, f32, Option<f32>)>,
    #[serde(default)]
    features: Option<Features>,
}

/// Every bit of the units. f32 values pass through JSON's f64 unchanged.
pub fn units_to_json(units: &[Unit]) -> Value {
    let row = |u: &Unit| Row {
        example: u.example,
        weight: u.weight,
        advantage: u.advantage,
        side: u.side,
        tokens: u.tokens().iter().map(|t| (t.id, t.role, t.weight, t.logprob)).collect(),
        features: match &u.content {
            Content::Features(features) => Some(features.clone()),
            Content::Tokens(_) => None,
        },
    };
    let rows: Vec<Row> = units.iter().map(row).collect();
    serde_json::to_value(rows).expect("rows of numbers and names are always JSON")
}

/// The inverse of [`units_to_json`].
///
/// # Errors
/// JSON that is something else.
pub fn units_from_json(value: &Value) -> Result<Vec<Unit>, StateError> {
    let rows: Vec<Row> =
        Vec::deserialize(value).map_err(|e| StateError(format!("the saved episodes cannot be read: {e}")))?;
    let token = |(id, role, weight, logprob)| Token { id, role, weight, logprob };
    let unit = |row: Row| Unit {
        example: row.example,
        weight: row.weight,
        advantage: row.advantage,
        side: row.side,
        content: match row.features {
            Some(features) => Content::Features(features),
            None => Content::Tokens(row.tokens.into_iter().map(token).collect()),
        },
    };
    Ok(rows.into_iter().map(unit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_data::Goal;

    #[test]
    fn every_bit_survives() {
        let token = Token { id: 7, role: Role::Assistant, weight: 0.1, logprob: Some(-1.234_567_9e-7) };
        let prompt = Token { id: 3, role: Role::User, weight: 0.0, logprob: None };
        let unit = Unit {
            example: ExampleId { source: 1, index: u64::MAX },
            content: Content::Tokens(vec![prompt, token]),
            weight: 1.0,
            advantage: Some(1.0 / 3.0),
            side: Some(Side::Rejected),
        };
        let features = Features { values: vec![0.1, -3.0e-8], goal: Goal::Class(4) };
        let row = Unit { content: Content::Features(features), side: None, advantage: None, ..unit.clone() };
        let units = [unit, row];
        let text = serde_json::to_string(&units_to_json(&units)).expect("JSON");
        let back = units_from_json(&serde_json::from_str(&text).expect("JSON")).expect("units");
        assert_eq!(back, units);
    }
}
