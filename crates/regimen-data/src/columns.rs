//! From the columns of a row to an example: which kind of data set it is, and where everything stands.

mod detect;
mod message;
mod preference;
mod tokens;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::read::{Place, Row};
use crate::{Body, Example, ExampleId, Message, Role};

pub use detect::{Columns, Detected, Schema};
use message::{messages, text_of};

impl Detected {
    /// What a row says, under this schema.
    ///
    /// # Errors
    /// A column is missing or holds another kind of value: with file and line, the columns the row has, a remedy.
    pub fn example(&self, row: Row, id: ExampleId) -> Result<Example> {
        let Row { place, mut values } = row;
        let mut reader = Reader { detected: self, place: &place, values: &mut values };
        let (body, answer) = reader.body()?;
        let answer = answer.or_else(|| reader.answer());
        let difficulty = values.get("difficulty").and_then(Value::as_u64).and_then(|d| u32::try_from(d).ok());
        Ok(Example { answer, difficulty, columns: values, ..Example::new(id, body) })
    }
}

struct Reader<'a> {
    detected: &'a Detected,
    place: &'a Place,
    values: &'a mut Map<String, Value>,
}

impl Reader<'_> {
    fn body(&mut self) -> Result<(Body, Option<String>)> {
        let names = self.detected.columns.clone();
        Ok(match self.detected.schema {
            Schema::Text => (Body::Text(self.take_text(names.text())?), None),
            Schema::Messages | Schema::Conversations => {
                let column = self.detected.main.clone();
                let mut said = self.messages(&column)?;
                self.put_system_first(&mut said);
                (Body::Messages(said), None)
            }
            Schema::PromptCompletion => {
                let body = self.prompt_completion()?;
                let answer = self.completion_as_answer(&body);
                (body, answer)
            }
            Schema::UnpairedPreference => {
                let label = self.values.get(names.label());
                if !label.is_some_and(Value::is_boolean) {
                    let found = label.cloned().unwrap_or_default();
                    return Err(self.wrong(names.label(), "true or false", &found));
                }
                (self.prompt_completion()?, None)
            }
            Schema::Stepwise => (self.stepwise()?, None),
            Schema::Tokens => (tokens::body(self.place, self.values)?, None),
            Schema::Instruction => (self.instruction()?, None),
            Schema::QuestionAnswer => {
                let question = Message::new(Role::User, self.take_text(names.question())?);
                let answer = self.take_text(names.answer())?;
                let mut said = vec![question, Message::new(Role::Assistant, answer.clone())];
                self.put_system_first(&mut said);
                (Body::Messages(said), Some(answer))
            }
            Schema::Prompt => {
                let mut said = self.take_turns(names.prompt(), Role::User)?;
                self.put_system_first(&mut said);
                (Body::Messages(said), None)
            }
            Schema::Preference => (self.preference()?, None),
        })
    }

    /// A prompt and its completion: the loss falls on the completion, so a prompt's own replies are marked.
    fn prompt_completion(&mut self) -> Result<Body> {
        let names = self.detected.columns.clone();
        let mut said = self.take_turns(names.prompt(), Role::User)?;
        self.put_system_first(&mut said);
        for message in &mut said {
            message.extra.insert("train".to_owned(), Value::Bool(false));
        }
        let column = self.detected.second.clone();
        said.extend(self.take_turns(&column, Role::Assistant)?);
        Ok(Body::Messages(said))
    }

    /// The completion, where `answer` names its column: replies are then compared with it.
    fn completion_as_answer(&self, body: &Body) -> Option<String> {
        let wanted = self.detected.columns.answer.as_ref() == Some(&self.detected.second);
        let Body::Messages(said) = body else { return None };
        said.last().filter(|_| wanted).map(|reply| reply.content.clone())
    }

    /// Alpaca: `instruction`, an optional `input` below it, `output`; `system` and `history` where there are any.
    fn instruction(&mut self) -> Result<Body> {
        let mut question = self.take_text("instruction")?;
        let input = self.take_optional("input");
        let reply = self.take_text("output")?;
        if let Some(input) = input {
            question.push_str("\n\n");
            question.push_str(&input);
        }
        let mut said = Vec::new();
        if let Some(Value::Array(pairs)) = self.values.remove("history") {
            for pair in &pairs {
                let (Some(q), Some(a)) =
                    (pair.get(0).and_then(Value::as_str), pair.get(1).and_then(Value::as_str))
                else {
                    return Err(self.wrong("history", "a list of [question, answer] pairs", pair));
                };
                said.extend([Message::new(Role::User, q), Message::new(Role::Assistant, a)]);
            }
        }
        said.extend([Message::new(Role::User, question), Message::new(Role::Assistant, reply)]);
        self.put_system_first(&mut said);
        Ok(Body::Messages(said))
    }

    /// Steps of one reply. They and their labels stay among the columns, for what learns to judge them.
    fn stepwise(&mut self) -> Result<Body> {
        let mut said = self.take_turns(self.detected.columns.clone().prompt(), Role::User)?;
        self.put_system_first(&mut said);
        let count = |column: &str| self.values.get(column).and_then(Value::as_array).map(Vec::len);
        let (steps, labels) = (count("completions"), count("labels"));
        if steps.is_none() || steps != labels {
            let what = format!("{}: `completions` and `labels` are not lists of one length", self.place);
            return Err(Error::data(what).remedy("give every step of the reply its label"));
        }
        let steps = self.values.get("completions").and_then(Value::as_array).into_iter().flatten();
        let steps: Option<Vec<&str>> = steps.map(Value::as_str).collect();
        let Some(steps) = steps else {
            let found = self.values.get("completions").cloned().unwrap_or_default();
            return Err(self.wrong("completions", "a list of texts", &found));
        };
        said.push(Message::new(Role::Assistant, steps.join("\n")));
        Ok(Body::Messages(said))
    }

    fn preference(&mut self) -> Result<Body> {
        let names = self.detected.columns.clone();
        let has_prompt = self.values.contains_key(names.prompt());
        let prompt = has_prompt.then(|| self.take_turns(names.prompt(), Role::User)).transpose()?;
        let chosen = self.take_turns(names.chosen(), Role::Assistant)?;
        let rejected = self.take_turns(names.rejected(), Role::Assistant)?;
        preference::split(self.place, prompt, chosen, rejected)
    }

    /// The first of the usual columns that hold a gold answer. It stays among the columns: rewards may want it.
    fn answer(&self) -> Option<String> {
        let model = self.values.get("reward_model").and_then(|m| m.get("ground_truth"));
        let names = [self.detected.columns.answer(), "solution", "ground_truth", "target", "label"];
        model.into_iter().chain(names.iter().filter_map(|n| self.values.get(*n))).find_map(|v| match v {
            Value::String(text) => Some(text.clone()),
            Value::Number(n) => Some(n.to_string()),
            _ => None,
        })
    }

    /// A `system` column of its own goes before a conversation that has no system message.
    fn put_system_first(&mut self, said: &mut Vec<Message>) {
        if said.first().is_some_and(|m| m.role != Role::System)
            && let Some(system) = self.take_optional("system")
        {
            said.insert(0, Message::new(Role::System, system));
        }
    }

    fn take(&mut self, column: &str) -> Result<Value> {
        match self.values.remove(column) {
            Some(Value::Null) | None => {
                Err(detect::missing(self.place, column, self.values, self.detected.schema))
            }
            Some(value) => Ok(value),
        }
    }

    /// A list of messages, or (in CSV) the JSON text of one.
    fn messages(&mut self, column: &str) -> Result<Vec<Message>> {
        let list = match self.take(column)? {
            Value::String(text) => serde_json::from_str(&text).map_err(|e| {
                Error::data(format!("{}: column `{column}` is not the JSON of messages: {e}", self.place))
                    .remedy("write the list of messages as JSON")
            })?,
            list => list,
        };
        messages(self.place, column, &list, &self.detected.columns)
    }

    fn take_text(&mut self, column: &str) -> Result<String> {
        let value = self.take(column)?;
        text_of(&value).ok_or_else(|| self.wrong(column, "a text", &value))
    }

    fn take_optional(&mut self, column: &str) -> Option<String> {
        match self.values.get(column) {
            Some(Value::String(text)) if !text.is_empty() => {
                let text = text.clone();
                self.values.remove(column);
                Some(text)
            }
            _ => None,
        }
    }

    /// A text (one message of `role`) or a list of messages.
    fn take_turns(&mut self, column: &str, role: Role) -> Result<Vec<Message>> {
        match self.take(column)? {
            Value::String(text) => Ok(vec![Message::new(role, text)]),
            list @ Value::Array(_) => messages(self.place, column, &list, &self.detected.columns),
            other => Err(self.wrong(column, "a text or a list of messages", &other)),
        }
    }

    fn wrong(&self, column: &str, wanted: &str, found: &Value) -> Error {
        Error::data(format!(
            "{}: column `{column}` is {}, not {wanted}",
            self.place,
            crate::read::kind(found)
        ))
        .remedy("correct the row, or name another column in the data's table")
    }
}

#[cfg(test)]
mod tests;
