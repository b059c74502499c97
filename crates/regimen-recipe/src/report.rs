//! Everything that is wrong with a recipe, told at once.

use std::fmt;

use codespan_reporting::diagnostic::{Diagnostic, Label};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::termcolor::Ansi;
use codespan_reporting::term::{self, Config, Styles, StylesWriter};
use regimen_base::Error;

use crate::source::{At, Origin, Sources};

/// One thing that is wrong: where, why, and what to do.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Diag {
    message: String,
    labels: Vec<(At, String)>,
    notes: Vec<String>,
    fatal: bool,
}

impl Diag {
    /// Says what is wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), notes: Vec::new(), fatal: false }
    }

    /// Points at the cause; the first place is the main one.
    #[must_use]
    pub fn at(mut self, origin: &Origin, label: impl Into<String>) -> Self {
        let label = label.into();
        if let Some(at) = &origin.at {
            self.labels.push((at.clone(), label));
            return self;
        }
        self.note(label)
    }

    /// Adds a line below; an empty one is left out.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        if !note.is_empty() {
            self.notes.push(note);
        }
        self
    }

    /// Nothing that comes after it can be judged.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    pub fn is_fatal(&self) -> bool {
        self.fatal
    }

    fn place(&self) -> (usize, usize) {
        self.labels.first().map_or((usize::MAX, 0), |(at, _)| (at.source, at.start))
    }

    fn one_line(&self) -> String {
        match self.labels.first() {
            Some((at, label)) if label.is_empty() => format!("{at}: {}", self.message),
            Some((at, label)) => format!("{at}: {} ({label})", self.message),
            None => self.message.clone(),
        }
    }

    fn to_codespan(&self) -> Diagnostic<usize> {
        let label = |(i, (at, text)): (usize, &(At, String))| {
            let range = at.start..at.end;
            let label =
                if i == 0 { Label::primary(at.source, range) } else { Label::secondary(at.source, range) };
            label.with_message(printable(text))
        };
        Diagnostic::error()
            .with_message(printable(&self.message))
            .with_labels(self.labels.iter().enumerate().map(label).collect())
            .with_notes(self.notes.iter().map(|note| printable(note)).collect())
    }
}

/// The text without characters that would act on a terminal. Each is replaced by as many bytes as it had, so that
/// places in the text stay what they are.
fn printable(text: &str) -> String {
    let acts = |c: char| (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => out.push(' '),
            c if acts(c) => out.extend(std::iter::repeat_n('?', c.len_utf8())),
            c => out.push(c),
        }
    }
    out
}

/// All diagnostics of one recipe.
#[derive(Clone, Debug)]
pub struct Report {
    diags: Vec<Diag>,
    sources: Sources,
}

impl Report {
    /// Sorts by place and drops what was said twice.
    pub(crate) fn new(diags: Vec<Diag>, sources: &Sources) -> Self {
        let mut unique: Vec<Diag> = Vec::with_capacity(diags.len());
        for diag in diags {
            if !unique.contains(&diag) {
                unique.push(diag);
            }
        }
        unique.sort_by_key(Diag::place);
        Self { diags: unique, sources: sources.clone() }
    }

    /// Adds what another report of the same recipe says.
    pub(crate) fn merge(self, other: Self) -> Self {
        // the shorter list of sources is a prefix of the longer one when both start from the same recipe
        let sources = if other.sources.iter().count() > self.sources.iter().count() {
            other.sources
        } else {
            self.sources
        };
        Self::new(self.diags.into_iter().chain(other.diags).collect(), &sources)
    }

    /// How many things are wrong.
    pub fn len(&self) -> usize {
        self.diags.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.diags.is_empty()
    }

    /// The first line of each diagnostic.
    pub fn messages(&self) -> Vec<&str> {
        self.diags.iter().map(|d| d.message.as_str()).collect()
    }

    /// All diagnostics with the lines they point at; plain text, or with terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let mut files = SimpleFiles::new();
        for (name, text) in self.sources.iter() {
            files.add(printable(name), printable(text));
        }
        let config = Config::default();
        let styles = Styles::default();
        let mut out = Ansi::new(Vec::new());
        let mut plain = String::new();
        for diag in &self.diags {
            let diagnostic = diag.to_codespan();
            let done = if colour {
                term::emit_to_write_style(
                    &mut StylesWriter::new(&mut out, &styles),
                    &config,
                    &files,
                    &diagnostic,
                )
            } else {
                term::emit_to_string(&mut plain, &config, &files, &diagnostic)
            };
            if done.is_err() {
                plain.push_str(&diag.one_line());
            }
        }
        let coloured = String::from_utf8_lossy(&out.into_inner()).into_owned();
        let lines = (coloured + &plain).lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        lines.trim_end().to_owned() + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl From<Report> for Error {
    /// One line for each diagnostic, for where the rendered form cannot be shown.
    fn from(report: Report) -> Self {
        let lines: Vec<String> = report.diags.iter().map(Diag::one_line).collect();
        let error = Self::usage(printable(&lines.join("\n")));
        let notes: Vec<&String> = report.diags.iter().flat_map(|d| &d.notes).collect();
        match notes.as_slice() {
            [note] => error.remedy(printable(note)),
            _ => error,
        }
    }
}
