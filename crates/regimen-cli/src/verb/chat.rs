//! `regimen chat RUN|CKPT`: a conversation on standard input and output.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regimen_base::{Error, Exit, Key, Result};
use regimen_core::generate::Request;
use regimen_data::{ChatTemplate, Message, Role, Token};
use regimen_kernels::Sampling;
use regimen_nn::Device;

use super::sampling::{Live, Options, Writer};
use crate::failure::Outcome;
use crate::interrupt;
use crate::out::{self, tell};
use crate::target::Named;

#[derive(clap::Args)]
#[command(
    after_help = "Each line is a message. /reset begins a new conversation, /quit or Ctrl-D ends; Ctrl-C cuts a \
reply short. The model remembers the conversation as far as its context reaches; a model that was trained on single \
questions does best with --forget."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    system: Option<String>,
    /// Begin anew after every reply
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    options: Options,
}

/// The temperature when none was given: the likeliest token.
const TEMPERATURE: f32 = 0.0;

impl Args {
    pub fn go(self) -> Outcome {
        let sampling = self.options.sampling(TEMPERATURE)?;
        let target = self.named.find()?;
        let model = target.model(&Device::cpu())?;
        let template = ChatTemplate::of(model.tokenizer()?)?;
        let writer = Writer::new(model, Some(&template))?;
        let by_hand = io::stdin().is_terminal();
        if by_hand {
            tell(&format!("{} · /reset begins anew, /quit ends", target.folder().display()));
            if !target.talks() {
                tell(
                    "note: this model was not trained on conversations; `regimen generate` goes on with a text",
                );
            }
        }
        let speaking = Arc::new(AtomicBool::new(false));
        if by_hand {
            watch(&speaking)?;
        }
        let conversation = Conversation::new(self.system.as_deref());
        Session {
            writer,
            template,
            sampling,
            options: self.options,
            forget: self.forget,
            by_hand,
            speaking,
            conversation,
            turn: 0,
        }
        .run()
    }
}

/// Ctrl-C cuts a reply short; where nothing is being said, it ends the program.
fn watch(speaking: &Arc<AtomicBool>) -> Result<()> {
    let speaking = Arc::clone(speaking);
    interrupt::listen(move |exit| {
        if exit != Exit::Interrupted || !speaking.swap(false, Ordering::SeqCst) {
            tell("");
            std::process::exit(exit as i32);
        }
    })
}

struct Session {
    writer: Writer,
    template: ChatTemplate,
    sampling: Sampling,
    options: Options,
    forget: bool,
    /// Whether a person types.
    by_hand: bool,
    /// Whether a reply is under way; cleared to cut it short.
    speaking: Arc<AtomicBool>,
    conversation: Conversation,
    turn: u64,
}

impl Session {
    fn run(mut self) -> Outcome {
        let mut lines = io::stdin().lock().lines();
        loop {
            if self.by_hand {
                let mut out = out::open();
                write!(out, "> ")?;
                out.flush()?;
            }
            let Some(line) = lines.next() else { break };
            let line = line.map_err(|e| Error::data(format!("cannot read standard input: {e}")))?;
            match line.trim() {
                "" => {}
                "/quit" | "/exit" => return Ok(()),
                "/reset" => self.conversation.reset(),
                command if command.starts_with('/') && self.by_hand => tell("there are /reset and /quit"),
                _ => self.message(&line)?,
            }
        }
        if self.by_hand {
            tell("");
        }
        Ok(())
    }

