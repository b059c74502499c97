//! Chat templates: conversations to tokens, each with the role of who says it.
//!
//! Which tokens are a reply is found by rendering the conversation up to the reply with its generation prompt, and
//! including the reply, and comparing: never by searching for anything in the text.

mod engine;
mod guard;
mod json;
mod roles;

use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use crate::tokenizer::Piece;
use crate::{Message, Role, Token, Tokenizer};
use engine::Engine;
use guard::Guard;

/// The template of our own tokenizers: a marker begins a turn, `<eos>` ends a reply.
pub(crate) const DEFAULT_TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}\
{% if message.role not in ['system', 'user', 'assistant', 'tool'] %}\
{{ raise_exception('no marker for the role ' + message.role) }}{% endif %}\
{{ '<|' + message.role + '|>' + message.content }}\
{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// A chat template with the tokenizer it belongs to; cheap to clone.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    engine: Engine,
    tokenizer: Tokenizer,
    variables: Map<String, Value>,
}

impl ChatTemplate {
    /// The tokenizer's own template.
    ///
    /// # Errors
    /// It has none, or one that does not parse.
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        match tokenizer.chat_template() {
            Some(source) => Self::new(source, tokenizer),
            None => Err(Error::data("the tokenizer has no chat template")
                .remedy("give one as `chat-template`, or train on plain text with the transform `text`")),
        }
    }

    /// A template as HF checkpoints carry it (Jinja; `{% generation %}` marks are passed over).
    ///
    /// # Errors
    /// The template does not parse.
    pub fn new(source: &str, tokenizer: &Tokenizer) -> Result<Self> {
        let mut variables = Map::new();
        for role in ["bos_token", "eos_token", "pad_token", "unk_token"] {
            if let Some(name) = tokenizer.named(role) {
                variables.insert(role.to_owned(), name.into());
            }
        }
        Ok(Self { engine: Engine::new(source)?, tokenizer: tokenizer.clone(), variables })
    }

    /// Sets a variable that the template reads: `tools`, `enable_thinking`, `date_string`, …
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.variables.insert(name.to_owned(), value);
        changed
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The text of a conversation, as transformers renders it.
    ///
    /// # Errors
    /// The template refuses the conversation, or does not come to an end.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.engine.render(messages, add_generation_prompt, &self.variables)
    }

    /// A whole conversation as tokens. Replies, with the token that ends them, have the role
    /// [`Role::Assistant`]; all weights are 1, except 0 in messages that say `"train": false` (or `"weight": w`).
    ///
    /// The ids are those of the whole rendering, unless a token would reach over the border between prompt and reply
    /// (a reply that begins with a line break, after a header that ends with one): no model that is given the prompt
    /// can generate such a token, so the reply is encoded from its own beginning.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; and when a longer conversation does not begin with the rendering of the shorter
    /// one, so that no position is where a reply begins.
    pub fn tokenize(&self, messages: &[Message]) -> Result<Vec<Token>> {
        let replies = (0..messages.len()).filter(|i| messages[*i].role == Role::Assistant);
        self.walk(messages, replies.collect(), false)
    }

    /// As [`ChatTemplate::tokenize`], but only the last reply is told apart and everything before it has weight 0: for
    /// templates that render earlier replies in another way than the last (without their reasoning, say).
    ///
    /// # Errors
    /// As [`ChatTemplate::tokenize`], for the last reply.
    pub fn tokenize_last(&self, messages: &[Message]) -> Result<Vec<Token>> {
        let last = (0..messages.len()).rev().find(|i| messages[*i].role == Role::Assistant);
        let mut tokens = self.walk(messages, last.into_iter().collect(), false)?;
        let after = tokens.iter().rposition(|t| t.role == Role::Assistant).map_or(0, |p| p + 1);
        let reply = tokens[..after].iter().rposition(|t| t.role != Role::Assistant).map_or(0, |p| p + 1);
        for token in &mut tokens[..reply] {
            token.weight = 0.0;
        }
        Ok(tokens)
    }

    /// A prompt: the conversation and the beginning of a reply. Its ids are the first ids of
    /// [`ChatTemplate::tokenize`] for the conversation with a reply; weights are 0.
    ///
    /// # Errors
    /// As [`ChatTemplate::tokenize`]; and when the conversation ends in a reply.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<Token>> {
        if messages.last().is_some_and(|m| m.role == Role::Assistant) {
            return Err(
                Error::data("the prompt ends in a reply of the assistant").remedy("remove its last message")
            );
        }
        let replies = (0..messages.len()).filter(|i| messages[*i].role == Role::Assistant);
        let mut tokens = self.walk(messages, replies.collect(), true)?;
        for token in &mut tokens {
            token.weight = 0.0;
        }
        Ok(tokens)
    }

    /// The ids that end a reply: the tokenizer's end of text, and what the template puts behind a reply.
    ///
    /// # Errors
    /// The template cannot render one question and its reply.
    pub fn stops(&self) -> Result<Vec<u32>> {
        let turn = [Message::new(Role::User, "1"), Message::new(Role::Assistant, "1")];
        let tokens = self.tokenize(&turn)?;
        let end = tokens.iter().rev().find(|t| t.role == Role::Assistant).map(|t| t.id);
        let mut stops: Vec<u32> = end.filter(|id| self.tokenizer.is_special(*id)).into_iter().collect();
        stops.extend(self.tokenizer.eos().filter(|eos| !stops.contains(eos)));
        Ok(stops)
    }

    /// Goes from reply to reply: up to its generation prompt, then over it.
    fn walk(&self, messages: &[Message], replies: Vec<usize>, prompt: bool) -> Result<Vec<Token>> {
        if messages.is_empty() {
            return Err(Error::data("a conversation without messages").remedy("remove the row"));
        }
        let guard = Guard::new(self.tokenizer.specials(), messages);
        let messages = &*guard.messages;
        let mut walk = Walk { template: self, guard: &guard, text: String::new(), tokens: Vec::new() };
        let mut next = 0;
        for reply in replies {
            let before = &messages[..reply];
            // a conversation may begin with a reply, and templates need not render an empty one
            if !before.is_empty() || !walk.text.is_empty() {
                let text = self.render(before, true)?;
                let roles = roles::of_prompt(self, before, next, &text, walk.text.len());
                walk.advance(text, reply, "the generation prompt", &roles, messages)?;
            }
            let text = self.render(&messages[..=reply], false)?;
            walk.reply(text, reply, &messages[reply])?;
            next = reply + 1;
        }
        if next < messages.len() || prompt {
            let text = self.render(messages, prompt)?;
            let roles = roles::of_prompt(self, messages, next, &text, walk.text.len());
            walk.advance(text, messages.len() - 1, "the messages after the last reply", &roles, messages)?;
        }
        Ok(walk.tokens)
    }
}

