//! The report of a paper's verification: what was claimed, what the seeds show, what each arm took.

use serde::{Deserialize, Serialize};

use super::html::{each, escape, section as part};
use super::numbers::{digits, duration, si};
use super::{Fact, Transcript, bands, effects, head, page, recipe, transcripts};

/// Everything the page shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StudyReport {
    /// The paper's title.
    pub title: String,
    /// Where it was published, and what it is.
    pub about: String,
    /// The verdict in words.
    pub headline: String,
    /// Seeds, device, time: short labels with short values.
    pub facts: Vec<Fact>,
    /// What the reader should be warned of.
    pub notes: Vec<String>,
    /// The claims, the primary one first.
    pub claims: Vec<ClaimReport>,
    /// The arms, in the order of the recipe.
    pub arms: Vec<ArmReport>,
    /// Metrics over the steps, all arms in one picture.
    pub curves: Vec<CurveFamily>,
    /// The same prompts in all arms.
    pub transcripts: Vec<Transcript>,
    /// What is smaller than in the paper.
    pub scaled_down: Vec<String>,
    /// The recipe, TOML.
    pub recipe: String,
    /// Regimen's version.
    pub version: String,
}

/// One claim, or one part of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ClaimReport {
    /// `primary`, `secondary`, `part`.
    pub label: String,
    /// The claim as a sentence; may be empty for a part.
    pub says: String,
    /// The rule.
    pub rule: String,
    /// `held`, `not held`, `inconclusive`.
    pub outcome: String,
    /// Why.
    pub why: String,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// What it rests on.
    pub effect: Option<Effect>,
}

/// One number a seed, and the bounds that decide.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Effect {
    /// Seed and number.
    pub seeds: Vec<(u64, Option<f64>)>,
    /// Their mean.
    pub estimate: Option<f64>,
    /// The deciding bounds.
    pub interval: Option<(f64, f64)>,
    /// The two-sided level of the bounds.
    pub level: f64,
    /// What the claim says the value is above.
    pub above: Option<f64>,
    /// What the claim says the value is below.
    pub below: Option<f64>,
}

/// One arm.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ArmReport {
    /// Its id.
    pub id: String,
    /// What the recipe says about it.
    pub about: String,
    /// How many seeds were run.
    pub seeds: usize,
    /// Optimiser steps, tokens trained, tokens written, FLOPs, seconds: means over the seeds.
    pub ledger: [f64; 5],
    /// What was measured at the end: metric, then seed and number.
    pub values: Vec<(String, Vec<(u64, f64)>)>,
}

/// A metric over the steps, in every arm and seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CurveFamily {
    /// `train/eval/id/exact_match`.
    pub metric: String,
    /// For each of [`StudyReport::arms`], the curves of its seeds: (step, value).
    pub arms: Vec<Vec<Vec<(f64, f64)>>>,
}

/// The page.
pub fn render(report: &StudyReport) -> String {
    let body = [
        head::head("report of a verification", &report.title, &report.about, &report.headline, &report.facts),
        head::notes(&report.notes),
        part("claims", "Claims", effects::LEAD, &each(&report.claims, claim)),
        effects::arms(&report.arms),
        bands::section(&report.arms, &report.curves),
        transcripts::section(transcripts::ARMS, &report.transcripts),
        ledger(&report.arms),
        scaled_down(&report.scaled_down),
        recipe::section(&report.recipe),
        head::footer(&report.version),
    ];
    page(&report.title, &body.concat())
}

fn claim(claim: &ClaimReport) -> String {
    let class = match claim.outcome.as_str() {
        "held" => "held",
        "not held" => "not-held",
        _ => "open",
    };
    let sign = match class {
        "held" => "✓",
        "not-held" => "✗",
        _ => "?",
    };
    let says = if claim.says.is_empty() { &claim.rule } else { &claim.says };
    let rule = if claim.says.is_empty() { String::new() } else { paragraph("rule", &claim.rule) };
    let notes = each(&claim.notes, |note| paragraph("rule", note));
    format!(
        "<article class=\"claim {class}\">\n<p class=\"task\"><span>{}</span><b class=\"outcome\">{sign} {}</b></p>\n\
         <p class=\"says\">{}</p>\n{rule}{}{}{notes}</article>\n",
        escape(&claim.label),
        escape(&claim.outcome),
        escape(says),
        claim.effect.as_ref().map_or_else(String::new, effects::effect),
        paragraph("why", &claim.why),
    )
}

