//! Colours, where a terminal shows them and nobody asked to leave them out.

use std::env;
use std::io::IsTerminal;

/// Whether errors may be coloured.
pub fn on_stderr() -> bool {
    std::io::stderr().is_terminal() && wanted()
}

/// `NO_COLOR` set to anything says no (<https://no-color.org>).
pub fn wanted() -> bool {
    env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && env::var_os("TERM").is_none_or(|v| v != "dumb")
}

/// The word that a warning begins with.
pub fn warning(colour: bool) -> &'static str {
    if colour { "\x1b[1;33mwarning:\x1b[0m" } else { "warning:" }
}

/// The word that an error begins with.
pub fn error(colour: bool) -> &'static str {
    if colour { "\x1b[1;31merror:\x1b[0m" } else { "error:" }
}
