//! Pairs of a preferred and a rejected continuation, with a prompt of their own or with a common beginning.

use regimen_base::{Error, Result};

use crate::read::Place;
use crate::{Body, Message, Role};

/// Parts prompt and continuations.
pub(super) fn split(
    place: &Place,
    prompt: Option<Vec<Message>>,
    mut chosen: Vec<Message>,
    mut rejected: Vec<Message>,
) -> Result<Body> {
    if chosen == rejected {
        return Err(
            Error::data(format!("{place}: chosen and rejected are the same")).remedy("remove the row")
        );
    }
    let mut prompt = prompt.unwrap_or_default();
    let common = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    if common > 0 {
        // lists that begin with the conversation so far: it is the prompt, whatever a column `prompt` repeats of it
        rejected.drain(..common);
        let shared: Vec<Message> = chosen.drain(..common).collect();
        let system =
            prompt.first().filter(|m| m.role == Role::System && shared[0].role != Role::System).cloned();
        prompt = system.into_iter().chain(shared).collect();
    } else if prompt.is_empty()
        && let ([a], [b]) = (&mut chosen[..], &mut rejected[..])
    {
        let at = common_words(&a.content, &b.content);
        if at > 0 {
            prompt.push(Message::new(Role::User, &a.content[..at]));
            a.content.drain(..at);
            b.content.drain(..at);
        }
    }
    if chosen.is_empty() || rejected.is_empty() {
        return Err(Error::data(format!(
            "{place}: one side of the pair only repeats the beginning of the other"
        ))
        .remedy("remove the row"));
    }
    if prompt.is_empty() {
        return Err(Error::data(format!("{place}: the pair has no prompt, and no common beginning"))
            .remedy("add a column `prompt`"));
    }
    Ok(Body::Preference { prompt, chosen, rejected })
}

/// Length of the common beginning, up to the end of its last whole word.
fn common_words(a: &str, b: &str) -> usize {
    let common: usize = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum();
    a[..common].rfind(char::is_whitespace).map_or(0, |p| p + a[p..].chars().next().map_or(0, char::len_utf8))
}