    /// Answers one message. What is wrong with it is told, and a person may try again; a pipe cannot.
    fn message(&mut self, text: &str) -> Outcome {
        if self.forget {
            self.conversation.reset();
        }
        match self.conversation.ask(text, &self.template, self.writer.context()) {
            Ok((prompt, forgotten)) => {
                if forgotten > 0 && self.by_hand {
                    tell(&format!(
                        "(the model's {} tokens are full: the oldest turn is forgotten)",
                        self.writer.context()
                    ));
                }
                self.reply(&prompt)
            }
            Err(error) if self.by_hand => {
                tell(&format!("error: {error}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn reply(&mut self, prompt: &[u32]) -> Outcome {
        let key = Key::new(self.options.seed).child("chat").at(self.turn);
        self.turn += 1;
        let max_new = self.options.max_new(self.writer.context());
        let request = Request { prompt, sampling: self.sampling, max_new, key };
        let tokenizer = self.writer.model.tokenizer()?.clone();
        let mut out = out::open();
        let mut live = Live::new(&tokenizer, &self.options.stop, &mut out);
        let speaking = Arc::clone(&self.speaking);
        speaking.store(true, Ordering::SeqCst);
        let by_hand = self.by_hand;
        let mut on_token = |_: usize, id: u32| live.push(id) && (!by_hand || speaking.load(Ordering::SeqCst));
        let done = self.writer.write(&[request], &self.options.stop, &mut on_token);
        self.speaking.store(false, Ordering::SeqCst);
        let done = match done {
            Err(error) if self.by_hand => {
                self.conversation.take_back();
                tell(&format!("error: {error}"));
                return Ok(());
            }
            other => other?,
        };
        live.finish()?;
        writeln!(out)?;
        out.flush()?;
        for completion in &done {
            let text = self.writer.text(completion, &self.options.stop);
            self.conversation.heard(text, completion.ids.clone());
        }
        Ok(())
    }
}

/// What was said. Replies keep the tokens that the model drew: they are never decoded and encoded again.
struct Conversation {
    system: Option<Message>,
    messages: Vec<Message>,
    replies: Vec<Vec<u32>>,
}

impl Conversation {
    fn new(system: Option<&str>) -> Self {
        Self {
            system: system.map(|text| Message::new(Role::System, text)),
            messages: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn reset(&mut self) {
        self.messages.clear();
        self.replies.clear();
    }

    /// Takes a user's message, and gives what the model has to read, with the number of turns that had to be forgotten
    /// to make it fit. A message that cannot be read is not kept.
    fn ask(&mut self, text: &str, template: &ChatTemplate, context: usize) -> Result<(Vec<u32>, usize)> {
        self.messages.push(Message::new(Role::User, text));
        let mut forgotten = 0;
        loop {
            match self.prompt(template) {
                // half of the context is for the reply, as long as there is something to forget
                Ok(ids) if self.replies.is_empty() || ids.len() <= context / 2 => {
                    return Ok((ids, forgotten));
                }
                Ok(_) => {
                    self.messages.drain(..2);
                    self.replies.remove(0);
                    forgotten += 1;
                }
                Err(error) => {
                    self.messages.pop();
                    return Err(error);
                }
            }
        }
    }

    /// Forgets a message that could not be answered.
    fn take_back(&mut self) {
        self.messages.pop();
    }

    fn heard(&mut self, text: String, ids: Vec<u32>) {
        self.messages.push(Message::new(Role::Assistant, text));
        self.replies.push(ids);
    }

    fn prompt(&self, template: &ChatTemplate) -> Result<Vec<u32>> {
        let all: Vec<Message> = self.system.iter().chain(&self.messages).cloned().collect();
        Ok(splice(&template.prompt(&all)?, &self.replies))
    }
}

/// Puts the drawn tokens of each reply where the template has encoded its text again. A reply that was cut off gets the
/// token that the template ends it with.
fn splice(tokens: &[Token], replies: &[Vec<u32>]) -> Vec<u32> {
    let runs: Vec<&[Token]> =
        tokens.chunk_by(|a, b| (a.role == Role::Assistant) == (b.role == Role::Assistant)).collect();
    let said = runs.iter().filter(|run| run[0].role == Role::Assistant).count();
    if said != replies.len() {
        // a template that leaves replies out, or joins them: take its word for it
        return tokens.iter().map(|t| t.id).collect();
    }
    let mut replies = replies.iter();
    let mut ids = Vec::new();
    for run in runs {
        match (run[0].role, run.last()) {
            (Role::Assistant, Some(end)) => {
                let drawn = replies.next().map_or(&[][..], Vec::as_slice);
                ids.extend(drawn);
                ids.extend((drawn.last() != Some(&end.id)).then_some(end.id));
            }
            _ => ids.extend(run.iter().map(|t| t.id)),
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_data::Tokenizer;

    fn template() -> ChatTemplate {
        ChatTemplate::of(&Tokenizer::byte().expect("it needs nothing")).expect("it brings a template")
    }

    #[test]
    fn a_conversation_is_what_the_template_would_make_of_it() {
        let (template, mut talk) = (template(), Conversation::new(Some("be brief")));
        let (first, _) = talk.ask("1+1", &template, 1000).expect("it fits");
        let drawn: Vec<u32> = template
            .tokenizer()
            .encode_text("2")
            .expect("bytes")
            .into_iter()
            .chain(template.tokenizer().eos())
            .collect();
        talk.heard("2".to_owned(), drawn.clone());
        let (second, forgotten) = talk.ask("2+2", &template, 1000).expect("it fits");
        assert_eq!((&second[..first.len()], forgotten), (first.as_slice(), 0));
        assert_eq!(&second[first.len()..first.len() + drawn.len()], drawn);
        let all = [
            Message::new(Role::System, "be brief"),
            Message::new(Role::User, "1+1"),
            Message::new(Role::Assistant, "2"),
            Message::new(Role::User, "2+2"),
        ];
        let plain: Vec<u32> = template.prompt(&all).expect("it renders").iter().map(|t| t.id).collect();
        assert_eq!(second, plain);
    }

    #[test]
    fn drawn_tokens_are_kept_and_cut_off_replies_are_ended() {
        let (template, mut talk) = (template(), Conversation::new(None));
        talk.ask("a", &template, 1000).expect("it fits");
        // tokens that encode to something else than their text would
        talk.heard("2".to_owned(), vec![40, 41, 42]);
        let (ids, _) = talk.ask("b", &template, 1000).expect("it fits");
        let at = ids.windows(3).position(|w| w == [40, 41, 42]).expect("the drawn tokens are there");
        assert_eq!(Some(ids[at + 3]), template.tokenizer().eos());
    }

    #[test]
    fn the_oldest_turns_make_room() {
        let (template, mut talk) = (template(), Conversation::new(None));
        for turn in 0..20 {
            let (ids, forgotten) = talk.ask("0123456789", &template, 100).expect("one message fits");
            assert!(
                ids.len() <= 50 && (forgotten > 0) == (turn >= 3),
                "turn {turn}: {} tokens, {forgotten}",
                ids.len()
            );
            talk.heard("x".to_owned(), template.tokenizer().encode_text("x").expect("bytes"));
        }
        talk.reset();
        assert!(talk.messages.is_empty() && talk.replies.is_empty());
    }
}
