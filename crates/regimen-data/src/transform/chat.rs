//! Conversations to tokens through the chat template.

use regimen_base::{Error, Key, Result};
use serde_json::Value;

use super::{Notes, Transform};
use crate::{Body, ChatTemplate, Example, Message, Token, prompt_of};

/// Renders and encodes conversations. Without `train-on-reply` behind it every token has weight 1. A conversation
/// that does not end in a reply becomes its prompt; a preference pair becomes two examples, the chosen side first,
/// which say so in the column `side`. The column `tools` goes to the template.
#[derive(Clone, Debug)]
pub struct Chat {
    template: ChatTemplate,
    /// Only the last reply is told apart, for templates that change earlier ones.
    last_only: bool,
}

impl Chat {
    /// Through this template.
    pub fn new(template: ChatTemplate) -> Self {
        Self { template, last_only: false }
    }

    /// For templates that are not prefix-preserving: only the last reply can be trained on.
    #[must_use]
    pub fn last_only(mut self) -> Self {
        self.last_only = true;
        self
    }

    fn tokens(&self, template: &ChatTemplate, messages: &[Message]) -> Result<Vec<Token>> {
        if prompt_of(messages).len() == messages.len() {
            return template.prompt(messages);
        }
        if self.last_only { template.tokenize_last(messages) } else { template.tokenize(messages) }
    }

    fn side(
        &self,
        template: &ChatTemplate,
        example: &Example,
        prompt: &[Message],
        reply: &[Message],
        side: &str,
    ) -> Result<Example> {
        let mut said = prompt.to_vec();
        for m in &mut said {
            m.extra.insert("train".to_owned(), Value::Bool(false));
        }
        said.extend_from_slice(reply);
        let mut columns = example.columns.clone();
        columns.insert("side".to_owned(), side.into());
        Ok(Example { body: Body::Tokens(self.tokens(template, &said)?), columns, ..example.clone() })
    }
}

impl Transform for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn apply(&self, mut example: Example, _: Key, _: &mut Notes) -> Result<Vec<Example>> {
        let template = match tools(&example)? {
            Some(tools) => self.template.with("tools", tools),
            None => self.template.clone(),
        };
        let body = std::mem::replace(&mut example.body, Body::Text(String::new()));
        match body {
            Body::Messages(messages) => {
                example.body = Body::Tokens(self.tokens(&template, &messages)?);
                Ok(vec![example])
            }
            Body::Preference { prompt, chosen, rejected } => Ok(vec![
                self.side(&template, &example, &prompt, &chosen, "chosen")?,
                self.side(&template, &example, &prompt, &rejected, "rejected")?,
            ]),
            Body::Text(_) => Err(Error::usage("`chat` needs conversations, and the data is plain text")
                .remedy("use the transform `text`, or data with `messages` or `prompt` and `completion`")),
            Body::Tokens(_) => Err(Error::usage("`chat` comes after something that already made tokens")
                .remedy("put it first, and only one of `chat` and `text`")),
        }
    }
}

/// A list of tools, or the JSON text of one.
fn tools(example: &Example) -> Result<Option<Value>> {
    match example.columns.get("tools") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|e| {
            Error::data(format!("column `tools` is a text that is not JSON: {e}"))
                .remedy("write the list of tools as JSON")
        }),
        Some(tools) => Ok(Some(tools.clone())),
    }
}
