//! `report.html`: one page about a run that needs nothing but itself: no script, no font, no network.
//!
//! A [`Report`] is plain data; [`render`] turns it into the page. Everything that comes from a recipe, a data set or a
//! model is escaped, and a content security policy keeps the page from loading anything.

mod axis;
mod bands;
mod chart;
mod curves;
mod effects;
mod graph;
mod head;
mod html;
mod ledger;
mod numbers;
mod plot;
mod recipe;
#[cfg(test)]
pub(crate) mod sample;
mod scores;
mod study;
mod transcripts;

use serde::{Deserialize, Serialize};

use super::manifest::LedgerRow;

pub use plot::plot;
pub use study::{ArmReport, ClaimReport, CurveFamily, Effect, StudyReport, render as render_study};

/// Everything the page shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The run's name.
    pub title: String,
    /// What the recipe says about itself, one sentence; may be empty.
    pub about: String,
    /// What came out, one or two sentences.
    pub headline: String,
    /// Seed, device, parameters, start, duration: short labels with short values.
    pub facts: Vec<Fact>,
    /// What the reader should be warned of.
    pub notes: Vec<String>,
    /// The stages in their order.
    pub stages: Vec<StageReport>,
    /// Accuracy on held-out items.
    pub tasks: Vec<TaskScores>,
    /// The same prompts before and after the stages.
    pub transcripts: Vec<Transcript>,
    /// The resolved recipe, TOML.
    pub recipe: String,
    /// Regimen's version.
    pub version: String,
}

/// A label with a value.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub label: String,
    /// How much it is, ready to print.
    pub value: String,
}

/// One stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StageReport {
    /// Its id.
    pub id: String,
    /// What it does, in a few words: `cross-entropy on replies`.
    pub about: String,
    /// The stages, or checkpoints from elsewhere, that it starts from; none means random weights.
    pub from: Vec<String>,
    /// Its metrics over its steps, in the order they are shown.
    pub curves: Vec<Curve>,
    /// What it took.
    pub ledger: LedgerRow,
}

/// A metric over the steps of a stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Curve {
    /// The metric's name in `metrics.jsonl`.
    pub name: String,
    /// (step, value), by step. Values that are not finite are left out of the picture.
    pub points: Vec<(f64, f64)>,
}

/// How a task went after each stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TaskScores {
    /// The task.
    pub task: String,
    /// One entry for each of [`Report::stages`]; `None` where it was not measured.
    pub after: Vec<Option<Score>>,
}

/// Right answers among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Score {
    /// Right answers.
    pub right: u64,
    /// Items asked.
    pub total: u64,
}

/// One prompt and what the model said to it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Transcript {
    /// The task it comes from.
    pub task: String,
    /// The prompt.
    pub prompt: String,
    /// The right answer, where there is one.
    pub answer: Option<String>,
    /// The replies, in the order of the stages.
    pub replies: Vec<Reply>,
}

/// What the model said at one time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// When: `random weights`, `after sft`.
    pub when: String,
    /// The reply.
    pub text: String,
    /// Whether it was right; `None` when nothing judges it.
    pub right: Option<bool>,
    /// A remark on how it ended: `cut off at 64 tokens`.
    pub stop: Option<String>,
}

/// Keeps the page from loading anything, whatever a model wrote into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub fn render(report: &Report) -> String {
    let body = [
        head::header(report),
        head::notes(&report.notes),
        graph::section(&report.stages),
        scores::section(&report.stages, &report.tasks),
        curves::section(&report.stages),
        transcripts::section(transcripts::STAGES, &report.transcripts),
        ledger::section(&report.stages),
        recipe::section(&report.recipe),
        head::footer(&report.version),
    ]
    .concat();
    page(&report.title, &body)
}

/// The page around its content.
fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} · Regimen</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        html::escape(title),
        include_str!("style.css"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_report_has_every_part_and_no_external_resource() {
        let page = render(&sample::report());
        for id in ["stages", "accuracy", "curves", "transcripts", "ledger", "recipe"] {
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        for outside in ["http://", "https://", "src=", "<link", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.len() < 400_000, "{} bytes", page.len());
    }

    #[test]
    fn an_empty_report_is_a_page_without_empty_parts() {
        let page = render(&Report { title: "empty".into(), ..Report::default() });
        assert!(page.contains("<h1>empty</h1>"));
        assert!(!page.contains("<section") && !page.contains("NaN"));
    }

    #[test]
    fn nothing_gets_through_unescaped() {
        let text = serde_json::to_string(&sample::report()).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let evil: Report = serde_json::from_value(poison(report)).unwrap();
        let page = render(&evil);
        assert!(page.contains("&lt;img"), "the poison is in there");
        assert!(!page.contains("<img"), "and not as markup");
        assert!(!page.contains("\" onload=\""), "nor as an attribute");
    }

    fn poison(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(format!("<img \" onload=\"x' & {text}")),
            Value::Array(items) => items.into_iter().map(poison).collect(),
            Value::Object(fields) => fields.into_iter().map(|(k, v)| (k, poison(v))).collect(),
            other => other,
        }
    }

    #[test]
    fn elements_are_closed() {
        let page = render(&sample::report());
        for tag in
            ["section", "figure", "table", "tr", "td", "th", "div", "svg", "g", "p", "pre", "dl", "details"]
        {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
