//! `regimen eval RUN|CKPT`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use regimen_base::{Error, Result};
use regimen_core::build::Builder;
use regimen_core::evaluate::{SetResult, Subject};
use regimen_core::generate::Generator;
use regimen_core::run::Disk;
use regimen_nn::Device;
use regimen_recipe::{Choice, Node, Recipe, Resolved};
use regimen_stats::wilson;
use serde_json::json;

use crate::failure::Outcome;
use crate::target::{Named, Target};
use crate::{out, recipes, scores};

#[derive(clap::Args)]
#[command(
    after_help = "Without --data and --recipe it measures what the run's own recipe measures. Items are the \
held-out ones, and the same for every model. A file given by --data is measured as a whole."
)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// A task (`arith`), a data set as in recipes (`{ kind = "arith", … }`), or a file or folder; can be given many times
    #[arg(long, value_name = "DATA")]
    data: Vec<String>,
    /// Measure what this recipe measures last
    #[arg(long, value_name = "RECIPE", conflicts_with = "data")]
    recipe: Option<String>,
    /// Items of each set, at most [default: what the recipe says, or 200]
    #[arg(long, value_name = "N")]
    n: Option<u64>,
    /// Add a table by level of difficulty
    #[arg(long)]
    by_difficulty: bool,
    /// Print everything as JSON, with the first few replies
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        let target = self.named.find()?;
        let resolved = self.recipe(&target)?;
        let eval = last_eval(&resolved).ok_or_else(|| nothing_to_measure(self.recipe.as_deref()))?;
        let device = Device::cpu();
        let mut model = target.model(&device)?;
        let registry = regimen_papers::registry();
        let builder = Builder { registry: &registry, files: &Disk, device: &device, resolved: &resolved };
        let mut evaluation = builder.evaluation(eval, model.speech(), model.net.arch())?;
        evaluation.n = self.n.unwrap_or(evaluation.n);
        for (set, data) in evaluation.sets.iter_mut().zip(&self.data).filter(|(_, data)| is_path(data)) {
            set.name.clone_from(data);
        }
        let mut generator = model.net.arch().decoder().map(Generator::new);
        let generator = generator.as_mut();
        let mut subject = Subject { model: &mut model, generator, version: 0, clamps: &[], go: &|| true };
        let results = evaluation.run(&mut subject)?.unwrap_or_default();
        must_have_items(&results)?;
        let mut out = out::open();
        if self.json {
            writeln!(out, "{:#}", as_json(&target, &results))?;
        } else {
            write!(out, "{}\n{}", target.folder().display(), scores::full(&results))?;
            if self.by_difficulty {
                write!(out, "\n{}", scores::by_difficulty(&results))?;
            }
        }
        Ok(out.flush()?)
    }

    fn recipe(&self, target: &Target) -> Outcome<Resolved> {
        let catalogue = regimen_papers::registry().catalogue();
        if !self.data.is_empty() {
            let text = recipe_of(target.folder(), &self.data);
            let recipe = Recipe::read("--data", &|_| Ok(text.clone()))?;
            return Ok(recipe.resolve(&catalogue, &Choice::default())?);
        }
        if let Some(name) = &self.recipe {
            return Ok(recipes::read(name)?.resolve(&catalogue, &Choice::default())?);
        }
        target.recipe()?.ok_or_else(|| nothing_to_measure(None).into())
    }
}

fn nothing_to_measure(recipe: Option<&str>) -> Error {
    let what = recipe.map_or_else(
        || "nothing says what to measure".to_owned(),
        |r| format!("the recipe {r} measures nothing"),
    );
    Error::usage(what).remedy("name data, such as `--data arith` or `--data test.jsonl`")
}

/// The last table that says what to measure.
fn last_eval(resolved: &Resolved) -> Option<&Node> {
    let table =
        |stage: &'_ Node| if stage.kind() == "eval" { true } else { stage.opt_table("eval").is_some() };
    let stage = resolved.stages().iter().rev().find(|stage| table(stage))?;
    Some(stage.table("eval"))
}

/// A recipe that does nothing but measure.
fn recipe_of(folder: &Path, data: &[String]) -> String {
    let sets: Vec<String> = data.iter().map(|data| set_of(data)).collect();
    let folder = toml_text(&folder.to_string_lossy());
    format!(
        "model = {{ from = {folder} }}\n[[stage]]\nid = \"eval\"\nkind = \"eval\"\n[stage.eval]\ndata = [{}]\n",
        sets.join(", ")
    )
}

/// What was typed, as a recipe would say it.
fn set_of(data: &str) -> String {
    if is_table(data) {
        return data.to_owned();
    }
    if !is_path(data) {
        return toml_text(data);
    }
    let path = Path::new(data);
    let rows = ["jsonl", "json", "csv", "parquet"];
    let kind = if path.extension().is_some_and(|e| rows.iter().any(|r| e == *r)) { "file" } else { "text" };
    format!("{{ kind = \"{kind}\", path = {}, eval = 1.0 }}", toml_text(data))
}

fn is_table(data: &str) -> bool {
    data.trim_start().starts_with('{')
}

/// Whether it names a file or a folder, there or not.
fn is_path(data: &str) -> bool {
    let path = Path::new(data);
    let looks_like_one = path.extension().is_some() || data.contains(std::path::MAIN_SEPARATOR);
    !is_table(data) && (looks_like_one || path.exists())
}

/// A basic string of TOML.
fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn must_have_items(results: &[SetResult]) -> Result<()> {
    match results.iter().find(|r| r.replies.is_none() && r.loss.is_none()) {
        Some(empty) => Err(Error::data(format!("`{}` has no held-out items to measure", empty.name))
            .remedy("give it more data, or a larger `eval` share")),
        None => Ok(()),
    }
}

fn as_json(target: &Target, results: &[SetResult]) -> serde_json::Value {
    let set = |result: &SetResult| {
        let mut value = json!(result);
        if let (Some(tally), Some(object)) = (&result.replies, value.as_object_mut()) {
            let interval = wilson(tally.score, tally.n);
            object.insert("interval".to_owned(), json!([interval.lo, interval.hi]));
        }
        value
    };
    json!({ "checkpoint": target.folder(), "sets": results.iter().map(set).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_a_kind_a_table_or_a_file() {
        assert_eq!(set_of("arith"), "\"arith\"");
        assert_eq!(set_of("{ kind = \"arith\" }"), "{ kind = \"arith\" }");
        assert!(set_of("no/such.jsonl").starts_with("{ kind = \"file\", path = \"no/such.jsonl\""));
        assert!(set_of("notes.txt").starts_with("{ kind = \"text\""));
        assert_eq!(toml_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
    }
}
