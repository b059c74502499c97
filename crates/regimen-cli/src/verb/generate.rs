//! `regimen generate RUN|CKPT --prompt …`.

use std::io::{IsTerminal, Read, Write};

use regimen_base::{Error, Key, Result};
use regimen_core::generate::{Completion, Request};
use regimen_core::run::Clock;
use regimen_data::{ChatTemplate, Message, Role, Tokenizer};
use regimen_nn::Device;
use serde_json::json;

use super::sampling::{Live, Options, Writer};
use crate::failure::Outcome;
use crate::out::tell;
use crate::target::Named;
use crate::{number, out};

#[derive(clap::Args)]
#[command(
    after_help = "A model that was trained on conversations gets the prompt as a user's message and replies; any \
other model goes on with the text. One completion streams; several are written when all are done."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// What the model reads first; `-` takes standard input; can be given many times
    #[arg(long, value_name = "TEXT", required = true, allow_hyphen_values = true)]
    prompt: Vec<String>,
    /// Completions of each prompt
    #[arg(long, value_name = "N", default_value_t = 1)]
    n: usize,
    #[command(flatten)]
    options: Options,
    /// Go on with the text of the prompt, without a chat template
    #[arg(long)]
    raw: bool,
    /// Take the prompt as a user's message
    #[arg(long, conflicts_with = "raw")]
    chat: bool,
    /// One JSON object a completion, with tokens and log-probabilities
    #[arg(long)]
    json: bool,
}

/// The temperature when none was given.
const TEMPERATURE: f32 = 0.8;

impl Args {
    pub fn go(self) -> Outcome {
        let sampling = self.options.sampling(TEMPERATURE)?;
        let target = self.named.find()?;
        let talks = self.chat || (!self.raw && target.talks());
        let model = target.model(&Device::cpu())?;
        let template = if talks { Some(ChatTemplate::of(model.tokenizer()?)?) } else { None };
        let prompts = self.prompts()?;
        let tokenizer = model.tokenizer()?.clone();
        let ids: Vec<Vec<u32>> =
            prompts.iter().map(|p| tokens(p, template.as_ref(), &tokenizer)).collect::<Result<_>>()?;
        let mut writer = Writer::new(model, template.as_ref())?;
        let max_new = self.options.max_new(writer.context());
        let key = Key::new(self.options.seed).child("generate");
        let mut requests = Vec::new();
        for (p, prompt) in ids.iter().enumerate() {
            let key = key.at(p as u64);
            requests.extend((0..self.n).map(|n| Request {
                prompt,
                sampling,
                max_new,
                key: key.at(n as u64),
            }));
        }
        if let ([_], false) = (requests.as_slice(), self.json) {
            return self.stream(&mut writer, &tokenizer, &requests);
        }
        let clock = Clock::start();
        let done = writer.write(&requests, &self.options.stop, &mut |_, _| true)?;
        let seconds = clock.seconds();
        self.print(&writer, &prompts, &done)?;
        summary(&done, seconds);
        Ok(())
    }

    fn prompts(&self) -> Result<Vec<String>> {
        let read = |prompt: &String| {
            if prompt != "-" {
                return Ok(prompt.clone());
            }
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|e| Error::data(format!("cannot read the prompt from standard input: {e}")))?;
            Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
        };
        self.prompt.iter().map(read).collect()
    }

    fn stream(&self, writer: &mut Writer, tokenizer: &Tokenizer, requests: &[Request]) -> Outcome {
        let mut out = out::open();
        let mut live = Live::new(tokenizer, &self.options.stop, &mut out);
        writer.write(requests, &self.options.stop, &mut |_, id| live.push(id))?;
        live.finish()?;
        writeln!(out)?;
        Ok(out.flush()?)
    }

    fn print(&self, writer: &Writer, prompts: &[String], done: &[Completion]) -> Outcome {
        let mut out = out::open();
        for (i, completion) in done.iter().enumerate() {
            let text = writer.text(completion, &self.options.stop);
            if self.json {
                let line = json!({
                    "prompt": prompts[i / self.n],
                    "completion": text,
                    "tokens": completion.ids,
                    "logprobs": completion.logprobs,
                    "stop": completion.stop.map(regimen_core::StopReason::name),
                });
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "[{}/{}] {text}", i + 1, done.len())?;
            }
        }
        Ok(out.flush()?)
    }
}

/// What the model reads.
fn tokens(prompt: &str, template: Option<&ChatTemplate>, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    if let Some(template) = template {
        return Ok(template.prompt(&[Message::new(Role::User, prompt)])?.iter().map(|t| t.id).collect());
    }
    let begin = tokenizer.bos().filter(|_| tokenizer.adds_bos());
    Ok(begin.into_iter().chain(tokenizer.encode_text(prompt)?).collect())
}

fn summary(done: &[Completion], seconds: f64) {
    if std::io::stderr().is_terminal() {
        let tokens: usize = done.iter().map(|c| c.ids.len()).sum();
        let speed = number::count(tokens as f64 / seconds.max(1e-9));
        tell(&format!(
            "{} in {}, {speed} tok/s",
            number::plural(done.len(), "completion"),
            number::seconds(seconds)
        ));
    }
}
