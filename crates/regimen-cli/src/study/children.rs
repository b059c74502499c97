//! Processes side by side, one run each.
//!
//! A child holds the reading end of a pipe; when the pipe is closed it finishes its step, writes a full checkpoint and
//! ends. So it stops well when this process is told to stop, and also when this process is gone.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use regimen_base::{Error, Exit, Result};

/// A process to start.
pub struct Task {
    /// Which of the runs it does.
    pub job: usize,
    /// What it is told.
    pub arguments: Vec<String>,
    /// Where everything that it says goes.
    pub log: PathBuf,
}

/// What happens.
pub enum Event {
    /// A run was begun.
    Began(usize),
    /// A run is complete.
    Done(usize),
    /// A run was stopped after a full checkpoint.
    Stopped(usize),
    /// A run failed; with what it said last.
    Failed(usize, String),
}

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What `side_by_side` asks of whoever started it.
pub trait Reins: Sync {
    /// Whether everything has to stop.
    fn stop(&self) -> bool;
    /// Whether a run of this seed is still wanted.
    fn wanted(&self, job: usize) -> bool;
}

/// Does all tasks, `width` at a time, in their order.
pub fn side_by_side(tasks: Vec<Task>, width: usize, reins: &dyn Reins, events: Sender<Event>) {
    let queue = Mutex::new(VecDeque::from(tasks));
    thread::scope(|scope| {
        for _ in 0..width.max(1) {
            let (queue, events) = (&queue, events.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(task) = next.filter(|_| !reins.stop()) else { return };
                    if reins.wanted(task.job) && events.send(one(&task, reins, &events)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(events);
    });
}

fn one(task: &Task, reins: &dyn Reins, events: &Sender<Event>) -> Event {
    let failed = |error: Error| Event::Failed(task.job, error.to_string());
    let mut child = match start(task) {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let _ = events.send(Event::Began(task.job));
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let stopped = [Exit::Interrupted, Exit::Terminated].map(|e| e as i32);
                return match status.code() {
                    Some(0) => Event::Done(task.job),
                    Some(code) if stopped.contains(&code) => Event::Stopped(task.job),
                    _ if reins.stop() => Event::Stopped(task.job),
                    _ => Event::Failed(task.job, said_last(&task.log)),
                };
            }
            Ok(None) => {
                if reins.stop() {
                    // closes the pipe
                    drop(child.stdin.take());
                }
                thread::sleep(LOOK);
            }
            Err(error) => return failed(Error::failed(format!("cannot wait for a run: {error}"))),
        }
    }
}

fn start(task: &Task) -> Result<Child> {
    let cannot = |e: io::Error| Error::failed(format!("cannot start a run: {e}"));
    if let Some(folder) = task.log.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let log = File::create(&task.log).map_err(cannot)?;
    let both = log.try_clone().map_err(cannot)?;
    Command::new(program()?)
        .args(&task.arguments)
        .stdin(Stdio::piped())
        .stdout(both)
        .stderr(log)
        .spawn()
        .map_err(cannot)
}

/// This very program, even if its file was replaced meanwhile.
fn program() -> Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return Ok(own.to_owned());
    }
    std::env::current_exe().map_err(|e| Error::failed(format!("cannot find this program: {e}")))
}

/// The error of a run that failed, or its last line.
fn said_last(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let error = lines.iter().rposition(|line| line.starts_with("error:"));
    let said = error
        .map_or_else(|| lines.last().copied().unwrap_or_default().to_owned(), |at| lines[at..].join("\n"));
    format!("{said}\n  = all that it said is in {}", log.display())
}

/// The last line that a run said: how far it is.
pub fn progress(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let step = text.lines().rev().find(|line| line.contains(": step "));
    step.and_then(|line| line.split(" · ").next()).unwrap_or_default().to_owned()
}
