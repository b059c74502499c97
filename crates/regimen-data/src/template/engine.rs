//! Jinja, as transformers sets it up, with limits: a template is a program that came with somebody's checkpoint.

use std::io::{self, Write};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Jinja};
use minijinja::{Environment, ErrorKind};
use regimen_base::{Error, Result};
use serde_json::{Map, Value};

use super::json;
use crate::Message;

/// Instructions a rendering may take; a conversation of a thousand turns takes about a tenth.
const FUEL: u64 = 10_000_000;
/// Bytes a rendering may have for each byte of its messages, and beyond.
const OUTPUT_PER_BYTE: usize = 16;
const OUTPUT_BASE: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(super) struct Engine(Arc<Environment<'static>>);

impl Engine {
    pub(super) fn new(source: &str) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| refused(&e))?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned("chat", without_generation_marks(source)).map_err(|e| {
            Error::data(format!("the chat template does not parse: {}", told(&e)))
                .remedy("correct the template, or take the one of the checkpoint")
        })?;
        Ok(Self(Arc::new(environment)))
    }

    pub(super) fn render(
        &self,
        messages: &[Message],
        prompt: bool,
        variables: &Map<String, Value>,
    ) -> Result<String> {
        let shown: Vec<Value> = messages.iter().map(shown).collect();
        let mut output =
            Capped { bytes: Vec::new(), limit: OUTPUT_BASE + OUTPUT_PER_BYTE * size(messages, variables) };
        let mut context = variables.clone();
        context.insert("messages".to_owned(), Value::Array(shown));
        context.insert("add_generation_prompt".to_owned(), Value::Bool(prompt));
        context.entry("tools").or_insert(Value::Null);
        context.entry("documents").or_insert(Value::Null);
        let template = self.0.get_template("chat").map_err(|e| refused(&e))?;
        template.render_captured_to(Jinja::from(Serde(&context)), &mut output).map_err(|e| refused(&e))?;
        String::from_utf8(output.bytes).map_err(|_| Error::data("the chat template rendered no UTF-8"))
    }
}

/// A message as the template sees it: without the flags that are ours.
fn shown(message: &Message) -> Value {
    let role = serde_json::to_value(message.role).unwrap_or_default();
    let said = [("role".to_owned(), role), ("content".to_owned(), Value::from(message.content.as_str()))];
    let extra = message.extra.iter().filter(|(k, _)| *k != "train" && *k != "weight");
    Value::Object(said.into_iter().chain(extra.map(|(k, v)| (k.clone(), v.clone()))).collect())
}

fn size(messages: &[Message], variables: &Map<String, Value>) -> usize {
    let extra = |m: &Message| m.extra.values().map(|v| v.to_string().len()).sum::<usize>();
    let said: usize = messages.iter().map(|m| m.content.len() + extra(m)).sum();
    said + variables.values().map(|v| v.to_string().len()).sum::<usize>()
}

fn raise_exception(why: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, why))
}

fn told(e: &minijinja::Error) -> String {
    let what = e.detail().map_or_else(|| e.kind().to_string(), str::to_owned);
    e.line().map_or(what.clone(), |line| format!("{what} (line {line} of the template)"))
}

fn refused(e: &minijinja::Error) -> Error {
    if e.kind() == ErrorKind::OutOfFuel {
        return Error::data("the chat template does not come to an end").remedy("use another template");
    }
    let cause = std::error::Error::source(e).map(|c| format!(": {c}")).unwrap_or_default();
    Error::data(format!("the chat template refuses the conversation: {}{cause}", told(e)))
        .remedy("check the order of the roles, or use another template")
}

/// `{% generation %} … {% endgeneration %}` is an extension of transformers that marks replies; masks here come from
/// prefixes, so the marks become blocks that are always on.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        out.push_str(&rest[..at]);
        // `{%}` is no whole tag: its end is sought behind its beginning
        let Some(end) = rest[at + 2..].find("%}").map(|e| at + 2 + e + 2) else { break };
        let tag = &rest[at..end];
        let word = tag[2..tag.len() - 2].trim_matches(['-', '+']).trim();
        match word {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other(format!("it rendered more than {} bytes", self.limit)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
