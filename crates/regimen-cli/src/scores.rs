//! What an evaluation found, as text.

use regimen_core::evaluate::{SetResult, Tally};
use regimen_core::regimen::read_results;
use regimen_core::run::RunDir;
use regimen_stats::wilson;

use regimen_base::Result;

use crate::table::Table;

/// `87.5 % [81.2, 91.9]`: the share and its 95 % Wilson interval.
pub fn share(tally: &Tally) -> String {
    let interval = wilson(tally.score, tally.n);
    format!("{:.1} % [{:.1}, {:.1}]", 100.0 * tally.mean(), 100.0 * interval.lo, 100.0 * interval.hi)
}

/// One short line for a set.
pub fn brief(result: &SetResult) -> String {
    match (result.shares(), result.bits_per_byte, result.loss) {
        (Some(tally), ..) => format!("{} {}", result.name, share(&tally)),
        (None, Some(bits), _) => format!("{} {bits:.3} bits/byte", result.name),
        (None, None, Some(loss)) => format!("{} loss {loss:.3}", result.name),
        (None, None, None) => format!("{} has no items", result.name),
    }
}

/// Everything about each set, one row a set.
pub fn full(results: &[SetResult]) -> String {
    let mut table = Table::new(&[
        "set",
        ">items",
        ">right",
        ">95 % interval",
        ">answered",
        ">cut off",
        ">loss",
        ">bits/byte",
        ">gain",
    ]);
    for result in results {
        let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
        let tally = result.shares();
        let mut cells = vec![result.name.clone(), tally.map_or_else(|| "-".to_owned(), |t| t.n.to_string())];
        cells.extend(tally_cells(tally.as_ref()));
        cells.extend([number(result.loss), number(result.bits_per_byte), number(result.gain)]);
        table.row(cells);
    }
    table.without_blanks().render()
}

/// The same by difficulty, for the sets that have levels.
pub fn by_difficulty(results: &[SetResult]) -> String {
    let mut table =
        Table::new(&["set", ">level", ">items", ">right", ">95 % interval", ">answered", ">cut off"]);
    for result in results {
        for (level, tally) in &result.by_difficulty {
            let mut cells = vec![result.name.clone(), level.to_string(), tally.n.to_string()];
            cells.extend(tally_cells(Some(tally)));
            table.row(cells);
        }
    }
    if table.is_empty() { "no set has levels of difficulty\n".to_owned() } else { table.render() }
}

fn tally_cells(tally: Option<&Tally>) -> [String; 4] {
    let Some(tally) = tally else { return std::array::from_fn(|_| "-".to_owned()) };
    let interval = wilson(tally.score, tally.n);
    let part = |n: u64| format!("{:.1} %", 100.0 * n as f64 / tally.n.max(1) as f64);
    [
        format!("{:.1} %", 100.0 * tally.mean()),
        format!("[{:.1}, {:.1}]", 100.0 * interval.lo, 100.0 * interval.hi),
        part(tally.parsed),
        part(tally.truncated),
    ]
}

/// What each stage of a run achieved: one row a set, one column a stage, with a line above. `None` when nothing was
/// evaluated.
pub fn by_stage(run: &RunDir) -> Result<Option<String>> {
    let mut stages = Vec::new();
    for stage in run.stages()? {
        if let Some(results) = read_results(&stage)?.filter(|r| !r.is_empty()) {
            stages.push((format!("after {}", stage.id()), results));
        }
    }
    let any = |has: fn(&SetResult) -> bool| stages.iter().flat_map(|(_, sets)| sets).any(has);
    let title = if any(|set| set.replies.is_some()) {
        "right answers on held-out items, with 95 % Wilson intervals"
    } else if any(|set| set.preferred.is_some()) {
        "held-out preferences whose chosen reply is the likelier one, with 95 % Wilson intervals"
    } else {
        "on held-out items"
    };
    Ok(stage_table(&stages).map(|table| format!("{title}\n{table}")))
}

fn stage_table(stages: &[(String, Vec<SetResult>)]) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for set in stages.iter().flat_map(|(_, sets)| sets) {
        if !names.contains(&set.name.as_str()) {
            names.push(&set.name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let header: Vec<String> =
        std::iter::once("held-out".to_owned()).chain(stages.iter().map(|(s, _)| format!(">{s}"))).collect();
    let mut table = Table::new(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for name in names {
        let cell = |sets: &Vec<SetResult>| {
            let set = sets.iter().find(|s| s.name == name);
            set.map_or_else(|| "-".to_owned(), |s| brief(s).trim_start_matches(name).trim_start().to_owned())
        };
        table.row(std::iter::once(name.to_owned()).chain(stages.iter().map(|(_, sets)| cell(sets))));
    }
    Some(table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, right: f64, n: u64) -> SetResult {
        let tally = Tally { score: right, n, parsed: n, truncated: 0 };
        let by_difficulty = [(3, tally)].into();
        SetResult {
            name: name.to_owned(),
            replies: Some(tally),
            loss: Some(1.5),
            by_difficulty,
            ..SetResult::default()
        }
    }

    #[test]
    fn shares_come_with_their_interval() {
        assert_eq!(share(&Tally { score: 81.0, n: 263, parsed: 263, truncated: 0 }), "30.8 % [25.5, 36.6]");
    }

    #[test]
    fn stages_stand_side_by_side() {
        let text = SetResult { name: "text".to_owned(), bits_per_byte: Some(2.5), ..SetResult::default() };
        let stages = [
            ("after a".to_owned(), vec![set("arith", 0.0, 10)]),
            ("after b".to_owned(), vec![set("arith", 10.0, 10), text]),
        ];
        let table = stage_table(&stages).expect("two sets");
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("held-out") && lines[0].ends_with("after b"));
        assert!(
            lines[1].contains("0.0 % [0.0, 27.8]") && lines[1].ends_with("100.0 % [72.2, 100.0]"),
            "{table}"
        );
        assert!(lines[2].starts_with("text") && lines[2].ends_with(" -        2.500 bits/byte"), "{table}");
        assert_eq!(stage_table(&[]), None);
    }

    #[test]
    fn levels_have_rows_of_their_own() {
        assert!(by_difficulty(&[set("arith", 5.0, 10)]).contains("arith      3     10  50.0 %"));
        assert!(by_difficulty(&[]).starts_with("no set has levels"));
    }
}
