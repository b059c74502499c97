//! A dry run of the rewards: what the data holds to be right must be worth more than junk. A reward that is broken
//! (everything 0, an exception for each reply) shows here, and not in a flat curve.

use regimen_base::{Result, Split};
use regimen_core::feed::RolloutFeed;
use regimen_core::reward::score_group;
use regimen_core::{Episode, Group, StopReason};
use regimen_data::{Body, Example, ExampleId, Role, Token, Tokenizer};

use super::Findings;

/// Prompts of each source that are tried.
const TRIED: u64 = 4;
/// What no reward should like better than a right answer.
const JUNK: [&str; 3] = ["", "I do not know.", "the the the the the the the the"];

/// One prompt's totals: of the right reply, and the best of the junk.
struct Tried {
    place: String,
    gold: Option<f64>,
    junk: Option<f64>,
    causes: Vec<String>,
}

/// Scores right replies and junk with the stream's own rewards.
pub fn dry_run(feed: &RolloutFeed, tokenizer: &Tokenizer, findings: &mut Findings) -> Result<()> {
    let (mut tried, mut without) = (Vec::new(), 0);
    for source in feed.supply.catalogue.sources() {
        let len = source.len(Split::Train).unwrap_or(TRIED);
        for i in 0..len.min(TRIED) {
            let id = ExampleId { source: source.number(), index: i * len / len.min(TRIED) };
            let place = source.place(id.index, Split::Train);
            match score(feed, tokenizer, source.get(id.index, Split::Train)?, place)? {
                Some(row) => tried.push(row),
                None => without += 1,
            }
        }
    }
    if tried.is_empty() && without > 0 {
        findings.note("rewards: no row holds a right answer, so the rewards were not tried".to_owned());
    }
    failed(&tried, findings);
    let scored: Vec<_> = tried.iter().filter_map(|t| Some((t, t.gold?, t.junk?))).collect();
    let flat: Vec<_> = scored.iter().filter(|(_, gold, junk)| gold <= junk).collect();
    if let Some((row, gold, junk)) = flat.first() {
        let told = format!(
            "{}: the right reply is worth {gold:.3}, junk {junk:.3}; so it is for {} of {} prompts tried",
            row.place,
            flat.len(),
            scored.len()
        );
        let remedy =
            "mend the reward, or the column with the answer: what is rewarded like this will be learnt";
        if flat.len() == scored.len() {
            findings.error("reward-flat", told, remedy);
        } else {
            findings.warning("reward-flat", told, remedy);
        }
    }
    Ok(())
}

fn failed(tried: &[Tried], findings: &mut Findings) {
    let failed: Vec<_> = tried.iter().filter(|t| !t.causes.is_empty()).collect();
    let Some(first) = failed.first() else { return };
    findings.error(
        "reward-fails",
        format!(
            "{}: {}; so it goes for {} of {} prompts tried",
            first.place,
            first.causes[0],
            failed.len(),
            tried.len()
        ),
        "mend the reward; an error is never counted as 0",
    );
}

/// Nothing where the data holds no right reply.
fn score(
    feed: &RolloutFeed,
    tokenizer: &Tokenizer,
    example: Example,
    place: String,
) -> Result<Option<Tried>> {
    let Some(gold) = gold(&example) else { return Ok(None) };
    let replies: Vec<&str> = std::iter::once(gold.as_str()).chain(JUNK).collect();
    let episodes = replies.iter().map(|reply| episode(tokenizer, reply)).collect::<Result<Vec<_>>>();
    // a character tokenizer may not be able to write the junk
    let episodes = match episodes {
        Ok(episodes) => episodes,
        Err(_) => vec![episode(tokenizer, &gold)?, episode(tokenizer, "")?],
    };
    let group = Group { example, episodes };
    let judge = |example: &Example, reply: &str| feed.supply.judges.judge(example, reply);
    let scored = score_group(&feed.rewards, &group, &judge);
    let junk = scored.total[1..].iter().flatten().copied().reduce(f64::max);
    Ok(Some(Tried { place, gold: scored.total[0], junk, causes: scored.errors }))
}

/// The reply that the data holds, or its bare answer.
fn gold(example: &Example) -> Option<String> {
    let said = match &example.body {
        Body::Messages(said) => said.last().filter(|m| m.role == Role::Assistant).map(|m| m.content.clone()),
        _ => None,
    };
    said.or_else(|| example.answer.clone())
}

fn episode(tokenizer: &Tokenizer, text: &str) -> Result<Episode> {
    let token = |id| Token { id, role: Role::Assistant, weight: 1.0, logprob: Some(0.0) };
    let tokens = tokenizer.encode_text(text)?.into_iter().map(token).collect();
    Ok(Episode { tokens, prompt_len: 0, stop: StopReason::Eos, text: text.to_owned() })
}
