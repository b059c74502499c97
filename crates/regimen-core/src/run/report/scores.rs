//! Accuracy on held-out items after each stage, with 95 % Wilson intervals.

use super::html::{each, escape, section as part};
use super::numbers::{count, percent};
use super::{Score, StageReport, TaskScores};

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

impl Score {
    /// The share of right answers; 0 when nothing was asked.
    pub fn share(self) -> f64 {
        if self.total == 0 { 0.0 } else { self.right as f64 / self.total as f64 }
    }

    /// The 95 % Wilson score interval (Wilson 1927, "Probable inference, the law of succession, and statistical
    /// inference"); all of [0, 1] when nothing was asked.
    pub fn interval(self) -> (f64, f64) {
        if self.total == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.total as f64, self.share());
        let centre = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
    }
}

pub(super) fn section(stages: &[StageReport], tasks: &[TaskScores]) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let measured = |i: usize| tasks.iter().any(|task| task.after.get(i).is_some_and(Option::is_some));
    let columns: Vec<usize> = (0..stages.len()).filter(|&i| measured(i)).collect();
    let head = each(&columns, |&i| format!("<th scope=\"col\">after {}</th>", escape(&stages[i].id)));
    let rows: String = tasks.iter().map(|task| row(stages, &columns, task)).collect();
    let table = format!(
        "<div class=\"scroll\"><table class=\"scores\" style=\"--columns:{}\">\n<thead><tr><th scope=\"col\">task</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        columns.len()
    );
    let lead = "Share of right answers on held-out items, in percent. Each bar runs from 0 to 100; the band is the 95 % \
                Wilson interval, the mark the share itself. <span class=\"up\">▲</span> or \
                <span class=\"down\">▼</span>: the interval lies wholly above or below that of the column before.";
    part("accuracy", "Accuracy", lead, &table)
}

fn row(stages: &[StageReport], columns: &[usize], task: &TaskScores) -> String {
    let mut before = None;
    let mut cells = String::new();
    for &column in columns {
        let score = task.after.get(column).copied().flatten();
        cells.push_str(&cell(&stages[column].id, score, before));
        before = score.or(before);
    }
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&task.task))
}

fn cell(stage: &str, score: Option<Score>, before: Option<Score>) -> String {
    let stage = escape(stage);
    let Some(score) = score else {
        return format!("<td data-after=\"{stage}\"><span class=\"none\">–</span></td>");
    };
    let (low, high) = score.interval();
    format!(
        "<td data-after=\"{stage}\"><div class=\"score\"><b>{}</b>{}<small>{}–{}</small></div>{}</td>",
        percent(score.share()),
        change(score, before),
        percent(low),
        percent(high),
        bar(score),
    )
}

/// Whether the interval left that of the stage before.
fn change(score: Score, before: Option<Score>) -> &'static str {
    let Some(before) = before.map(Score::interval) else { return "" };
    let (low, high) = score.interval();
    if low > before.1 {
        " <span class=\"up\" title=\"clearly above the column before\">▲</span>"
    } else if high < before.0 {
        " <span class=\"down\" title=\"clearly below the column before\">▼</span>"
    } else {
        ""
    }
}

fn bar(score: Score) -> String {
    let (low, high) = score.interval();
    format!(
        "<svg class=\"interval\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} of {}\">\
         <title>{} of {} right</title><rect class=\"track\" y=\"4\" width=\"100\" height=\"2\"/>\
         <rect class=\"band\" x=\"{:.2}\" y=\"2\" width=\"{:.2}\" height=\"6\"/>\
         <rect class=\"mark\" x=\"{:.2}\" y=\"0\" width=\"1.2\" height=\"10\"/></svg>",
        score.right,
        score.total,
        count(score.right),
        count(score.total),
        low * 100.0,
        (high - low) * 100.0,
        score.share() * 100.0 - 0.6,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of SciPy's `binomtest(…).proportion_ci(method="wilson")`.
    #[test]
    fn intervals_are_wilson_s() {
        let cases = [
            (0, 10, 0.0, 0.277_532_8),
            (5, 10, 0.236_593_1, 0.763_406_9),
            (181, 256, 0.648_547_9, 0.759_393_2),
        ];
        for (right, total, low, high) in cases {
            let (l, h) = Score { right, total }.interval();
            assert!((l - low).abs() < 1e-6 && (h - high).abs() < 1e-6, "{right}/{total}: {l} {h}");
        }
        assert_eq!(Score::default().interval(), (0.0, 1.0));
    }

    #[test]
    fn only_a_clear_change_is_marked() {
        let score = |right| Score { right, total: 200 };
        assert_eq!(change(score(110), Some(score(100))), "");
        assert!(change(score(150), Some(score(100))).contains('▲'));
        assert!(change(score(50), Some(score(100))).contains('▼'));
        assert_eq!(change(score(150), None), "");
    }

    #[test]
    fn a_stage_that_was_not_measured_is_a_dash_or_no_column() {
        let stages = ["a", "b", "c"].map(|id| StageReport { id: id.into(), ..StageReport::default() });
        let some = Some(Score { right: 1, total: 2 });
        let tasks = [
            TaskScores { task: "x".into(), after: vec![some, None, some] },
            TaskScores { task: "y".into(), after: vec![some] },
        ];
        let page = section(&stages, &tasks);
        assert!(page.contains("after c") && !page.contains("after b"));
        assert_eq!(page.matches("class=\"none\"").count(), 1);
    }
}
