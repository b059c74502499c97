//! Decoding: 64 prompts of 16 tokens, 112 new tokens each, temperature 1, nobody stops early.

use regimen_base::{Key, Result};
use regimen_core::generate::{Generator, Request, Stops};
use regimen_core::model::Model;
use regimen_core::run::Clock;
use regimen_kernels::Sampling;
use serde_json::{Value, json};

use super::Work;
use super::child::peak_mb;
use super::summary::median;
use super::tokens::prompts;

/// Sequences side by side at the three sizes.
pub const ROWS: usize = 64;
/// Tokens of a prompt.
pub const PROMPT: usize = 16;
/// Tokens drawn for each prompt.
pub const NEW: usize = 112;

/// What became of a decoding run.
#[derive(Debug)]
pub struct Decoded {
    /// Seconds of every repetition, prefill inside.
    pub seconds: Vec<f64>,
    /// When the first one was done, in seconds since 1970.
    pub first: f64,
}

/// Draws a batch of `rows` `times` times.
///
/// # Errors
/// What the generator says.
pub fn run(model: &Model, rows: usize, times: u64) -> Result<Decoded> {
    let prompts = prompts(model.shape()?.vocab, rows, PROMPT);
    let mut generator = Generator::new(model.shape()?);
    let stops = Stops { ids: &[], strings: &[], text: &|_| String::new() };
    let mut decoded = Decoded { seconds: Vec::new(), first: 0.0 };
    for time in 0..times {
        let key = Key::new(0).child("bench").child("decode").at(time);
        let request = |(row, prompt)| {
            let prompt: &Vec<u32> = prompt;
            Request { prompt, sampling: Sampling::default(), max_new: NEW, key: key.at(row) }
        };
        let requests: Vec<Request> = (0u64..).zip(&prompts).map(request).collect();
        let clock = Clock::start();
        let done =
            generator.generate(model.net.params().weights(), 0, &requests, &stops, &mut |_, _| true)?;
        decoded.seconds.push(clock.seconds());
        if time == 0 {
            decoded.first = Clock::unix();
        }
        debug_assert!(done.iter().all(|d| d.ids.len() == NEW));
    }
    Ok(decoded)
}

/// What a row of JSON says about it.
pub fn row(decoded: &Decoded, batch: usize, started: Option<f64>) -> Value {
    let tokens = (batch * NEW) as f64;
    json!({
        "bench": Work::Decode.name(),
        "batch": batch,
        "prompt": PROMPT,
        "new": NEW,
        "tok_s": tokens / median(&decoded.seconds),
        "best_tok_s": tokens / decoded.seconds.iter().copied().fold(f64::INFINITY, f64::min),
        "first_batch_s": started.map(|started| decoded.first - started),
        "rss_mb": peak_mb(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Size, model::model};

    #[test]
    fn the_whole_batch_is_drawn() {
        let model = model(Size::Xs, None).expect("it is made here");
        let decoded = run(&model, 3, 1).expect("it decodes");
        assert_eq!(decoded.seconds.len(), 1);
        assert!(decoded.first > 0.0);
    }
}
