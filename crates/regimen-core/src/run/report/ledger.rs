//! What every stage took.

use super::StageReport;
use super::html::{each, escape, section as part};
use super::numbers::{count, duration, si};
use crate::run::manifest::LedgerRow;

pub(super) fn section(stages: &[StageReport]) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let rows: String = stages.iter().map(|stage| row(&stage.id, &stage.ledger, "")).collect();
    let all: Vec<&LedgerRow> = stages.iter().map(|stage| &stage.ledger).collect();
    let total = if all.len() > 1 { row("all", &total(&all), " class=\"total\"") } else { String::new() };
    let head: String =
        ["stage", "steps", "tokens trained", "tokens written", "FLOPs", "time", "tokens/s", "peak memory"]
            .map(|name| format!("<th scope=\"col\">{name}</th>"))
            .concat();
    let table = format!(
        "<div class=\"scroll\"><table class=\"ledger\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}{total}</tbody>\n</table></div>\n"
    );
    let lead = "Tokens per second counts trained and written tokens over the whole time of the stage. Peak memory is the \
                process's, up to the end of the stage.";
    part("ledger", "Ledger", lead, &table)
}

fn total(rows: &[&LedgerRow]) -> LedgerRow {
    let mut sum = LedgerRow::default();
    for row in rows {
        sum.steps += row.steps;
        sum.tokens += row.tokens;
        sum.generated_tokens += row.generated_tokens;
        sum.flops += row.flops;
        sum.seconds += row.seconds;
        sum.peak_bytes = sum.peak_bytes.max(row.peak_bytes);
    }
    sum
}

fn row(name: &str, row: &LedgerRow, class: &str) -> String {
    let or_dash = |known: bool, text: String| if known { text } else { "–".to_owned() };
    let tokens = (row.tokens + row.generated_tokens) as f64;
    let cells = [
        count(row.steps),
        si(row.tokens as f64),
        or_dash(row.generated_tokens > 0, si(row.generated_tokens as f64)),
        or_dash(row.flops > 0.0, si(row.flops)),
        duration(row.seconds),
        or_dash(row.seconds > 0.0, si(tokens / row.seconds)),
        or_dash(row.peak_bytes > 0, format!("{}B", si(row.peak_bytes as f64))),
    ];
    let cells = each(cells, |text| format!("<td>{text}</td>"));
    format!("<tr{class}><th scope=\"row\">{}</th>{cells}</tr>\n", escape(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_the_peak_is_the_highest() {
        let a = LedgerRow { steps: 10, tokens: 100, seconds: 2.0, peak_bytes: 5, ..LedgerRow::default() };
        let b =
            LedgerRow { steps: 5, generated_tokens: 50, seconds: 1.0, peak_bytes: 3, ..LedgerRow::default() };
        let sum = total(&[&a, &b]);
        assert_eq!((sum.steps, sum.tokens, sum.generated_tokens, sum.peak_bytes), (15, 100, 50, 5));
        assert!((sum.seconds - 3.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let page = row("a", &LedgerRow::default(), "");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
