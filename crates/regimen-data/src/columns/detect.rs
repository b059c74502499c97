//! Which kind of data set a file holds, told from its columns.

use std::fmt;
use std::str::FromStr;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::read::{Place, Row};

/// What a row of a data set means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schema {
    /// `text`: language modelling.
    Text,
    /// `messages`: conversations of `{role, content}`.
    Messages,
    /// `conversations`: ShareGPT's `{from, value}`.
    Conversations,
    /// `prompt` and `completion` (or `response`).
    PromptCompletion,
    /// Alpaca's `instruction`, `input`, `output`.
    Instruction,
    /// `question` and `answer`.
    QuestionAnswer,
    /// `prompt` alone, for RL; every other column goes to the reward.
    Prompt,
    /// `chosen` and `rejected`, with `prompt` or with a common beginning.
    Preference,
    /// KTO's `prompt`, `completion` and a `label` that is true or false.
    UnpairedPreference,
    /// `prompt`, `completions` (steps of one reply) and `labels` (whether each is right).
    Stepwise,
    /// `input_ids`, with `labels` (−100 is not trained on) or `completion_mask`.
    Tokens,
}

const NAMES: [(Schema, &str); 11] = [
    (Schema::Text, "text"),
    (Schema::Messages, "messages"),
    (Schema::Conversations, "conversations"),
    (Schema::PromptCompletion, "prompt-completion"),
    (Schema::Instruction, "instruction"),
    (Schema::QuestionAnswer, "question-answer"),
    (Schema::Prompt, "prompt"),
    (Schema::Preference, "preference"),
    (Schema::UnpairedPreference, "unpaired-preference"),
    (Schema::Stepwise, "stepwise"),
    (Schema::Tokens, "tokens"),
];

impl Schema {
    /// The schema's name in recipes.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(s, _)| *s == self).map_or("", |(_, n)| n)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Schema {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        NAMES.iter().find(|(_, n)| *n == text).map(|(s, _)| *s).ok_or_else(|| {
            let all: Vec<_> = NAMES.iter().map(|(_, n)| *n).collect();
            Error::usage(format!("there is no schema `{text}`")).remedy(format!("one of: {}", all.join(", ")))
        })
    }
}

/// Names of columns where they differ from the usual ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns {
    /// Instead of `text`.
    pub text: Option<String>,
    /// Instead of `messages` or `conversations`.
    pub messages: Option<String>,
    /// Instead of `prompt`.
    pub prompt: Option<String>,
    /// Instead of `completion` or `response`.
    pub completion: Option<String>,
    /// Instead of `question`.
    pub question: Option<String>,
    /// Instead of `answer`.
    pub answer: Option<String>,
    /// Instead of `chosen`.
    pub chosen: Option<String>,
    /// Instead of `rejected`.
    pub rejected: Option<String>,
    /// Instead of `label`.
    pub label: Option<String>,
    /// The field of a message that says who speaks, instead of `role` or `from`.
    pub role: Option<String>,
    /// The field of a message that says what is said, instead of `content` or `value`.
    pub content: Option<String>,
}

macro_rules! names {
    ($($field:ident),*) => {
        impl Columns {
            $(pub(super) fn $field(&self) -> &str {
                self.$field.as_deref().unwrap_or(stringify!($field))
            })*
        }
    };
}
names!(text, prompt, question, answer, chosen, rejected, label);

