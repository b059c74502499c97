//! Which rows are held out: decided by what they say, so that the choice survives a reordered or longer file and
//! identical rows are always on one side.

use regimen_base::Split;

use crate::{Body, Example, Message};

/// The side of each example, by its hash.
pub(super) fn sides(hashes: impl Iterator<Item = u64>, eval: f64) -> Vec<Split> {
    if eval <= 0.0 {
        return hashes.map(|_| Split::Train).collect();
    }
    let hashes: Vec<u64> = hashes.collect();
    let border = (eval.min(1.0) * 2f64.powi(64)) as u64;
    let side = |h: &u64, border: u64| if *h < border { Split::Eval } else { Split::Train };
    let mut sides: Vec<Split> = hashes.iter().map(|h| side(h, border)).collect();
    if !sides.contains(&Split::Eval)
        && let (Some(least), Some(most)) = (hashes.iter().min(), hashes.iter().max())
        && least != most
    {
        // a small file still gets what was asked for: something to evaluate on
        sides = hashes.iter().map(|h| side(h, least + 1)).collect();
    }
    sides
}

/// A hash of what an example says.
pub(super) fn hash(example: &Example) -> u64 {
    let mut hasher = blake3::Hasher::new();
    match &example.body {
        Body::Text(text) => feed(&mut hasher, "text", text),
        Body::Messages(messages) => feed_all(&mut hasher, messages),
        // by the prompt alone: two pairs over one prompt belong together
        Body::Preference { prompt, .. } => feed_all(&mut hasher, prompt),
        Body::Features(features) => features.values.iter().for_each(|x| {
            hasher.update(&x.to_le_bytes());
        }),
        body => body.sequences().into_iter().flatten().for_each(|t| {
            hasher.update(&t.id.to_le_bytes());
        }),
    }
    let digest = hasher.finalize();
    digest.as_bytes()[..8].iter().fold(0, |h, b| h << 8 | u64::from(*b))
}

fn feed_all(hasher: &mut blake3::Hasher, messages: &[Message]) {
    for message in messages {
        feed(hasher, &format!("{:?}", message.role), &message.content);
    }
}

fn feed(hasher: &mut blake3::Hasher, what: &str, text: &str) {
    hasher.update(what.as_bytes());
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}
