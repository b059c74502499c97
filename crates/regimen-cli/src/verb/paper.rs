//! `regimen paper PAPER`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use regimen_base::Error;
use regimen_papers::Standing;

use crate::failure::Outcome;
use crate::out;
use crate::study::{Study, page, told};

#[derive(clap::Args)]
pub struct Args {
    /// A paper (`p021`), or a folder with a recipe.toml and a claim.toml
    #[arg(value_name = "PAPER")]
    paper: String,
    /// Write the picture of the recorded effects to a file, as `verify --record` does into the paper's folder
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl Args {
    pub fn go(self) -> Outcome {
        let study = Study::open(&self.paper)?;
        if let Some(path) = &self.plot {
            return plot(&study, path);
        }
        let mut out = out::open();
        let claims = &study.claims;
        writeln!(out, "{}\n{} · {} · {}\n", claims.title, study.name, claims.kind, claims.source)?;
        if !study.readme.trim().is_empty() {
            writeln!(out, "{}\n", study.readme.trim())?;
        }
        writeln!(out, "arms: {}", claims.arms.join(", "))?;
        for line in &claims.scaled_down {
            writeln!(out, "scaled down: {line}")?;
        }
        writeln!(out, "\nverdict: {}", study.standing.words())?;
        match study.standing.record() {
            Some(record) => {
                writeln!(
                    out,
                    "recorded {} at commit {}, numerics {}",
                    record.date, record.commit, record.numerics
                )?;
                write!(out, "\n{}", told::full("primary", &record.primary.says, &record.primary.verdict))?;
                for other in &record.secondary {
                    write!(out, "\n{}", told::full("secondary", &other.says, &other.verdict))?;
                }
            }
            None => {
                for (i, stated) in claims.all().enumerate() {
                    let label = if i == 0 { "primary" } else { "secondary" };
                    writeln!(out, "\n{label}: {}\n  {}", stated.says, stated.claim.words())?;
                }
            }
        }
        if let Standing::Unreadable(why) = &study.standing {
            writeln!(out, "result.json cannot be read: {why}")?;
        }
        writeln!(out, "\nnext: regimen verify {}", self.paper)?;
        Ok(out.flush()?)
    }
}

fn plot(study: &Study, path: &Path) -> Outcome {
    let Some(record) = study.standing.record() else {
        let what = format!("{} has no recorded result to draw", study.name);
        return Err(Error::usage(what).remedy("run `regimen verify` with `--record` first").into());
    };
    let told = |e: std::io::Error| Error::failed(format!("cannot write {}: {e}", path.display()));
    Ok(fs::write(path, page::effects(record)).map_err(told)?)
}
