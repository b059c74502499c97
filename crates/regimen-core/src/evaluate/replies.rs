//! Replies to held-out prompts, judged by their verifiers.

use regimen_base::{Error, Result};
use regimen_data::task::Parse;
use regimen_data::{ChatTemplate, Example, Token};

use super::{Evaluation, Reply, SHOWN, Set, SetResult, Subject, Tally, question};
use crate::feed::prompt_tokens;
use crate::rollout::{Decoder, Prompt};

/// Draws a reply to every example and enters what its verifier says.
pub(super) fn judge(
    evaluation: &Evaluation,
    set: &Set,
    examples: Vec<Example>,
    subject: &mut Subject,
    result: &mut SetResult,
) -> Result<()> {
    let Subject { model, generator, version, go, .. } = subject;
    let template = ChatTemplate::of(model.tokenizer()?)?;
    let mut prompts = Vec::new();
    for (i, example) in examples.into_iter().enumerate() {
        let tokens: Vec<Token> = prompt_tokens(&template, &example)?;
        prompts.push(Prompt { example, tokens, key: evaluation.key.child(&set.name).at(i as u64) });
    }
    let mut on_token = |_: usize, _: u32| go();
    let generator = generator.as_deref_mut();
    let mut decoder = Decoder {
        generator: generator.ok_or_else(|| Error::failed("a decoder came without its decoding engine"))?,
        weights: model.net.params().weights(),
        version: *version,
        tokenizer: model.tokenizer()?,
        on_token: &mut on_token,
    };
    let mut all = Tally::default();
    let mut drawn = 0;
    for group in evaluation.rollout.collect(&mut decoder, prompts)? {
        for episode in &group.episodes {
            let Some(verdict) = set.judges.judge(&group.example, &episode.text) else { continue };
            let one = Tally {
                score: verdict.score,
                n: 1,
                parsed: u64::from(verdict.parse == Parse::Answer),
                truncated: u64::from(episode.stop.truncated()),
            };
            all.add(one);
            drawn += episode.drawn();
            if let Some(level) = group.example.difficulty {
                result.by_difficulty.entry(level).or_default().add(one);
            }
            if result.examples.len() < SHOWN {
                result.examples.push(Reply {
                    prompt: question(&group.example),
                    answer: group.example.answer.clone(),
                    reply: episode.text.clone(),
                    score: verdict.score,
                    stop: episode.stop.name().to_owned(),
                });
            }
        }
    }
    result.replies = (all.n > 0).then_some(all);
    result.reply_tokens = (all.n > 0).then(|| drawn as f64 / all.n as f64);
    Ok(())
}
