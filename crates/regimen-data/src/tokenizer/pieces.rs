//! Very long texts are encoded piece by piece: a BPE needs about 40 bytes for every byte of a single word, and its time
//! grows faster than the word.

use super::Specials;

/// A shorter text is encoded at once.
const LONG: usize = 256 << 10;
/// A run of so many bytes without a border is cut all the same.
const LONGEST_WORD: usize = 64 << 10;

/// The pieces of a text for a BPE over bytes. They end before a space between two letters or digits, where the known
/// pre-tokenizers part words whatever stands around, so the ids are those of the whole. Only a run of 64 KiB without
/// such a space is cut anywhere, but never inside the name of a special token.
pub(super) fn pieces<'a>(text: &'a str, specials: &Specials) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while rest.len() > LONG {
        let window = &rest.as_bytes()[..LONG];
        let plain = |at: usize| window[at].is_ascii_alphanumeric();
        let space = |at: &usize| window[*at] == b' ' && plain(at - 1) && plain(at + 1);
        let border = (1..LONG - 1).rev().find(space).or_else(|| anywhere(rest, specials));
        let (piece, after) = rest.split_at(border.unwrap_or(rest.len()));
        found.push(piece);
        rest = after;
    }
    found.push(rest);
    found
}

/// The last border between characters of the first 64 KiB that no special token's name reaches over.
fn anywhere(text: &str, specials: &Specials) -> Option<usize> {
    let longest = specials.longest_name();
    (longest + 1..LONGEST_WORD).rev().filter(|at| text.is_char_boundary(*at)).find(|at| {
        let (mut from, mut to) = (at - longest, (at + longest).min(text.len()));
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        while !text.is_char_boundary(to) {
            to += 1;
        }
        longest == 0 || !specials.occur_in(&text[from..to])
    })
}

#[cfg(test)]
mod tests {
    use super::super::Tokenizer;
    use super::*;

    #[test]
    fn pieces_have_the_ids_of_the_whole() {
        let tokenizer =
            Tokenizer::train_bpe((0..500).map(|i| format!("some words, 12 of {i} them  here")), 400);
        let tokenizer = tokenizer.unwrap();
        let text = "some words,\n\n 12 of them  here; é ".repeat(30_000);
        let parts = pieces(&text, tokenizer.specials());
        assert!(parts.len() > 2 && parts.iter().all(|p| p.len() <= LONG));
        assert_eq!(parts.concat(), text);
        let one_by_one: Vec<u32> = (0..30_000)
            .flat_map(|_| tokenizer.encode_text("some words,\n\n 12 of them  here; é ").unwrap())
            .collect();
        let ids = tokenizer.encode_text(&text).unwrap();
        assert_eq!(tokenizer.decode(&ids, false), text);
        // only the space that ends each repetition stands differently when it is encoded alone
        assert!(ids.len() <= one_by_one.len());
    }

    #[test]
    fn a_word_without_end_is_cut_and_nothing_is_lost() {
        let tokenizer = Tokenizer::byte().unwrap();
        let text = format!("{}<eos>{}", "é".repeat(200_000), "x".repeat(200_000));
        let parts = pieces(&text, tokenizer.specials());
        assert!(parts.len() > 5 && parts.concat() == text && parts.iter().any(|p| p.contains("<eos>")));
        assert_eq!(tokenizer.encode_text(&text).unwrap().len(), text.len());
        assert_eq!(tokenizer.encode_template(&text).unwrap().len(), text.len() - 4);
    }
}
