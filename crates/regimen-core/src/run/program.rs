//! Another program that answers lines with lines: how a reward in any language is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// Bytes of the program's last words on standard error that are kept for messages.
const TAIL: usize = 2000;
/// How long a program may take to end when nobody asks it anything any more.
const FAREWELL: Duration = Duration::from_millis(500);

/// A command that is started when it is first asked, and again after it crashed or took too long.
pub struct Program {
    command: Vec<String>,
    timeout: Duration,
    running: Option<Running>,
}

struct Running {
    child: Child,
    questions: Option<Sender<String>>,
    answers: Receiver<String>,
    errors: Arc<Mutex<Vec<u8>>>,
}

impl Program {
    /// A program with its arguments; nothing is started yet. An answer may take `timeout`.
    pub fn new(command: Vec<String>, timeout: Duration) -> Self {
        Self { command, timeout, running: None }
    }

    /// Sends a line, and waits for the line that answers it.
    ///
    /// # Errors
    /// The cause in a sentence: the program cannot be started, ended, or did not answer in time.
    pub fn ask(&mut self, line: &str) -> Result<String, String> {
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let Some(running) = &mut self.running else { return Err("the program is not running".to_owned()) };
        let sent = running.questions.as_ref().map(|q| q.send(format!("{line}\n")));
        let answer = match sent {
            Some(Ok(())) => running.answers.recv_timeout(self.timeout),
            _ => Err(RecvTimeoutError::Disconnected),
        };
        match answer {
            Ok(answer) if answer.len() as u64 >= LONGEST => {
                self.running = None;
                Err(format!("`{}` answered with a line of more than {LONGEST} bytes", self.name()))
            }
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                self.running = None;
                Err(format!("`{}` did not answer within {} s", self.name(), self.timeout.as_secs_f64()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let told = self.running.take().map(Running::last_words).unwrap_or_default();
                Err(format!("`{}` {told}", self.name()))
            }
        }
    }

    fn name(&self) -> String {
        self.command.join(" ")
    }

    fn start(&self) -> Result<Running, String> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err("the command is empty".to_owned());
        };
        let piped = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = piped.map_err(|e| format!("`{}` cannot be started: {e}", self.name()))?;
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(format!("`{}` has no input or output", self.name()));
        };
        let (questions, asked) = mpsc::channel::<String>();
        let (answer, answers) = mpsc::channel();
        // a program that does not read must not hold up the one that writes
        thread::spawn(move || {
            for question in asked {
                if input.write_all(question.as_bytes()).and_then(|()| input.flush()).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if answer.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let tail = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tail);
        thread::spawn(move || keep_tail(errors, &kept));
        Ok(Running { child, questions: Some(questions), answers, errors: tail })
    }
}

fn keep_tail(mut from: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut block = [0; 1024];
    while let Ok(n @ 1..) = from.read(&mut block) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&block[..n]);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
    }
}

impl Running {
    /// How it ended, with the last line of what it said about it.
    fn last_words(mut self) -> String {
        // what it wrote last is on its way through the pipe
        thread::sleep(Duration::from_millis(50));
        let status = match self.child.try_wait() {
            Ok(Some(status)) => format!("ended with {status}"),
            _ => "closed its output".to_owned(),
        };
        let tail = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail).into_owned();
        drop(tail);
        match text.lines().rev().find(|l| !l.trim().is_empty()) {
            Some(line) => format!("{status}: {}", line.trim()),
            None => status,
        }
    }
}

impl Drop for Running {
    /// Without anything to read the program ends by itself, or is ended.
    fn drop(&mut self) {
        drop(self.questions.take());
        let steps = 10;
        for _ in 0..steps {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(FAREWELL / steps);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, seconds: f64) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Program::new(command, Duration::from_secs_f64(seconds))
    }

    #[test]
    fn lines_are_answered_in_turn() {
        let mut program = shell("while read line; do echo \"got $line\"; done", 10.0);
        for word in ["a", "b"] {
            assert_eq!(program.ask(word).as_deref(), Ok(&*format!("got {word}\n")));
        }
    }

    #[test]
    fn an_end_a_silence_and_a_missing_program_have_their_causes() {
        let mut program = shell("read line; echo 'no such thing' >&2; exit 3", 10.0);
        let told = program.ask("a").unwrap_err();
        assert!(told.ends_with("ended with exit status: 3: no such thing"), "{told}");
        assert!(program.ask("b").unwrap_err().contains("exit status: 3"), "it is started again");
        let told = shell("sleep 20", 0.1).ask("a").unwrap_err();
        assert!(told.contains("did not answer within 0.1 s"), "{told}");
        let mut missing = Program::new(vec!["./no-such-program".into()], Duration::from_secs(1));
        assert!(missing.ask("a").unwrap_err().contains("cannot be started"));
    }

    #[test]
    fn a_program_that_never_reads_holds_nobody_up() {
        let told = shell("sleep 20", 0.2).ask(&"x".repeat(1 << 20)).unwrap_err();
        assert!(told.contains("did not answer"), "{told}");
    }
}
