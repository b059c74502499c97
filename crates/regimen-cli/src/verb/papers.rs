//! `regimen papers`.

use std::io::Write;

use regimen_papers::PAPERS;
use serde_json::json;

use crate::failure::Outcome;
use crate::out;
use crate::study::{Study, told};
use crate::table::Table;

#[derive(clap::Args)]
pub struct Args {
    /// Only papers that have all these words in their name, title, kind or text
    #[arg(long, num_args = 1.., value_name = "WORDS")]
    search: Vec<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table of the README
    #[arg(long)]
    markdown: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        let mut studies = Vec::new();
        for paper in PAPERS {
            let study = Study::carried(paper)?;
            if fits(&study, &self.search) {
                studies.push(study);
            }
        }
        let mut out = out::open();
        if self.json {
            let all: Vec<_> = studies.iter().map(as_json).collect();
            writeln!(out, "{:#}", serde_json::Value::Array(all))?;
        } else if self.markdown {
            out.write_all(markdown(&studies).as_bytes())?;
        } else if studies.is_empty() {
            crate::out::tell("no paper has all these words");
        } else {
            let mut table = Table::new(&["paper", "title", "kind", "verdict", ">effect", ">minutes"]);
            for study in &studies {
                table.row(cells(study, 60));
            }
            out.write_all(table.render().as_bytes())?;
        }
        Ok(out.flush()?)
    }
}

fn fits(study: &Study, words: &[String]) -> bool {
    let claims = &study.claims;
    let text = [&study.name, &claims.title, &claims.kind, &study.readme, &claims.primary.says]
        .map(|t| t.to_lowercase());
    let words = words.iter().flat_map(|w| w.split_whitespace());
    words.map(str::to_lowercase).all(|word| text.iter().any(|t| t.contains(&word)))
}

/// Paper, title, kind, verdict, effect, minutes.
fn cells(study: &Study, width: usize) -> [String; 6] {
    let record = study.standing.record();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let title = &study.claims.title;
    let title = if title.chars().count() > width {
        title.chars().take(width - 1).chain(['…']).collect()
    } else {
        title.clone()
    };
    [
        study.short().to_owned(),
        title,
        study.claims.kind.clone(),
        study.standing.words(),
        or_dash(record.map(|r| told::effect(&r.primary.verdict))),
        or_dash(record.map(|r| format!("{:.0}", r.minutes.ceil()))),
    ]
}

/// The table of the README: one row a paper.
fn markdown(studies: &[Study]) -> String {
    use std::fmt::Write as _;
    let mut text =
        String::from("| paper | title | kind | verdict | effect | minutes |\n|---|---|---|---|---|---|\n");
    for study in studies {
        let [_, title, kind, verdict, effect, minutes] =
            cells(study, usize::MAX).map(|cell| cell.replace('|', "\\|"));
        let link = format!("[{}](papers/{}/README.md)", study.short(), study.name);
        let _ = writeln!(text, "| {link} | {title} | {kind} | {verdict} | {effect} | {minutes} |");
    }
    text
}

fn as_json(study: &Study) -> serde_json::Value {
    let evidence = study.standing.record().and_then(|r| r.primary.verdict.evidence.clone());
    json!({
        "paper": study.short(),
        "folder": study.name,
        "title": study.claims.title,
        "source": study.claims.source,
        "kind": study.claims.kind,
        "verdict": study.standing.words(),
        "says": study.claims.primary.says,
        "estimate": evidence.as_ref().and_then(|e| e.estimate),
        "interval": evidence.as_ref().and_then(|e| e.interval).map(|i| [i.lo, i.hi]),
        "seeds": study.standing.record().map(|r| r.seeds.clone()),
        "minutes": study.standing.record().map(|r| r.minutes),
        "recorded": study.standing.record().map(|r| r.date.clone()),
    })
}
