//! `cued`: a reply is made to begin with the first half of the gold one, and the likeliest words follow.

use regimen_base::Result;
use regimen_core::episode::Group;
use regimen_core::registry::Piece;
use regimen_core::rollout::{Decoder, Prompt, Rollout, Settings};
use regimen_data::{Body, Example, Role, Token};
use regimen_recipe::{KindSpec, Room};

use super::grammar::LENGTH;
use super::sentences::CUE;

/// Recall. The cue belongs to the prompt: an episode's text is what the model adds.
struct Cued(Settings);

/// The first half of the gold reply.
fn cue(example: &Example) -> String {
    match &example.body {
        Body::Messages(messages) => {
            let gold = messages.last().filter(|m| m.role == Role::Assistant);
            gold.map_or_else(String::new, |m| m.content.chars().take(CUE).collect())
        }
        _ => String::new(),
    }
}

impl Rollout for Cued {
    fn settings(&self) -> &Settings {
        &self.0
    }

    fn settings_mut(&mut self) -> &mut Settings {
        &mut self.0
    }

    fn collect(&self, decoder: &mut Decoder, mut prompts: Vec<Prompt>) -> Result<Vec<Group>> {
        for prompt in &mut prompts {
            let ids = decoder.tokenizer.encode_text(&cue(&prompt.example))?;
            let token = |id| Token { id, role: Role::Assistant, weight: 0.0, logprob: None };
            prompt.tokens.extend(ids.into_iter().map(token));
        }
        decoder.complete(prompts, &self.0)
    }
}

pub(super) const PIECE: Piece<dyn Rollout> = Piece {
    spec: KindSpec::new(
        Room::Rollout,
        "cued",
        "recall: the reply is made to begin with the first half of the gold one; then the likeliest words",
        &[],
    )
    .example(r#"{ kind = "cued" }"#),
    build: |_, _| Ok(Box::new(Cued(Settings::greedy(LENGTH - CUE)))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_data::{ExampleId, Message};

    #[test]
    fn the_cue_is_the_first_half() {
        let messages = vec![Message::new(Role::User, "?"), Message::new(Role::Assistant, "ABCDEFGHijklmnop")];
        let example = Example::new(ExampleId { source: 0, index: 0 }, Body::Messages(messages));
        assert_eq!(cue(&example), "ABCDEFGH");
        let text = Example::new(ExampleId { source: 0, index: 0 }, Body::Text("ABC".to_owned()));
        assert_eq!(cue(&text), "");
    }
}
