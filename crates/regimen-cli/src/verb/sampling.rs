//! How tokens are drawn, as options of `generate` and `chat`; and showing a completion while it is drawn.

use std::io::{self, Write};

use regimen_base::{Error, Result};
use regimen_core::generate::{Completion, Generator, Request, Stops};
use regimen_core::model::Model;
use regimen_data::{ChatTemplate, DecodeStream, Tokenizer};
use regimen_kernels::Sampling;

/// Options of drawing.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// The most tokens to write [default: what the model's context leaves]
    #[arg(long, value_name = "N")]
    pub max_new: Option<usize>,
    /// Divides the logits; 0 always takes the most likely token [default: 0.8 for `generate`, 0 for `chat`]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Draw from the smallest set of tokens with this much probability
    #[arg(long, value_name = "P", allow_negative_numbers = true, default_value_t = 1.0)]
    pub top_p: f32,
    /// Draw from this many most likely tokens; 0 is off
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,
    /// Draw from tokens at least this share as likely as the likeliest; 0 is off
    #[arg(long, value_name = "P", allow_negative_numbers = true, default_value_t = 0.0)]
    pub min_p: f32,
    /// End where this text appears; can be given many times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<String>,
    /// Where the draws come from: the same seed writes the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

impl Options {
    /// The settings, checked; `standard` is the temperature when none was given.
    pub fn sampling(&self, standard: f32) -> Result<Sampling> {
        let temperature = self.temperature.unwrap_or(standard);
        within("--temperature", temperature, 0.0, f32::MAX)?;
        within("--top-p", self.top_p, f32::MIN_POSITIVE, 1.0)?;
        within("--min-p", self.min_p, 0.0, 1.0)?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::usage("`--stop` is empty: nothing would be written").remedy("leave it out"));
        }
        let greedy = temperature == 0.0;
        Ok(Sampling {
            temperature: if greedy { 1.0 } else { temperature },
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            greedy,
        })
    }

    /// The most tokens to write in a context of so many.
    pub fn max_new(&self, context: usize) -> usize {
        self.max_new.unwrap_or(context)
    }
}

fn within(option: &str, value: f32, least: f32, most: f32) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let most = if most == f32::MAX { "any number".to_owned() } else { most.to_string() };
    let least = if least == f32::MIN_POSITIVE { "above 0".to_owned() } else { least.to_string() };
    Err(Error::usage(format!("`{option} {value}` is out of range"))
        .remedy(format!("it goes from {least} to {most}")))
}

/// A model that is ready to write.
pub struct Writer {
    /// The model.
    pub model: Model,
    tokenizer: Tokenizer,
    context: usize,
    generator: Generator,
    stop_ids: Vec<u32>,
}

impl Writer {
    /// For replies in conversations (`template`), or for text.
    pub fn new(model: Model, template: Option<&ChatTemplate>) -> Result<Self> {
        let (tokenizer, shape) = (model.tokenizer()?.clone(), model.shape()?);
        let stop_ids = match template {
            Some(template) => template.stops()?,
            None => tokenizer.eos().into_iter().collect(),
        };
        let (generator, context) = (Generator::new(shape), shape.max_positions);
        Ok(Self { model, tokenizer, context, generator, stop_ids })
    }

    /// The longest sequence that the model can read.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Completes all requests; `on_token` sees every token and may end it early.
    pub fn write(
        &mut self,
        requests: &[Request],
        strings: &[String],
        on_token: &mut dyn FnMut(usize, u32) -> bool,
    ) -> Result<Vec<Completion>> {
        let tokenizer = &self.tokenizer;
        let text = |ids: &[u32]| tokenizer.decode(ids, true);
        let stops = Stops { ids: &self.stop_ids, strings, text: &text };
        self.generator.generate(self.model.net.params().weights(), 0, requests, &stops, on_token)
    }

    /// What a completion says, up to where it was told to stop.
    pub fn text(&self, completion: &Completion, strings: &[String]) -> String {
        let mut text = self.tokenizer.decode(&completion.ids, true);
        if let Some(at) = first(&text, strings) {
            text.truncate(at);
        }
        text
    }
}

