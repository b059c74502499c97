//! Values that hold nothing else.

use regimen_base::Length;

use crate::hint;
use crate::node::Value;
use crate::raw::{Raw, RawValue};
use crate::source::{Sources, Via};
use crate::spec::Ty;

const LENGTHS: &str = "write \"60st\" for steps, \"2Mtok\" for tokens, \"3ep\" for passes over the data";

/// The value, or what to do about it.
pub(super) fn read(ty: &Ty, raw: &Raw, sources: &Sources) -> Result<Value, String> {
    match ty {
        Ty::Bool => match raw.value {
            RawValue::Bool(b) => Ok(Value::Bool(b)),
            _ => Err(unquoted(raw, |text| matches!(text, "true" | "false"))),
        },
        Ty::Int => whole(raw).map(Value::Int),
        Ty::Count => count(raw).map(Value::Count),
        Ty::Float => number(raw).map(Value::Float),
        Ty::Str | Ty::Path | Ty::Name(_) => text(raw, sources).map(|text| Value::Str(text.into())),
        Ty::Length => length(raw).map(Value::Length),
        Ty::Every => match raw.value {
            RawValue::Int(n) if n > 0 => Ok(Value::Length(Length::Steps(n as u64))),
            _ => length(raw).and_then(never_zero).map(Value::Length),
        },
        Ty::Choice(words) => choice(words, raw),
        Ty::Range2 => range(raw),
        _ => Err(String::new()),
    }
}

/// Whether a value has the shape of the type, so that [`Ty::OneOf`] takes it.
pub(super) fn fits(ty: &Ty, raw: &Raw) -> bool {
    match ty {
        Ty::Bool => matches!(raw.value, RawValue::Bool(_)),
        Ty::Int | Ty::Count => whole(raw).is_ok(),
        Ty::Float => matches!(raw.value, RawValue::Int(_) | RawValue::Float(_)),
        Ty::Str | Ty::Path | Ty::Name(_) => raw.as_str().is_some(),
        Ty::Length => length(raw).is_ok(),
        Ty::Every => length(raw).is_ok() || matches!(raw.value, RawValue::Int(_)),
        Ty::Choice(words) => raw.as_str().is_some_and(|text| words.contains(&text)),
        Ty::List(_) => raw.as_list().is_some(),
        Ty::OneOrMany(inner) => raw.as_list().is_some() || fits(inner, raw),
        Ty::Table(_) => raw.as_table().is_some_and(|table| table.get("kind").is_none()),
        Ty::Map(_) | Ty::Variants(_) => raw.as_table().is_some(),
        Ty::OneOrNamed(_) | Ty::KindOr(..) => raw.as_table().is_some() || raw.as_str().is_some(),
        Ty::Kind(_) => raw.kind().is_some(),
        Ty::OneOf(types) => types.iter().any(|t| fits(t, raw)),
        Ty::Range2 => matches!(raw.value, RawValue::Int(_) | RawValue::List(_)),
        Ty::Any => true,
    }
}

fn unquoted(raw: &Raw, fits: impl Fn(&str) -> bool) -> String {
    match raw.as_str() {
        Some(text) if fits(text.trim()) => "write it without quotes".to_owned(),
        _ => String::new(),
    }
}

fn number(raw: &Raw) -> Result<f64, String> {
    match raw.value {
        RawValue::Int(n) => Ok(n as f64),
        RawValue::Float(x) if x.is_finite() => Ok(x),
        RawValue::Float(_) => Err("only finite numbers can stand here".to_owned()),
        _ => Err(unquoted(raw, |text| text.parse::<f64>().is_ok())),
    }
}

fn whole(raw: &Raw) -> Result<i64, String> {
    /// Up to here every whole number has its own float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match raw.value {
        RawValue::Int(n) => Ok(n),
        // 1e6 is a float to TOML and a count to people
        RawValue::Float(x) if x.fract() == 0.0 && x.abs() <= EXACT => Ok(x as i64),
        RawValue::Float(_) => Err("write a whole number".to_owned()),
        _ => Err(unquoted(raw, |text| text.parse::<i64>().is_ok())),
    }
}

fn count(raw: &Raw) -> Result<u64, String> {
    u64::try_from(whole(raw)?).map_err(|_| "it cannot be negative".to_owned())
}

fn text(raw: &Raw, sources: &Sources) -> Result<String, String> {
    match (&raw.value, &raw.origin.via, &raw.origin.at) {
        (RawValue::Str(text), ..) => Ok(text.clone()),
        // --set data.path=2024 means the text: nobody quotes on a command line
        (
            RawValue::Int(_) | RawValue::Float(_) | RawValue::Bool(_) | RawValue::Date(_),
            Via::Set,
            Some(at),
        ) => Ok(sources.text(at).to_owned()),
        (RawValue::Int(_) | RawValue::Float(_) | RawValue::Bool(_) | RawValue::Date(_), ..) => {
            Err("put it into quotes".to_owned())
        }
        _ => Err(String::new()),
    }
}

fn length(raw: &Raw) -> Result<Length, String> {
    raw.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| LENGTHS.to_owned())
}

/// Nothing can happen every zero steps.
fn never_zero(length: Length) -> Result<Length, String> {
    match length {
        Length::Steps(0) | Length::Tokens(0) => Err("leave it out, or write more than nothing".to_owned()),
        _ => Ok(length),
    }
}

fn choice(words: &'static [&'static str], raw: &Raw) -> Result<Value, String> {
    let Some(text) = raw.as_str() else { return Err(String::new()) };
    match words.iter().find(|word| crate::spec::same_key(word, text)) {
        Some(word) => Ok(Value::Str((*word).into())),
        None => Err(hint::did_you_mean(text, words)),
    }
}

fn range(raw: &Raw) -> Result<Value, String> {
    match raw.as_list() {
        None => whole(raw).map(|n| Value::Range(n, n)),
        Some([low, high]) => {
            let (low, high) = (whole(low)?, whole(high)?);
            if low <= high {
                Ok(Value::Range(low, high))
            } else {
                Err(format!("the lower end comes first: [{high}, {low}]"))
            }
        }
        Some(_) => Err("a range has two ends: [3, 5]".to_owned()),
    }
}
