//! Keeps special tokens out of what people say: their names are broken by a private character before the template
//! runs, and mended after the template's own special tokens have been told apart.

use std::borrow::Cow;

use serde_json::Value;

use crate::Message;
use crate::tokenizer::Specials;

pub(super) struct Guard {
    /// The messages with all names of special tokens broken.
    pub messages: Vec<Message>,
    /// The character that breaks them; `None` when there are none.
    mark: Option<char>,
}

impl Guard {
    pub(super) fn new(specials: &Specials, messages: &[Message]) -> Self {
        if !messages.iter().any(|m| any_text(m, &mut |t| specials.occur_in(t))) {
            return Self { messages: messages.to_vec(), mark: None };
        }
        // one that nobody uses; there are 6400 private characters
        let free = |c: &char| !messages.iter().any(|m| any_text(m, &mut |t| t.contains(*c)));
        let mark = ('\u{f8f0}'..='\u{f8ff}').chain('\u{e000}'..='\u{f8ef}').find(free).unwrap_or('\u{f8f0}');
        let mut messages = messages.to_vec();
        for message in &mut messages {
            break_names(&mut message.content, specials, mark);
            message.extra.values_mut().for_each(|v| break_all(v, specials, mark));
        }
        Self { messages, mark: Some(mark) }
    }

    /// Whether something in the text was broken.
    pub(super) fn marks(&self, text: &str) -> bool {
        self.mark.is_some_and(|mark| text.contains(mark))
    }

    /// The text as it was said.
    pub(super) fn unmark<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mark {
            Some(mark) if text.contains(mark) => Cow::Owned(text.replace(mark, "")),
            _ => Cow::Borrowed(text),
        }
    }

    /// The length of the text as it was said, in bytes.
    pub(super) fn bytes(&self, text: &str) -> usize {
        text.len() - self.mark.map_or(0, |mark| text.matches(mark).count() * mark.len_utf8())
    }
}

fn break_names(text: &mut String, specials: &Specials, mark: char) {
    for at in specials.cuts(text).into_iter().rev() {
        text.insert(at, mark);
    }
}

fn break_all(value: &mut Value, specials: &Specials, mark: char) {
    match value {
        Value::String(text) => break_names(text, specials, mark),
        Value::Array(items) => items.iter_mut().for_each(|v| break_all(v, specials, mark)),
        Value::Object(fields) => fields.values_mut().for_each(|v| break_all(v, specials, mark)),
        _ => {}
    }
}

fn any_text(message: &Message, test: &mut dyn FnMut(&str) -> bool) -> bool {
    test(&message.content) || message.extra.values().any(|v| any_in(v, test))
}

fn any_in(value: &Value, test: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|v| any_in(v, test)),
        Value::Object(fields) => fields.values().any(|v| any_in(v, test)),
        _ => false,
    }
}
