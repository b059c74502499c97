//! How the program ends when it does not end well: one message, its remedy, the right exit code.

use std::io;
use std::panic;
use std::process::ExitCode;

use regimen_base::{Error, Exit};
use regimen_recipe::Report;

use crate::out::tell;
use crate::style;

/// Why a verb ended early.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong, and one message says it.
    Error(Error),
    /// The recipe is wrong, in one place or several.
    Recipe(Report),
    /// Everything was said; only the code is left.
    Exit(Exit),
    /// Whoever read the output has seen enough.
    Pipe,
}

/// What becomes of a verb.
pub type Outcome<T = ()> = Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Self::Recipe(report)
    }
}

impl From<io::Error> for Stop {
    /// Verbs write to standard output themselves and leave all other files to the run directory.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Error(
                Error::failed("cannot write the output: the disk is full")
                    .remedy("free some space, or send the output elsewhere"),
            ),
            _ => Self::Error(
                Error::failed(format!("cannot write the output: {error}"))
                    .remedy("send the output elsewhere"),
            ),
        }
    }
}

/// Tells what went wrong, and gives the exit code.
pub fn report(done: Outcome) -> ExitCode {
    let colour = style::on_stderr();
    let exit = match done {
        Ok(()) | Err(Stop::Pipe) => return ExitCode::SUCCESS,
        Err(Stop::Error(error)) => {
            tell(&format!("{} {error}", style::error(colour)));
            error.exit
        }
        Err(Stop::Recipe(report)) => {
            tell(report.render(colour).trim_end());
            if report.len() > 1 {
                tell(&format!("{} {} things are wrong", style::error(colour), report.len()));
            }
            Exit::Usage
        }
        Err(Stop::Exit(exit)) => exit,
    };
    code(exit)
}

/// The process's exit code.
fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// A panic is a bug of ours: say so, and where.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        // a library stumbled over a damaged file, and whoever called it makes an error of that
        if regimen_base::is_guarded() {
            return;
        }
        let error = style::error(style::on_stderr());
        let payload = info.payload();
        let what = payload.downcast_ref::<&str>().copied();
        let what =
            what.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tell(&format!("{error} this is a bug in regimen: {what}"));
        tell(&format!("  = it happened at {place}, version {}; please report it", env!("CARGO_PKG_VERSION")));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
            tell(&std::backtrace::Backtrace::force_capture().to_string());
        }
        // other threads may be waiting for the one that panicked
        std::process::exit(Exit::Failed as i32);
    }));
}
