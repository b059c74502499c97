//! Errors that a user sees: what is wrong, and what to do about it.

use std::fmt;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// A run failed.
    Failed = 1,
    /// The command line or the recipe is wrong.
    Usage = 2,
    /// A claim did not hold.
    Claim = 3,
    /// Data or masks break an invariant.
    Data = 4,
    /// The plan does not fit into memory.
    Memory = 5,
    /// Ctrl-C, after a full checkpoint.
    Interrupted = 130,
    /// SIGTERM, after a full checkpoint.
    Terminated = 143,
}

/// One message for the user. Lower case, no full stop at the end of `what`; `remedy` says what to type or change.
#[derive(Clone, PartialEq, Debug)]
pub struct Error {
    /// What is wrong, with the file and the line where there is one.
    pub what: String,
    /// What led to it, outermost first.
    pub context: Vec<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The exit code it ends with.
    pub exit: Exit,
}

/// The result of anything that can fail in front of a user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that ends with `exit`.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { what: what.into(), context: Vec::new(), remedy: None, exit }
    }

    /// A run that cannot go on (exit 1).
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// A wrong recipe or command line (exit 2).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Unusable data (exit 4).
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(Exit::Data, what)
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says what was being done; the outermost context is printed first.
    #[must_use]
    pub fn within(mut self, doing: impl Into<String>) -> Self {
        self.context.insert(0, doing.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in &self.context {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.what)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  = {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Adds context to results.
pub trait ResultExt<T> {
    /// Says what was being done when it failed.
    fn within(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn within(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.within(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_outside_in() {
        let e = Error::data("row 3 has no column `text`")
            .remedy("set data.column")
            .within("a.jsonl")
            .within("stage `lm`");
        assert_eq!(e.to_string(), "stage `lm`: a.jsonl: row 3 has no column `text`\n  = set data.column");
        assert_eq!(e.exit as i32, 4);
    }
}
