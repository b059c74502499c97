//! Recipes by path, or by the name of one that the program carries.

use std::fs;
use std::path::Path;

use regimen_base::{Error, Exit, Length, Result};
use regimen_papers::Paper;
use regimen_recipe::{Choice, Recipe, Resolved};

use crate::failure::Outcome;

/// Every recipe of the repository: its path below `recipes/`, and its text.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/recipes.rs"));

/// What a recipe is taken with.
#[derive(clap::Args, Clone, Default)]
pub struct Given {
    /// A recipe: a file, or the name of one in the program, such as `quickstart`
    #[arg(value_name = "RECIPE")]
    pub recipe: String,
    /// Change a value of the recipe: `--set stage.sft.lr=1e-4`; can be given many times
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// Use this variation of the recipe
    #[arg(long, value_name = "ID")]
    pub arm: Option<String>,
    /// Where all randomness comes from: short for `--set seed=N`
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where to compute: short for `--set device=NAME`
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// End every stage after so many optimiser steps at the most: a quick try of a long recipe
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
}

impl Given {
    /// All changes to the recipe; the special options come last and win.
    pub fn sets(&self) -> Vec<String> {
        let mut sets = self.sets.clone();
        sets.extend(self.seed.map(|seed| format!("seed={seed}")));
        // a string of TOML's own, whatever the user typed
        sets.extend(self.device.as_ref().map(|device| format!("device={device:?}")));
        sets
    }

    /// Reads and resolves the recipe.
    pub fn resolve(&self) -> Outcome<Resolved> {
        let recipe = read(&self.recipe)?;
        let catalogue = regimen_papers::registry().catalogue();
        let mut sets = self.sets();
        let resolved = recipe.resolve(&catalogue, &Choice { arm: self.arm.as_deref(), sets: &sets })?;
        let Some(most) = self.max_steps else { return Ok(resolved) };
        sets.extend(shortened(&resolved, most));
        Ok(recipe.resolve(&catalogue, &Choice { arm: self.arm.as_deref(), sets: &sets })?)
    }

    /// The seeds to run one after the other; empty where one was chosen, or the recipe asks for none.
    pub fn seeds<'a>(&self, resolved: &'a Resolved) -> &'a [u64] {
        let chosen = self.sets().iter().any(|set| set.trim_start().starts_with("seed="));
        if chosen { &[] } else { resolved.seeds() }
    }

    /// The same with one of several seeds.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self.clone() }
    }

    /// What a run of it is called when nobody says.
    pub fn run_name(&self, resolved: &Resolved) -> String {
        let file = Path::new(&self.recipe)
            .file_stem()
            .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let name = resolved.root().opt_str("name").unwrap_or(&file).to_owned();
        match resolved.arm() {
            Some(arm) => format!("{name}-{arm}"),
            None => name,
        }
    }
}

/// The changes that end every longer stage after `most` steps.
fn shortened(resolved: &Resolved, most: u64) -> Vec<String> {
    let trained = resolved.stages().iter().filter(|stage| stage.kind() == "train");
    let longer = trained.filter(|stage| !matches!(stage.length("length"), Length::Steps(n) if n <= most));
    longer.map(|stage| format!("stage.{}.length={most}st", stage.str("id"))).collect()
}

/// Reads a recipe and what it builds on.
pub fn read(name: &str) -> Outcome<Recipe> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(Recipe::read(name, &from_disk)?);
    }
    let own = format!("{name}.toml");
    if embedded(&own).is_some() {
        return Ok(Recipe::read(&own, &|path| embedded(path).ok_or_else(|| no_recipe(path)))?);
    }
    if let Some(paper) = Paper::find(name) {
        let own = format!("{}/recipe.toml", paper.folder);
        let text = |path: &str| {
            if path == own { Some(paper.recipe.to_owned()) } else { embedded(path) }
        };
        return Ok(Recipe::read(&own, &|path| text(path).ok_or_else(|| no_recipe(path)))?);
    }
    let inside = path.join("recipe.toml");
    if inside.is_file() {
        return Ok(Recipe::read(&inside.to_string_lossy(), &from_disk)?);
    }
    Err(no_recipe(name).into())
}

/// The names of the recipes in the program; bases are not run by themselves.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().filter_map(|(path, _)| path.strip_suffix(".toml")).filter(|name| !name.contains('/'))
}

fn embedded(path: &str) -> Option<String> {
    EMBEDDED.iter().find(|(own, _)| *own == path).map(|(_, text)| (*text).to_owned())
}

/// A file; or, for bases named in it, what the program carries.
fn from_disk(path: &str) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::usage(format!("{path} is not UTF-8 text: byte {at} is invalid"))
                .remedy("check that it is a recipe, and save it as UTF-8")
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => embedded(path).ok_or_else(|| no_recipe(path)),
        Err(e) => Err(Error::usage(format!("cannot read {path}: {e}"))),
    }
}

fn no_recipe(name: &str) -> Error {
    let known: Vec<&str> = names().collect();
    let missing = Error::new(Exit::Usage, format!("there is no recipe `{name}`"));
    let list = format!(
        "recipes in the program: {}; papers: `regimen papers`; or give the path of a file",
        known.join(", ")
    );
    match nearest(name, &known) {
        Some(near) => missing.remedy(format!("did you mean `{near}`? {list}")),
        None => missing.remedy(list),
    }
}

/// The name that a slip of the finger may have meant.
pub fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let scored = names.iter().map(|&name| (strsim::damerau_levenshtein(typed, name), name));
    let allowed = (typed.chars().count() / 3).max(1);
    scored.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quickstart_is_in_the_program() {
        assert!(names().any(|n| n == "quickstart"));
        assert!(read("quickstart").is_ok());
    }

    #[test]
    fn slips_are_understood() {
        assert_eq!(nearest("quikstart", &["text", "quickstart"]), Some("quickstart"));
        assert_eq!(nearest("qucikstart", &["quickstart"]), Some("quickstart"));
        assert_eq!(nearest("something", &["text", "quickstart"]), None);
    }

    #[test]
    fn options_become_settings() {
        let given = Given {
            sets: vec!["seed=1".to_owned()],
            seed: Some(7),
            device: Some("cpu".to_owned()),
            ..Given::default()
        };
        assert_eq!(given.sets(), ["seed=1", "seed=7", "device=\"cpu\""]);
    }
}
