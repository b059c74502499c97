//! `regimen cache ls|gc`.

use std::io::Write;
use std::path::PathBuf;

use regimen_core::run::{Cache, Clock, Kept};

use crate::failure::Outcome;
use crate::number;
use crate::out::{self, tell};
use crate::table::Table;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// List the kept outputs of stages, the latest used first
    Ls(Place),
    /// Remove kept outputs; runs that have them keep their own copies
    Gc(Gc),
}

#[derive(clap::Args)]
struct Place {
    /// Where runs are kept; the cache is the folder `.cache` in it
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct Gc {
    #[command(flatten)]
    place: Place,
    /// Keep what was used within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7.0)]
    older: f64,
    /// Remove all of it
    #[arg(long, conflicts_with = "older")]
    all: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        match self.what {
            What::Ls(place) => list(&place.cache()),
            What::Gc(gc) => gc.go(),
        }
    }
}

impl Place {
    fn cache(&self) -> Cache {
        Cache::new(&self.out.join(".cache"))
    }
}

fn list(cache: &Cache) -> Outcome {
    let all = cache.list()?;
    if all.is_empty() {
        tell("nothing is kept; `regimen verify` keeps what arms have in common");
        return Ok(());
    }
    let mut table = Table::new(&["output", "stage", "made by", ">size", ">steps", ">took", "used"]);
    for kept in &all {
        table.row([
            kept.key.chars().take(12).collect(),
            kept.facts.stage.clone(),
            kept.facts.run.clone(),
            number::bytes(kept.bytes as f64),
            kept.facts.ledger.steps.to_string(),
            number::seconds(kept.facts.ledger.seconds),
            Clock::utc(kept.used),
        ]);
    }
    let bytes: u64 = all.iter().map(|kept| kept.bytes).sum();
    let mut out = out::open();
    writeln!(out, "{}{} in all", table.render(), number::bytes(bytes as f64))?;
    Ok(out.flush()?)
}

impl Gc {
    fn go(self) -> Outcome {
        let cache = self.place.cache();
        let oldest = Clock::unix() - self.older.max(0.0) * 86_400.0;
        let goes = |kept: &Kept| self.all || kept.used < oldest;
        let (mut count, mut bytes) = (0, 0);
        for kept in cache.list()?.iter().filter(|kept| goes(kept)) {
            cache.remove(&kept.key)?;
            count += 1;
            bytes += kept.bytes;
        }
        cache.tidy()?;
        let mut out = out::open();
        writeln!(out, "removed {}, {}", number::plural(count, "output"), number::bytes(bytes as f64))?;
        Ok(out.flush()?)
    }
}
