//! Rows that are tokens already, as other trainers prepare them.

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::read::Place;
use crate::{Body, Role, Token};

/// The label of a token that is not trained on, in PyTorch and transformers.
const IGNORED: i64 = -100;

/// The ids of a row, trained on where `labels` are not −100, or where `completion_mask` is 1, or everywhere. Labels
/// stand at the token that they are (transformers shifts them inside its models).
pub(super) fn body(place: &Place, values: &mut Map<String, Value>) -> Result<Body> {
    let ids = numbers(place, "input_ids", values.remove("input_ids").as_ref())?;
    values.remove("attention_mask");
    let weights: Vec<f32> = if let Some(labels) = values.remove("labels") {
        let labels = numbers(place, "labels", Some(&labels))?;
        for (at, (label, id)) in labels.iter().zip(&ids).enumerate() {
            if *label != IGNORED && label != id {
                return Err(Error::data(format!("{place}: label {at} is {label}, but token {at} is {id}"))
                    .remedy("labels are the input ids, or -100 where nothing is learnt; do not shift them"));
            }
        }
        labels.iter().map(|l| f32::from(u8::from(*l != IGNORED))).collect()
    } else if let Some(mask) = values.remove("completion_mask") {
        let mask = numbers(place, "completion_mask", Some(&mask))?;
        mask.iter().map(|m| f32::from(u8::from(*m != 0))).collect()
    } else {
        vec![1.0; ids.len()]
    };
    if weights.len() != ids.len() {
        return Err(Error::data(format!("{place}: {} ids, but {} labels", ids.len(), weights.len()))
            .remedy("give every token its label"));
    }
    let token = |(id, weight): (i64, f32)| {
        let id = u32::try_from(id).map_err(|_| {
            Error::data(format!("{place}: {id} is no token id")).remedy("ids are counted from 0")
        })?;
        Ok(Token { id, role: Role::Text, weight, logprob: None })
    };
    Ok(Body::Tokens(ids.into_iter().zip(weights).map(token).collect::<Result<_>>()?))
}

fn numbers(place: &Place, column: &str, value: Option<&Value>) -> Result<Vec<i64>> {
    let list = value.and_then(Value::as_array).map(|l| l.iter().map(number).collect::<Option<Vec<i64>>>());
    list.flatten().ok_or_else(|| {
        Error::data(format!("{place}: column `{column}` is not a list of whole numbers"))
            .remedy("write the ids of the tokens, without padding")
    })
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_bool().map(i64::from))
}
