//! Lists of messages, in OpenAI's form (`role`, `content`) and ShareGPT's (`from`, `value`).

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::Columns;
use crate::read::{Place, kind};
use crate::{Message, Role};

/// Reads a column of messages.
pub(super) fn messages(place: &Place, column: &str, value: &Value, names: &Columns) -> Result<Vec<Message>> {
    let Value::Array(list) = value else {
        return Err(Error::data(format!(
            "{place}: column `{column}` is {}, not a list of messages",
            kind(value)
        ))
        .remedy("write [{\"role\": \"user\", \"content\": \"…\"}, …]"));
    };
    if list.is_empty() {
        return Err(
            Error::data(format!("{place}: column `{column}` has no messages")).remedy("remove the row")
        );
    }
    list.iter().enumerate().map(|(i, m)| message(m, names).map_err(|e| told(place, column, i, e))).collect()
}

type Wrong = (String, &'static str);

fn told(place: &Place, column: &str, index: usize, (what, remedy): Wrong) -> Error {
    Error::data(format!("{place}: message {} of `{column}` {what}", index + 1)).remedy(remedy)
}

fn message(value: &Value, names: &Columns) -> Result<Message, Wrong> {
    let Value::Object(fields) = value else {
        return Err((format!("is {}, not an object", kind(value)), "write {\"role\": …, \"content\": …}"));
    };
    let mut extra = fields.clone();
    let field = |given: &'_ Option<String>, usual: [&str; 2]| match given {
        Some(name) => vec![name.clone()],
        None => usual.map(str::to_owned).to_vec(),
    };
    let said_by = field(&names.role, ["role", "from"]).iter().find_map(|k| extra.remove(k));
    let Some(Value::String(said_by)) = said_by else {
        return Err((
            "has no `role` (or `from`)".to_owned(),
            "add who says it: system, user, assistant or tool",
        ));
    };
    let role = role(&said_by).ok_or_else(|| {
        (format!("has the unknown role `{said_by}`"), "use system, user, assistant or tool")
    })?;
    let content = field(&names.content, ["content", "value"]).iter().find_map(|k| extra.remove(k));
    let content = content_of(content.as_ref(), &extra)?;
    // absent fields of a Parquet struct come as nulls, which templates would take for values
    extra.retain(|_, v| !v.is_null());
    Ok(Message { role, content, extra })
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "system" | "developer" => Role::System,
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "model" | "bot" | "chatgpt" | "function_call" => Role::Assistant,
        "tool" | "function" | "observation" | "ipython" => Role::Tool,
        _ => return None,
    })
}

/// A text, null beside tool calls, or OpenAI's list of text parts.
fn content_of(content: Option<&Value>, extra: &Map<String, Value>) -> Result<String, Wrong> {
    match content {
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        Some(Value::Null) | None if extra.get("tool_calls").is_some_and(|c| !c.is_null()) => {
            Ok(String::new())
        }
        Some(Value::Null) | None => {
            Err(("has no `content` (or `value`)".to_owned(), "add what is said; it may be an empty text"))
        }
        Some(other) => text_of(other)
            .ok_or_else(|| (format!("has {} as content", kind(other)), "content must be a text")),
    }
}

fn part(part: &Value) -> Result<String, Wrong> {
    match (part, part.get("text")) {
        (Value::String(text), _) | (_, Some(Value::String(text))) => Ok(text.clone()),
        _ => Err(("has a part that is not text".to_owned(), "only text can be trained on: remove the row")),
    }
}

/// A value as text: numbers and bools as they are written (answers are often numbers).
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}
