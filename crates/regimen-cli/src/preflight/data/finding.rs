//! What the preflight has to say: errors stop, warnings are counted.

use std::fmt::Write as _;

use regimen_base::{Error, Exit};

use crate::failure::{Outcome, Stop};
use crate::out::tell;
use crate::{number, style};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The run would not do what was meant.
    Error,
    /// It may be meant.
    Warning,
}

/// One thing that was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Its short name, the same in every version.
    pub code: &'static str,
    /// Where, and what is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything that was found, each thing once.
#[derive(Clone, Default, Debug)]
pub struct Findings {
    /// What was found, in the order of the recipe.
    pub all: Vec<Finding>,
    /// What the data was taken for, and how much of it was looked at.
    pub notes: Vec<String>,
    /// Who the findings are about, for now.
    within: String,
}

impl Findings {
    /// From here on findings are about this stage and stream.
    pub fn enter(&mut self, within: String) {
        self.within = within;
    }

    /// Adds an error.
    pub fn error(&mut self, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Error, code, what.into(), remedy.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, code: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Warning, code, what.into(), remedy.into());
    }

    /// Adds what a piece said of a row.
    pub fn refused(&mut self, place: &str, how_many: usize, error: &Error) {
        let others = if how_many > 1 { format!(" (and {} other rows)", how_many - 1) } else { String::new() };
        let told = error.context.iter().fold(String::new(), |all, c| format!("{all}{c}: "));
        let remedy = error.remedy.clone().unwrap_or_else(|| "correct the row".to_owned());
        self.error("row", format!("{place}{others}: {told}{}", error.what), remedy);
    }

    /// Says something that is neither right nor wrong.
    pub fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }

    fn add(&mut self, level: Level, code: &'static str, what: String, remedy: String) {
        let what = if self.within.is_empty() { what } else { format!("{}: {what}", self.within) };
        let finding = Finding { level, code, what, remedy };
        if !self.all.contains(&finding) {
            self.all.push(finding);
        }
    }

    /// How many there are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|f| f.level == level).count()
    }

    /// Writes everything to standard error; errors end the program with exit code 4.
    pub fn tell(&self) -> Outcome {
        let text = self.render(style::on_stderr());
        if !text.is_empty() {
            tell(text.trim_end());
        }
        match self.count(Level::Error) {
            0 => Ok(()),
            n => {
                let warnings = match self.count(Level::Warning) {
                    0 => String::new(),
                    w => format!(" and {}", number::plural(w, "warning")),
                };
                tell(&format!("the preflight found {}{warnings}", number::plural(n, "error")));
                Err(Stop::Exit(Exit::Data))
            }
        }
    }

    fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        let mut ordered: Vec<&Finding> = self.all.iter().collect();
        ordered.sort_by_key(|f| f.level);
        for finding in ordered {
            let word = match finding.level {
                Level::Error => style::error(colour),
                Level::Warning => style::warning(colour),
            };
            let _ = writeln!(text, "{word} {} ({})\n  = {}", finding.what, finding.code, finding.remedy);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_first_and_nothing_is_said_twice() {
        let mut findings = Findings::default();
        findings.enter("stage `a`".to_owned());
        findings.warning("w", "x", "y");
        findings.error("e", "a.jsonl:1: bad", "mend it");
        findings.warning("w", "x", "y");
        assert_eq!(
            findings.render(false),
            "error: stage `a`: a.jsonl:1: bad (e)\n  = mend it\nwarning: stage `a`: x (w)\n  = y\n"
        );
        assert!(findings.tell().is_err());
    }
}
