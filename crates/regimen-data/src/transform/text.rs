//! Plain text to tokens.

use regimen_base::{Key, Result};

use super::chat::reply_only;
use super::{Notes, Transform};
use crate::{Body, Example, Message, Role, Token, Tokenizer};

/// The beginning of a text (where the tokenizer has one of its own), the text, the end of a text. Conversations are
/// laid end to end without any template, each message with its role, so that `train-on-reply` works on them too;
/// without a final reply they have no end.
#[derive(Clone, Debug)]
pub struct Text {
    tokenizer: Tokenizer,
}

impl Text {
    /// With this tokenizer.
    pub fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer }
    }

    fn begin(&self) -> Vec<Token> {
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos());
        bos.map(|id| Token { id, role: Role::Template, weight: 1.0, logprob: None }).into_iter().collect()
    }

    fn say(&self, text: &str, role: Role, weight: f32, tokens: &mut Vec<Token>) -> Result<()> {
        let ids = self.tokenizer.encode_text(text)?;
        tokens.extend(ids.into_iter().map(|id| Token { id, role, weight, logprob: None }));
        Ok(())
    }

    fn conversation(&self, messages: &[Message]) -> Result<Vec<Token>> {
        let mut tokens = self.begin();
        for m in messages {
            let weight = if m.extra.get("train").is_some_and(|t| t == false) { 0.0 } else { 1.0 };
            self.say(&m.content, m.role, weight, &mut tokens)?;
        }
        if messages.last().is_some_and(|m| m.role == Role::Assistant) {
            self.end(Role::Assistant, &mut tokens);
        }
        Ok(tokens)
    }

    fn end(&self, role: Role, tokens: &mut Vec<Token>) {
        tokens.extend(self.tokenizer.eos().map(|id| Token { id, role, weight: 1.0, logprob: None }));
    }
}

impl Transform for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn apply(&self, mut example: Example, _: Key, _: &mut Notes) -> Result<Vec<Example>> {
        let with = |example: &Example, tokens| Example { body: Body::Tokens(tokens), ..example.clone() };
        match std::mem::replace(&mut example.body, Body::Text(String::new())) {
            Body::Text(text) => {
                let mut tokens = self.begin();
                self.say(&text, Role::Text, 1.0, &mut tokens)?;
                self.end(Role::Text, &mut tokens);
                Ok(vec![with(&example, tokens)])
            }
            Body::Messages(messages) => Ok(vec![with(&example, self.conversation(&messages)?)]),
            Body::Preference { prompt, chosen, rejected } => {
                let side = |reply: Vec<Message>| {
                    let mut tokens = self.conversation(&[prompt.clone(), reply].concat())?;
                    reply_only(&mut tokens, self.conversation(&prompt)?.len());
                    Ok::<_, regimen_base::Error>(tokens)
                };
                example.body = Body::Pair { chosen: side(chosen)?, rejected: side(rejected)? };
                Ok(vec![example])
            }
            Body::Tokens(_) | Body::Pair { .. } | Body::Features(_) => {
                Err(regimen_base::Error::usage("`text` comes after something that already made tokens")
                    .remedy("put it first, and only one of `chat` and `text`"))
            }
        }
    }
}
