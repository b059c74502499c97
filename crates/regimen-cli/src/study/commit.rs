//! Whether what a result would be recorded of is committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regimen_base::{Error, Result};
use regimen_papers::Paper;

use super::{Study, sources};

/// The folder of a paper of the program, when the program is used inside its repository.
pub fn folder_of(paper: &Paper) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let folder = here.ancestors().map(|up| up.join("papers").join(paper.folder));
    folder.into_iter().find(|folder| folder.join("claim.toml").is_file())
}

/// The commit that holds recipe, claim and pieces as they are, and the folder to record into.
///
/// # Errors
/// When there is none, with what is missing.
pub fn committed(study: &Study) -> Result<(PathBuf, String)> {
    let Some(folder) = &study.folder else {
        return Err(Error::usage(format!("{} is not here to be recorded", study.name))
            .remedy("record inside of the repository that holds the papers"));
    };
    must_be_carried(study, folder)?;
    let changed = git(folder, &["status", "--porcelain", "--untracked-files=all", "--ignored", "--", "."])?;
    // the result itself is about to change, and words are not what a result rests on
    let loose: Vec<&str> = changed
        .lines()
        .filter_map(|line| line.get(3..))
        .filter(|path| !["result.json", "effects.svg"].iter().any(|made| path.ends_with(made)))
        .filter(|path| !path.to_lowercase().ends_with(".md"))
        .collect();
    if !loose.is_empty() {
        return Err(Error::usage(format!(
            "a claim is fixed before it is recorded, but {} is not committed",
            loose.join(", ")
        ))
        .remedy("commit recipe, claim and pieces, then record"));
    }
    let commit = git(folder, &["rev-parse", "HEAD"])?;
    Ok((folder.clone(), commit.trim().to_owned()))
}

/// A paper that the program carries must be the one in the folder.
fn must_be_carried(study: &Study, folder: &Path) -> Result<()> {
    let Some(paper) = Paper::find(&study.name).filter(|paper| paper.folder == study.name) else {
        return Ok(());
    };
    let same = |name: &str, text: &str| fs::read_to_string(folder.join(name)).is_ok_and(|now| now == text);
    let code = sources(folder)?;
    let carried = paper.sources.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    if same("recipe.toml", paper.recipe) && same("claim.toml", paper.claim) && code.into_iter().eq(carried) {
        return Ok(());
    }
    Err(Error::usage(format!("{} is not what this program was built with", folder.display()))
        .remedy("build the program again, then record"))
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    let output = output.map_err(|e| Error::failed(format!("cannot ask git: {e}")).remedy("install git"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it says nothing").trim_start_matches("fatal: ");
    Err(Error::usage(format!("git does not know {}: {said}", folder.display())).remedy(
        "a result is recorded beside a committed claim: put the folder into a git repository and commit it",
    ))
}