fn paragraph(class: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<p class=\"{class}\">{}</p>\n", escape(text)) }
}

fn scaled_down(lines: &[String]) -> String {
    let items = each(lines, |line| format!("<li>{}</li>\n", escape(line)));
    let list = if items.is_empty() { items } else { format!("<ul class=\"plain\">\n{items}</ul>\n") };
    part("scaled-down", "What was scaled down", "A result holds at the size at which it was found.", &list)
}

fn ledger(arms: &[ArmReport]) -> String {
    if arms.is_empty() {
        return String::new();
    }
    let head: String = ["arm", "seeds", "steps", "tokens trained", "tokens written", "FLOPs", "time"]
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .concat();
    let rows = each(arms, |arm| {
        let [steps, tokens, written, flops, seconds] = arm.ledger;
        let or_dash = |x: f64, text: String| if x > 0.0 { text } else { "–".to_owned() };
        let cells = [
            arm.seeds.to_string(),
            digits(steps),
            or_dash(tokens, si(tokens)),
            or_dash(written, si(written)),
            or_dash(flops, si(flops)),
            or_dash(seconds, duration(seconds)),
        ];
        let cells = each(cells, |text| format!("<td>{text}</td>"));
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&arm.id))
    });
    let table = format!(
        "<div class=\"scroll\"><table class=\"ledger\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    let lead = "For one seed, on average. Stages that several arms share are counted in each; time is that of one thread.";
    part("ledger", "Ledger", lead, &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn sample() -> StudyReport {
        let arm = |id: &str, base: f64| ArmReport {
            id: id.to_owned(),
            about: "an arm".to_owned(),
            seeds: 3,
            ledger: [100.0, 1e6, 0.0, 1e12, 62.0],
            values: vec![(
                "main/test/exact_match".to_owned(),
                (0..3).map(|s| (s, base + 0.01 * s as f64)).collect(),
            )],
        };
        let curve = |base: f64| {
            (0..3).map(|s| (0..40).map(|i| (f64::from(i), base + f64::from(i * s))).collect()).collect()
        };
        StudyReport {
            title: "A paper <b>".to_owned(),
            headline: "Held.".to_owned(),
            claims: vec![ClaimReport {
                label: "primary".to_owned(),
                says: "it works".to_owned(),
                rule: "a > b".to_owned(),
                outcome: "held".to_owned(),
                why: "the lower bound is above 0".to_owned(),
                notes: vec!["a note".to_owned()],
                effect: Some(Effect {
                    seeds: vec![(0, Some(0.4)), (1, Some(0.5)), (2, None)],
                    estimate: Some(0.45),
                    interval: Some((0.2, 0.7)),
                    level: 0.9,
                    above: Some(0.0),
                    below: None,
                }),
            }],
            arms: vec![arm("method", 0.9), arm("baseline", 0.4)],
            curves: vec![CurveFamily { metric: "main/loss".to_owned(), arms: vec![curve(1.0), curve(2.0)] }],
            scaled_down: vec!["smaller".to_owned()],
            ..StudyReport::default()
        }
    }

    #[test]
    fn every_part_is_there_and_nothing_from_outside() {
        let page = render(&sample());
        for id in ["claims", "arms", "curves", "ledger", "scaled-down"] {
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(page.contains("A paper &lt;b&gt;") && !page.contains("A paper <b>"));
        for outside in ["http://", "https://", "src=", "<link", "<script", "@import", "url(", "NaN"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for tag in ["section", "article", "figure", "table", "tr", "td", "div", "svg", "g", "p", "ul", "li"] {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn an_empty_study_is_a_page_without_empty_parts() {
        let page = render(&StudyReport::default());
        assert!(!page.contains("<section") && !page.contains("NaN"));
    }
}