/// The conversation so far: its text, and its tokens.
struct Walk<'a> {
    template: &'a ChatTemplate,
    guard: &'a Guard,
    text: String,
    tokens: Vec<Token>,
}

impl Walk<'_> {
    /// Goes on to `text`, whose new part is said by the messages at `roles` (bytes of `text`), else by the template.
    fn advance(
        &mut self,
        text: String,
        message: usize,
        what: &str,
        roles: &[roles::Region],
        messages: &[Message],
    ) -> Result<()> {
        self.check_prefix(&text, message, what)?;
        let (ids, from) = self.encode(&text)?;
        let at = self.guard.bytes(&text[..self.text.len()]);
        let regions: Vec<roles::Region> = roles.iter().map(|r| r.shifted(&text, self.guard)).collect();
        let roles =
            roles::of_tokens(&self.template.tokenizer, &ids[from..], at, self.guard.bytes(&text), &regions);
        for (id, message) in ids[from..].iter().zip(roles) {
            let (role, weight) =
                message.map_or((Role::Template, 1.0), |m| (messages[m].role, weight(&messages[m])));
            self.tokens.push(Token { id: *id, role, weight, logprob: None });
        }
        self.text = text;
        Ok(())
    }

    /// Goes over a reply. Up to its last special token, which ends the turn, it is the assistant's; a line break
    /// behind that is the template's.
    fn reply(&mut self, text: String, message: usize, said: &Message) -> Result<()> {
        self.check_prefix(&text, message, "the reply")?;
        let (ids, from) = self.encode(&text)?;
        let new = &ids[from..];
        let end =
            new.iter().rposition(|id| self.template.tokenizer.is_special(*id)).map_or(new.len(), |p| p + 1);
        for (i, id) in new.iter().enumerate() {
            let role = if i < end { Role::Assistant } else { Role::Template };
            self.tokens.push(Token { id: *id, role, weight: weight(said), logprob: None });
        }
        self.text = text;
        Ok(())
    }

    fn check_prefix(&self, text: &str, message: usize, what: &str) -> Result<()> {
        if text.starts_with(&self.text) {
            return Ok(());
        }
        let same: usize =
            self.text.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        let around = |t: &str| t[same..].chars().take(30).collect::<String>();
        Err(Error::data(format!(
            "the chat template is not prefix-preserving: with {what} (message {}) it renders what came before in another \
             way, {:?} instead of {:?}",
            message + 1,
            around(text),
            around(&self.text)
        ))
        .remedy("train on the last reply only ({ kind = \"chat\", turns = \"last\" }), or use a template that keeps earlier turns as they are"))
    }

    /// The ids of `text`, and from which on they are new. They are the ids of the whole text where these go on from
    /// the ids so far, otherwise the new part is encoded alone.
    fn encode(&self, text: &str) -> Result<(Vec<u32>, usize)> {
        let before: Vec<u32> = self.tokens.iter().map(|t| t.id).collect();
        let new = &text[self.text.len()..];
        let tokenizer = &self.template.tokenizer;
        let clean = tokenizer.is_local() && tokenizer.specials().border(&self.text, new);
        if !clean && !self.text.is_empty() {
            let whole = self.encode_part(text)?;
            if whole.starts_with(&before) {
                return Ok((whole, before.len()));
            }
        }
        let from = before.len();
        let mut ids = before;
        ids.extend(self.encode_part(new)?);
        Ok((ids, from))
    }

    fn encode_part(&self, text: &str) -> Result<Vec<u32>> {
        let tokenizer = &self.template.tokenizer;
        if !self.guard.marks(text) {
            return tokenizer.encode_template(text);
        }
        let mut ids = Vec::new();
        for piece in tokenizer.specials().split(text) {
            match piece {
                Piece::Special(id) => ids.push(id),
                Piece::Text(text) => ids.extend(tokenizer.encode_text(&self.guard.unmark(text))?),
            }
        }
        Ok(ids)
    }
}

/// What a message's own flags say of its weight.
fn weight(message: &Message) -> f32 {
    match (message.extra.get("train"), message.extra.get("weight").and_then(Value::as_f64)) {
        (Some(Value::Bool(false)), _) => 0.0,
        (_, Some(weight)) => weight as f32,
        _ => 1.0,
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
