//! Who says what in the part of a conversation before a reply. Only colours and reports depend on it, never the loss
//! of a reply: where it cannot be told, a token is the template's.

use std::ops::Range;

use super::{ChatTemplate, Guard};
use crate::{Message, Tokenizer};

/// A part of a rendering that one message says.
pub(super) struct Region {
    pub bytes: Range<usize>,
    pub message: usize,
}

impl Region {
    /// The region in the text as it was said.
    pub(super) fn shifted(&self, text: &str, guard: &Guard) -> Self {
        let bytes = guard.bytes(&text[..self.bytes.start])..guard.bytes(&text[..self.bytes.end]);
        Self { bytes, message: self.message }
    }
}

/// A character that nobody says, so that a rendering with it differs from the first byte of the content on.
const PROBE: &str = "\u{e0fe}";

/// What each message from `next` on says in `text`, which is `messages` with the generation prompt: found by
/// rendering once more with another content and looking where the two begin and end to differ.
pub(super) fn of_prompt(
    template: &ChatTemplate,
    messages: &[Message],
    next: usize,
    text: &str,
    from: usize,
) -> Vec<Region> {
    let mut regions = Vec::new();
    let prompt = |messages: &[Message]| {
        [true, false].into_iter().filter_map(|p| template.render(messages, p).ok()).collect::<Vec<_>>()
    };
    let originals = prompt(messages);
    let Some(which) = originals.iter().position(|t| t == text) else { return regions };
    let mut changed = messages.to_vec();
    for message in next..messages.len() {
        let content = std::mem::replace(&mut changed[message].content, PROBE.to_owned());
        let other = prompt(&changed);
        changed[message].content = content;
        let Some(other) = other.get(which).filter(|_| other.len() == originals.len()) else { continue };
        let bytes = difference(text, other);
        if bytes.start >= from && !bytes.is_empty() {
            regions.push(Region { bytes, message });
        }
    }
    regions
}

/// Where `text` is not what `other` is: behind their common beginning, before their common end.
fn difference(text: &str, other: &str) -> Range<usize> {
    let start = common(text.chars(), other.chars());
    let end = common(text[start..].chars().rev(), other[start..].chars().rev());
    start..text.len() - end
}

fn common(a: impl Iterator<Item = char>, b: impl Iterator<Item = char>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// The message that says each token, of a text from byte `at` to `end`. Tokens know their lengths, not their places:
/// when these do not add up (a normaliser changed the text), nothing is told.
pub(super) fn of_tokens<'a>(
    tokenizer: &'a Tokenizer,
    ids: &'a [u32],
    at: usize,
    end: usize,
    regions: &'a [Region],
) -> impl Iterator<Item = Option<usize>> + 'a {
    let length = move |id: u32| {
        let name = tokenizer.token(id).filter(|_| tokenizer.is_special(id));
        name.map_or(tokenizer.byte_len(id) as usize, str::len)
    };
    let known = at + ids.iter().map(|id| length(*id)).sum::<usize>() == end;
    let mut place = at;
    ids.iter().map(move |id| {
        let token = place..place + length(*id);
        place = token.end;
        let owner = regions.iter().find(|r| token.start < r.bytes.end && r.bytes.start < token.end);
        owner.filter(|_| known && !tokenizer.is_special(*id)).map(|r| r.message)
    })
}
