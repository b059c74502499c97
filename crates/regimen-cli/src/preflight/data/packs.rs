//! Rows that came as ids with several texts end to end. Batches are packed without leaks here; a row is one text, so what
//! was packed before would be read with what happens to stand before it.

use regimen_data::{Body, ChatTemplate, Message, Role, Token, Tokenizer};

use super::masks::rows_of;
use super::{Findings, Looked, Setting};

/// Texts end to end in one row.
pub fn check(looked: &Looked, setting: &Setting, findings: &mut Findings) {
    let rows: Vec<_> = looked.rows.iter().filter(|r| matches!(r.example.body, Body::Tokens(_))).collect();
    if rows.is_empty() {
        return;
    }
    let Some(border) = border(&setting.tokenizer) else { return };
    let texts = |sequence: &[Token]| 1 + borders(sequence, border);
    let mut packed = rows.iter().filter_map(|row| Some((row, row.sequences().map(texts).max()?)));
    let Some((first, count)) = packed.find(|(_, texts)| *texts > 1) else { return };
    let others = packed.filter(|(_, texts)| *texts > 1).count();
    let name = setting.tokenizer.token(border).unwrap_or("bos");
    findings.error(
        "packing-leak",
        format!(
            "{}: the row holds {count} texts end to end, with `{name}` between them, as do {} of {}: each would be read \
             with those before it",
            first.place,
            others + 1,
            rows_of(rows.len())
        ),
        "write a row for each text: rows are packed here, and attention never leaves one",
    );
}

/// Places inside of a row where a text ends and another begins.
fn borders(sequence: &[Token], border: u32) -> usize {
    let inside = sequence.windows(3).filter(|w| w[0].id != border && w[1].id == border && w[2].id != border);
    inside.count()
}

/// The token that stands between texts: the beginning of text or, where there is none, its end; `None` where chat templates
/// put it between turns.
fn border(tokenizer: &Tokenizer) -> Option<u32> {
    let border = tokenizer.bos().or(tokenizer.eos())?;
    let turn = |role, text: &str| Message::new(role, text);
    let talk = [
        turn(Role::User, "a"),
        turn(Role::Assistant, "b"),
        turn(Role::User, "c"),
        turn(Role::Assistant, "d"),
    ];
    let rendered = ChatTemplate::of(tokenizer).and_then(|template| template.tokenize(&talk));
    let between_turns = rendered.is_ok_and(|tokens| borders(&tokens, border) > 0);
    (!between_turns).then_some(border)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: &[u32]) -> Vec<Token> {
        let mut tokens = ChatTemplate::of(&Tokenizer::byte().expect("ours"))
            .and_then(|t| t.prompt(&[Message::new(Role::User, "0123456789")]))
            .expect("it renders");
        tokens.truncate(ids.len());
        assert_eq!(tokens.len(), ids.len());
        tokens.iter_mut().zip(ids).for_each(|(token, id)| token.id = *id);
        tokens
    }

    #[test]
    fn borders_lie_between_texts_and_not_at_the_ends() {
        for (ids, count) in [
            (&[1, 5, 6, 1, 7][..], 1),
            (&[5, 6, 1, 7, 8, 1, 9], 2),
            (&[1, 5, 6, 1], 0),
            (&[5, 6, 1, 1, 1], 0),
            (&[1, 1, 5, 6], 0),
        ] {
            assert_eq!(borders(&tokens(ids), 1), count, "{ids:?}");
        }
    }
}
