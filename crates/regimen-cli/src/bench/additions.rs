//! Small sums as text, row for row those of the peers' `make_data.py`, and the tokenizer of their `make_tokenizer.py`.

use regimen_base::{Result, Split};
use regimen_core::episode::Group;
use regimen_core::reward::{Judge, Outcome, Reward};
use regimen_data::{Body, Example, ExampleId, Message, Role, Source, Token, Tokenizer};
use serde_json::{Map, json};

use super::tokens::Lcg;

const SPECIALS: [&str; 4] = ["<pad>", "<bos>", "<eos>", "<unk>"];
const EOS: u32 = 2;
/// Character i has the id 4 + i.
const CHARS: &str = "0123456789+-*/=()<>.,:;?!'\"[] \n_#%abcdefghijklmnopqrstuvwxyz";

/// The tokenizer of 64 symbols. It names no end of text, so nothing that is drawn ends a reply: completions have the
/// length that is asked for, as with the peers' `--fixed`.
///
/// # Errors
/// Never, unless the tokenizer library changes its mind about the format.
pub fn tokenizer() -> Result<Tokenizer> {
    let chars = CHARS.chars().map(String::from);
    let symbols = SPECIALS.map(str::to_owned).into_iter().chain(chars);
    let vocab: Map<_, _> = symbols.zip(0..).map(|(symbol, id): (String, u32)| (symbol, id.into())).collect();
    let added = |(id, name): (usize, &&str)| {
        json!({ "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true })
    };
    let added: Vec<_> = SPECIALS.iter().enumerate().map(added).collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [] },
    });
    Tokenizer::from_json(file.to_string().as_bytes(), None)
}

fn ids(text: &str) -> impl Iterator<Item = u32> {
    text.chars().map(|c| 4 + CHARS.chars().position(|known| known == c).map_or(0, |i| i as u32))
}

/// Which file of the peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Additions {
    /// `sft.jsonl`: prompt and completion, whose tokens and end of text are learned.
    Worked = 1,
    /// `grpo.jsonl`: prompt and answer.
    Asked = 2,
    /// `dpo.jsonl`: the answer, and one with a wrong digit.
    Preferred = 3,
}

impl Additions {
    /// Row `i`: the prompt, its answer and a wrong one.
    fn row(self, i: u64) -> [String; 3] {
        let mut lcg =
            Lcg::new((self as u64).wrapping_mul(1_000_000_007).wrapping_add(i.wrapping_mul(1_000_003)));
        lcg.draw(2);
        let mut operand = || {
            let most = [10, 100, 1000][lcg.draw(3) as usize];
            lcg.draw(most)
        };
        let (a, b) = (operand(), operand());
        let answer = (a + b).to_string();
        let mut wrong = answer.clone().into_bytes();
        let at = lcg.draw(wrong.len()) as usize;
        wrong[at] = b'0' + ((u32::from(wrong[at] - b'0') + 1 + lcg.draw(9)) % 10) as u8;
        [format!("{a}+{b}="), answer, wrong.into_iter().map(char::from).collect()]
    }
}

impl Source for Additions {
    fn number(&self) -> u32 {
        0
    }

    fn name(&self) -> &'static str {
        "additions"
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn get(&self, index: u64, _: Split) -> Result<Example> {
        let [prompt, answer, wrong] = self.row(index);
        let id = ExampleId { source: 0, index };
        if *self == Self::Asked {
            let mut example = Example::new(id, Body::Messages(vec![Message::new(Role::User, prompt)]));
            example.answer = Some(answer);
            return Ok(example);
        }
        let token = |role, weight| move |id| Token { id, role, weight, logprob: None };
        let with = |reply: &str| -> Vec<Token> {
            let reply = ids(reply).chain([EOS]).map(token(Role::Assistant, 1.0));
            ids(&prompt).map(token(Role::User, 0.0)).chain(reply).collect()
        };
        let body = match self {
            Self::Preferred => Body::Pair { chosen: with(&answer), rejected: with(&wrong) },
            _ => Body::Tokens(with(&answer)),
        };
        Ok(Example::new(id, body))
    }

    fn place(&self, index: u64, _: Split) -> String {
        format!("additions#{index}")
    }

    fn describe(&self) -> String {
        "additions of numbers of one to three digits".to_owned()
    }
}

/// 1 for the exact answer, 0.1 for a reply of digits only.
pub struct Exact;

impl Reward for Exact {
    fn score(&self, group: &Group, _: Judge) -> Vec<Outcome> {
        let score = |text: &str| match group.example.answer.as_deref() {
            Some(answer) if answer == text => 1.0,
            _ if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) => 0.1,
            _ => 0.0,
        };
        group.episodes.iter().map(|e| Outcome::Score(score(&e.text))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First rows of the peers' own files.
    #[test]
    fn rows_are_those_of_the_peers() {
        let rows = |kind: Additions| [0, 1, 2].map(|i| kind.row(i)).map(|[p, a, _]| p + &a);
        assert_eq!(rows(Additions::Worked), ["55+481=536", "5+919=924", "635+4=639"]);
        assert_eq!(rows(Additions::Asked), ["22+190=212", "4+275=279", "4+1=5"]);
        let pairs = [0, 1, 2].map(|i| Additions::Preferred.row(i).join(" "));
        assert_eq!(pairs, ["340+7= 347 357", "730+4= 734 834", "21+9= 30 37"]);
    }

    #[test]
    fn ids_are_the_tokenizer_s_and_a_step_has_the_known_tokens() {
        let tokenizer = tokenizer().expect("it is made here");
        assert_eq!(tokenizer.vocab_size(), 64);
        assert_eq!(tokenizer.encode_text("340+7=z").expect("known"), ids("340+7=z").collect::<Vec<_>>());
        assert_eq!(tokenizer.decode(&[4, 5, EOS, 14], true), "01+");
        let len = |i| match Additions::Worked.get(i, Split::Train).expect("a row").body {
            Body::Tokens(tokens) => tokens.len(),
            _ => 0,
        };
        let all: usize = (0..2048).map(len).sum();
        assert!((590..620).contains(&(all / 32)), "{} tokens a step", all / 32);
    }
}
