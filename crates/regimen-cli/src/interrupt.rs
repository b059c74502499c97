//! Ctrl-C: the first asks the run to stop after its step with a full checkpoint, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use regimen_base::{Error, Exit, Result};

/// Whether somebody asked the run to stop.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Watches for signals from now on. `told` is called, on another thread, when the first one comes.
    pub fn watch(told: impl Fn(Exit) + Send + 'static) -> Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        listen(move |exit| {
            if flag.0.swap(exit as u8, Ordering::SeqCst) != 0 {
                std::process::exit(exit as i32);
            }
            told(exit);
        })?;
        Ok(interrupt)
    }

    /// Counts the end of standard input as a Ctrl-C: a run that another process started stops well when that process
    /// closes the pipe, or is gone.
    pub fn leash(&self) {
        let flag = self.0.clone();
        let waiting = std::thread::Builder::new().name("leash".to_owned()).spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = flag.compare_exchange(0, Exit::Interrupted as u8, Ordering::SeqCst, Ordering::SeqCst);
        });
        // without a thread the run goes on unleashed
        drop(waiting);
    }

    /// The code to end with, when the run was asked to stop.
    pub fn asked(&self) -> Option<Exit> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            code if code == Exit::Terminated as u8 => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}

fn cannot(error: &impl std::fmt::Display) -> Error {
    Error::failed(format!("cannot watch for Ctrl-C: {error}"))
}

/// Calls `react` on a thread of its own for every signal that asks for an end.
#[cfg(unix)]
pub fn listen(react: impl Fn(Exit) + Send + 'static) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut watched = vec![SIGINT, SIGTERM];
    // a closed terminal is a reason to stop well, but `nohup` has said that it is none
    if !is_ignored(SIGHUP) {
        watched.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(watched).map_err(|e| cannot(&e))?;
    let listener = std::thread::Builder::new().name("signals".to_owned());
    listener
        .spawn(move || {
            for signal in signals.forever() {
                react(if signal == SIGINT { Exit::Interrupted } else { Exit::Terminated });
            }
        })
        .map_err(|e| cannot(&e))?;
    Ok(())
}

/// Whether the parent asked us not to hear `signal`. Where the system does not tell, it counts as ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).unwrap_or(u64::MAX);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(not(unix))]
pub fn listen(react: impl Fn(Exit) + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || react(Exit::Interrupted)).map_err(|e| cannot(&e))
}
