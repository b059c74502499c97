//! `regimen plan RECIPE`.

use std::io::Write;

use regimen_nn::Device;
use regimen_recipe::{Resolved, Start};

use crate::failure::Outcome;
use crate::number;
use crate::out;
use crate::preflight::{self, Depth, Load};
use crate::recipes::Given;
use crate::table::Table;

#[derive(clap::Args)]
#[command(
    after_help = "Times are rough: they come from a short measurement of this machine. Ends with exit code 5 when a \
stage cannot fit into memory."
)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    /// Print only the resolved recipe, as TOML
    #[arg(long)]
    toml: bool,
}

impl Args {
    pub fn go(self) -> Outcome {
        let resolved = self.given.resolve()?;
        let mut out = out::open();
        if self.toml {
            out.write_all(resolved.to_toml().as_bytes())?;
            return Ok(out.flush()?);
        }
        let device = Device::by_name(resolved.root().str("device"))?;
        let loads = preflight::examine(&resolved, &regimen_kit::registry(), &device, Depth::Full)?.loads;
        write!(out, "{}\n{}\n", resolved.to_toml().trim_end(), graph(&resolved))?;
        write!(out, "\n{}", cost(&loads, preflight::flops_per_second()))?;
        let room = preflight::room();
        if let Some(line) = room_line(&loads, room) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(preflight::must_fit(&loads, room)?)
    }
}

/// Which stage starts from what, as text.
fn graph(resolved: &Resolved) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\nstages");
    for (i, plan) in resolved.plan().stages.iter().enumerate() {
        let from = |start: &Start| match start {
            Start::Model => "the model".to_owned(),
            Start::Stage(id) => format!("`{id}`"),
            Start::Folder(path) => path.clone(),
        };
        let verb = if plan.trains { "trains" } else { "evaluates" };
        let _ = write!(out, "\n  {}. {} {verb} from {}", i + 1, plan.id, from(&plan.from));
        for (name, start) in &plan.casts {
            let _ = write!(out, "\n       {name}: {}, frozen", from(start));
        }
        for (stream, stage, of) in &plan.uses {
            let _ = write!(out, "\n       {stream}: goes on with stream `{of}` of `{stage}`");
        }
        for (knob, controller) in &plan.writers {
            let _ = write!(out, "\n       {knob}: turned by `{controller}`");
        }
    }
    out
}

/// What every stage takes.
fn cost(loads: &[Load], speed: f64) -> String {
    let header =
        ["stage", ">parameters", ">steps", ">trained tokens", ">written tokens", ">work", ">memory", ">time"];
    let mut table = Table::new(&header);
    let (mut work, mut time) = (0.0, 0.0);
    for load in loads {
        let flops = preflight::flops(load);
        let seconds = preflight::seconds(load, speed);
        (work, time) = (work + flops.trained + flops.generated, time + seconds);
        table.row([
            load.stage.clone(),
            number::count(load.parameters() as f64),
            load.steps.to_string(),
            number::count(load.work.trained),
            if load.work.generated > 0.0 {
                format!("about {}", number::count(load.work.generated))
            } else {
                "-".to_owned()
            },
            number::flops(flops.trained + flops.generated),
            number::bytes(preflight::memory(load).total() as f64),
            number::seconds(seconds),
        ]);
    }
    let total = format!(
        "in all {}, about {}, at {}/s of matrix products here\n",
        number::flops(work),
        number::seconds(time),
        number::flops(speed)
    );
    table.render() + &total
}

fn room_line(loads: &[Load], room: preflight::Room) -> Option<String> {
    let need = loads.iter().map(|l| preflight::memory(l).total()).max()?;
    let (total, free) = (room.total?, room.free?);
    let line = format!(
        "memory: needs {} at its peak, {} of {} are free",
        number::bytes(need as f64),
        number::bytes(free as f64),
        number::bytes(total as f64)
    );
    Some(if need > free { format!("{line}: close other programs first") } else { line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Room;
    use crate::preflight::a_load as load;

    #[test]
    fn every_stage_has_its_cost() {
        let text = cost(&[load(), Load { stage: "b".to_owned(), ..load() }], 1e11);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[1].starts_with("a ") && lines[1].contains("400 k") && lines[1].contains(" 100 "),
            "{text}"
        );
        assert!(lines[3].ends_with("at 100 GFLOP/s of matrix products here"), "{text}");
    }

    #[test]
    fn a_full_machine_is_told() {
        let line = |free| room_line(&[load()], Room { total: Some(1 << 40), free: Some(free) });
        assert!(line(1 << 20).is_some_and(|l| l.ends_with("close other programs first")));
        assert!(line(1 << 39).is_some_and(|l| l.ends_with("are free")));
        assert_eq!(room_line(&[load()], Room { total: None, free: None }), None);
    }
}
