//! The head and the foot of the page.

use super::html::{each, escape};
use super::{Fact, Report};

pub(super) fn header(report: &Report) -> String {
    head("report of a run", &report.title, &report.about, &report.headline, &report.facts)
}

/// The head of any page: what it is, its title, what it is about, what came out, and facts.
pub(super) fn head(kind: &str, title: &str, about: &str, headline: &str, all: &[Fact]) -> String {
    let paragraph = |class: &str, text: &str| match text {
        "" => String::new(),
        text => format!("<p class=\"{class}\">{}</p>\n", escape(text)),
    };
    format!(
        "<header>\n<p class=\"kind\">Regimen · {}</p>\n<h1>{}</h1>\n{}{}{}</header>\n",
        escape(kind),
        escape(title),
        paragraph("about", about),
        paragraph("headline", headline),
        facts(all),
    )
}

fn facts(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let fact = |f: &Fact| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(&f.label), escape(&f.value));
    format!("<dl class=\"facts\">\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
}

pub(super) fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items = each(notes, |note| format!("<li>{}</li>\n", escape(note)));
    format!("<aside class=\"notes\" aria-label=\"notes\">\n<ul>\n{items}</ul>\n</aside>\n")
}

pub(super) fn footer(version: &str) -> String {
    format!(
        "<footer>Written by Regimen {}. This page holds all it needs; it loads nothing.</footer>\n",
        escape(version)
    )
}
