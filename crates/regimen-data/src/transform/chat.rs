//! Conversations to tokens through the chat template.

use regimen_base::{Error, Key, Result};
use serde_json::Value;

use super::{Notes, Transform};
use crate::{Body, ChatTemplate, Example, Message, Role, Token, prompt_of};

/// Renders and encodes conversations. Without `train-on-reply` behind it every token has weight 1. A conversation
/// that does not end in a reply becomes its prompt; one of more than 4 MiB of text is left out, and counted. A
/// preference becomes a [`Body::Pair`], with weights on what the assistant says behind the prompt. The column `tools`
/// goes to the template.
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

    fn side(&self, template: &ChatTemplate, prompt: &[Message], reply: &[Message]) -> Result<Vec<Token>> {
        let mut tokens = self.tokens(template, &[prompt, reply].concat())?;
        reply_only(&mut tokens, template.prompt(prompt)?.len());
        Ok(tokens)
    }
}

/// Weight 0 for the first `prompt` tokens and for all that the assistant does not say.
pub(super) fn reply_only(tokens: &mut [Token], prompt: usize) {
    for (i, token) in tokens.iter_mut().enumerate() {
        if i < prompt || token.role != Role::Assistant {
            token.weight = 0.0;
        }
    }
}

impl Transform for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn template(&self) -> Option<&ChatTemplate> {
        Some(&self.template)
    }

    fn apply(&self, mut example: Example, _: Key, notes: &mut Notes) -> Result<Vec<Example>> {
        if said(&example.body) > LONGEST {
            notes.add("dropped: more than 4 MiB of text", example.id);
            return Ok(Vec::new());
        }
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
            Body::Preference { prompt, chosen, rejected } => {
                let side = |reply| self.side(&template, &prompt, reply);
                example.body = Body::Pair { chosen: side(&chosen)?, rejected: side(&rejected)? };
                Ok(vec![example])
            }
            Body::Text(_) => Err(Error::usage("`chat` needs conversations, and the data is plain text")
                .remedy("use the transform `text`, or data with `messages` or `prompt` and `completion`")),
            Body::Tokens(_) | Body::Pair { .. } | Body::Features(_) => {
                Err(Error::usage("`chat` comes after something that already made tokens")
                    .remedy("put it first, and only one of `chat` and `text`"))
            }
        }
    }
}

/// Bytes of text in a longer conversation than any model reads; to render it would only take time and memory.
const LONGEST: usize = 4 << 20;

/// How many bytes are said.
fn said(body: &Body) -> usize {
    let of = |messages: &[Message]| messages.iter().map(|m| m.content.len()).sum::<usize>();
    match body {
        Body::Messages(messages) => of(messages),
        Body::Preference { prompt, chosen, rejected } => of(prompt) + of(chosen).max(of(rejected)),
        Body::Text(_) | Body::Tokens(_) | Body::Pair { .. } | Body::Features(_) => 0,
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