/// A schema with the columns it was found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detected {
    /// What rows mean.
    pub schema: Schema,
    /// The names of the columns.
    pub columns: Columns,
    /// The column that holds the conversation, the text or the prompt.
    pub(super) main: String,
    /// The column that holds the completion, the answer or the chosen side.
    pub(super) second: String,
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`", self.schema, self.main)?;
        if !self.second.is_empty() {
            write!(f, ", `{}`", self.second)?;
        }
        f.write_str(")")
    }
}

impl Detected {
    /// Finds the schema from a row; `given` overrides.
    ///
    /// # Errors
    /// No schema fits: with the columns that the row has.
    pub fn from_row(row: &Row, given: Option<Schema>, columns: &Columns) -> Result<Self> {
        let schema = match given {
            Some(schema) => schema,
            None => guess(&row.values, columns).ok_or_else(|| nothing_fits(row))?,
        };
        Ok(Self::new(schema, columns, &row.values))
    }

    fn new(schema: Schema, columns: &Columns, values: &Map<String, Value>) -> Self {
        let conversation = |usual: &str, other: &str| {
            let usual = if values.contains_key(usual) || !values.contains_key(other) { usual } else { other };
            columns.messages.clone().unwrap_or_else(|| usual.to_owned())
        };
        let (main, second) = match schema {
            Schema::Text => (columns.text().to_owned(), String::new()),
            Schema::Messages => (conversation("messages", "conversations"), String::new()),
            Schema::Conversations => (conversation("conversations", "conversation"), String::new()),
            Schema::PromptCompletion | Schema::UnpairedPreference => {
                (columns.prompt().to_owned(), completion(columns, values))
            }
            Schema::Stepwise => (columns.prompt().to_owned(), "completions".to_owned()),
            Schema::Tokens => ("input_ids".to_owned(), String::new()),
            Schema::Instruction => ("instruction".to_owned(), "output".to_owned()),
            Schema::QuestionAnswer => (columns.question().to_owned(), columns.answer().to_owned()),
            Schema::Prompt => (columns.prompt().to_owned(), String::new()),
            Schema::Preference => (columns.chosen().to_owned(), columns.rejected().to_owned()),
        };
        Self { schema, columns: columns.clone(), main, second }
    }
}

fn completion(columns: &Columns, values: &Map<String, Value>) -> String {
    let usual = if values.contains_key("completion") || !values.contains_key("response") {
        "completion"
    } else {
        "response"
    };
    columns.completion.clone().unwrap_or_else(|| usual.to_owned())
}

/// The richest meaning first: UltraFeedback has `prompt` and `messages` beside `chosen`, Alpaca has `text` beside
/// `instruction`.
fn guess(values: &Map<String, Value>, columns: &Columns) -> Option<Schema> {
    let has = |name: &str| values.contains_key(name);
    let list = |name: &str| values.get(name).is_some_and(is_list);
    let label = || values.get(columns.label()).is_some_and(Value::is_boolean);
    if list("input_ids") {
        Some(Schema::Tokens)
    } else if has(columns.chosen()) && has(columns.rejected()) {
        Some(Schema::Preference)
    } else if columns.messages.as_deref().map_or(list("messages"), list) {
        Some(Schema::Messages)
    } else if list("conversations") || list("conversation") {
        Some(Schema::Conversations)
    } else if has("instruction") && has("output") {
        Some(Schema::Instruction)
    } else if has(columns.prompt()) && list("completions") && list("labels") {
        Some(Schema::Stepwise)
    } else if has(columns.prompt()) && has(&completion(columns, values)) {
        Some(if label() { Schema::UnpairedPreference } else { Schema::PromptCompletion })
    } else if has(columns.question()) && has(columns.answer()) {
        Some(Schema::QuestionAnswer)
    } else if has(columns.prompt()) {
        Some(Schema::Prompt)
    } else if has(columns.text()) {
        Some(Schema::Text)
    } else {
        None
    }
}

/// A list, or (in CSV) the JSON text of one.
fn is_list(value: &Value) -> bool {
    value.is_array() || value.as_str().is_some_and(|text| text.trim_start().starts_with("[{"))
}

fn nothing_fits(row: &Row) -> Error {
    let usual = [
        "text",
        "messages",
        "conversations",
        "prompt",
        "completion",
        "instruction",
        "question",
        "answer",
        "chosen",
    ];
    let near = row.values.keys().find_map(|k| nearest(k, usual.iter().copied()).map(|n| (k, n)));
    let hint = near.map_or(String::new(), |(has, wants)| format!("did you mean `{wants}` by `{has}`? "));
    Error::data(format!("{}: cannot tell what the rows mean; their columns are {}", row.place, listed(&row.values)))
        .remedy(format!(
            "{hint}rename a column, or say in the data's table which is which: `text = \"…\"` (or messages, prompt, \
             completion, question, answer, chosen, rejected)"
        ))
}

/// The message about a row without a column that its schema needs.
pub(super) fn missing(place: &Place, column: &str, values: &Map<String, Value>, schema: Schema) -> Error {
    let near = nearest(column, values.keys().map(String::as_str));
    let hint = near.map_or(String::new(), |n| format!("did you mean `{n}`? "));
    Error::data(format!(
        "{place}: the row has no column `{column}` (its columns are {}); the data was read as `{schema}`",
        listed(values)
    ))
    .remedy(format!(
        "{hint}correct the row, name the column in the data's table (`regimen explain data.file`), or set `schema`"
    ))
}

fn listed(values: &Map<String, Value>) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    values.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
}

fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = all.map(|n| (strsim::jaro_winkler(&name.to_lowercase(), &n.to_lowercase()), n));
    scored.filter(|(score, _)| *score > 0.82).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}