fn first(text: &str, strings: &[String]) -> Option<usize> {
    strings.iter().filter_map(|s| text.find(s.as_str())).min()
}

/// Shows a completion as it is drawn, without what may turn out to be a stop text.
pub struct Live<'a> {
    out: &'a mut dyn Write,
    decoder: DecodeStream,
    held: String,
    strings: &'a [String],
    over: bool,
    /// The first error of the output.
    pub failed: Option<io::Error>,
}

impl<'a> Live<'a> {
    /// Shows on `out`.
    pub fn new(tokenizer: &Tokenizer, strings: &'a [String], out: &'a mut dyn Write) -> Self {
        Self { out, decoder: tokenizer.stream(true), held: String::new(), strings, over: false, failed: None }
    }

    /// One more token; `false` when there is nobody left to see it.
    pub fn push(&mut self, id: u32) -> bool {
        let piece = self.decoder.push(id);
        self.show(&piece, false);
        self.failed.is_none()
    }

    /// Shows the rest.
    pub fn finish(mut self) -> io::Result<()> {
        let piece = self.decoder.finish();
        self.show(&piece, true);
        self.failed.map_or(Ok(()), Err)
    }

    fn show(&mut self, piece: &str, last: bool) {
        if self.over {
            return;
        }
        self.held.push_str(piece);
        let mut ready = first(&self.held, self.strings);
        self.over = ready.is_some();
        if ready.is_none() {
            let longest = self.strings.iter().map(String::len).max().unwrap_or(1);
            let keep = if last { 0 } else { longest.saturating_sub(1) };
            ready = Some(floor(&self.held, self.held.len().saturating_sub(keep)));
        }
        let rest = self.held.split_off(ready.unwrap_or(0));
        let shown = std::mem::replace(&mut self.held, rest);
        if shown.is_empty() {
            return;
        }
        let written = self.out.write_all(shown.as_bytes()).and_then(|()| self.out.flush());
        self.failed = self.failed.take().or(written.err());
    }
}

/// The nearest character border at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            max_new: None,
            temperature: None,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            stop: Vec::new(),
            seed: 0,
        }
    }

    #[test]
    fn numbers_out_of_range_are_told() {
        assert!(options().sampling(0.0).is_ok_and(|s| s.greedy && s.temperature == 1.0));
        assert!(options().sampling(0.8).is_ok_and(|s| !s.greedy));
        for bad in [
            Options { temperature: Some(-1.0), ..options() },
            Options { temperature: Some(f32::NAN), ..options() },
            Options { top_p: 0.0, ..options() },
            Options { min_p: 1.5, ..options() },
            Options { stop: vec![String::new()], ..options() },
        ] {
            assert!(
                bad.sampling(1.0).is_err_and(|e| e.exit == regimen_base::Exit::Usage && e.remedy.is_some())
            );
        }
    }

    fn shown(text: &str, strings: &[&str]) -> String {
        let tokenizer = Tokenizer::byte().expect("it needs nothing");
        let strings: Vec<String> = strings.iter().map(|s| (*s).to_owned()).collect();
        let mut out = Vec::new();
        let mut live = Live::new(&tokenizer, &strings, &mut out);
        for id in tokenizer.encode_text(text).expect("bytes encode everything") {
            assert!(live.push(id));
        }
        live.finish().expect("a vector takes everything");
        String::from_utf8(out).expect("whole characters")
    }

    #[test]
    fn stop_texts_are_never_shown_not_even_in_part() {
        assert_eq!(shown("one ENDtwo", &["END"]), "one ");
        assert_eq!(shown("one ENtwo", &["END"]), "one ENtwo");
        assert_eq!(shown("größe", &["xyz", "ß"]), "grö");
        assert_eq!(shown("größe", &[]), "größe");
        assert_eq!(shown("ends in EN", &["END"]), "ends in EN");
    }
}
