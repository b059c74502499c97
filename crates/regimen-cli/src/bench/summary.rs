//! Medians over the rounds, and ratios of medians.

use serde_json::{Value, json};

use super::engine::{OURS, engines};
use super::{Row, Size, Work};

/// What one engine did on one kind of work at one size.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    pub size: Size,
    pub work: Work,
    pub engine: &'static str,
    /// Tokens a second: the median, the lowest and the highest round.
    pub tok_s: [f64; 3],
    /// Milliseconds a training step.
    pub step_ms: Option<f64>,
    /// MiB at the peak.
    pub peak_mb: Option<f64>,
    /// Seconds from the start of the process to the end of the first step or batch.
    pub first_s: Option<f64>,
    /// The time of the step's matrix products at their own shapes ÷ the time of the step.
    pub of_products: Option<f64>,
    /// The time of the step's operations at the rate of a large product ÷ the time of the step.
    pub of_sgemm: Option<f64>,
    /// Of a pair: its tokens a second ÷ those of one training on all threads.
    pub of_one: Option<f64>,
    /// Losses of steps 0 and 10.
    pub losses: [Option<f64>; 2],
    /// Beside a peer: our tokens a second, peak and start ÷ its own.
    pub ratios: Option<[Option<f64>; 3]>,
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The median of one number of some rows.
pub fn middle(rows: &[&Row], number: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(|row| number(row)).collect();
    (!values.is_empty()).then(|| median(&values))
}

/// Everyone who was measured, by size and work; we come first.
pub fn summarise(rows: &[Row], sizes: &[Size]) -> Vec<Summary> {
    let mut all = Vec::new();
    for &size in sizes {
        let of = |work: Work, engine: &str| -> Vec<&Row> {
            rows.iter().filter(|row| row.is(work, size.name(), engine)).collect()
        };
        let limits = of(Work::Limit, OURS);
        let train = median(&of(Work::Train, OURS).iter().filter_map(|row| row.speed()).collect::<Vec<_>>());
        for work in Work::ALL.into_iter().filter(|work| *work != Work::Limit) {
            let mut ours: Option<Summary> = None;
            for engine in engines(work) {
                let rows = of(work, engine);
                let Some(mut one) = summary(size, work, engine, &rows, &limits) else { continue };
                one.of_one = (work == Work::Pair).then(|| one.tok_s[0] / train);
                one.ratios = ours.as_ref().filter(|_| engine != OURS).map(|ours| ratios(ours, &one));
                if engine == OURS {
                    ours = Some(one.clone());
                }
                all.push(one);
            }
        }
    }
    all
}

fn summary(size: Size, work: Work, engine: &'static str, rows: &[&Row], limits: &[&Row]) -> Option<Summary> {
    let speeds: Vec<f64> = rows.iter().filter_map(|row| row.speed()).collect();
    let most = speeds.iter().copied().fold(f64::NAN, f64::max);
    let least = speeds.iter().copied().fold(f64::NAN, f64::min);
    let step_ms = middle(rows, |row| row.number("step_ms"));
    let share = |name: &'static str| {
        let known = step_ms.filter(|_| work == Work::Train)?;
        Some(middle(limits, |row| row.number(name))? / known)
    };
    (!speeds.is_empty()).then(|| Summary {
        size,
        work,
        engine,
        tok_s: [median(&speeds), least, most],
        step_ms,
        peak_mb: middle(rows, |row| row.number("rss_mb")),
        first_s: middle(rows, Row::first),
        of_products: share("products_ms"),
        of_sgemm: share("sgemm_ms"),
        of_one: None,
        losses: [0, 10].map(|step| middle(rows, |row| row.loss(step))),
        ratios: None,
    })
}

fn ratios(ours: &Summary, peer: &Summary) -> [Option<f64>; 3] {
    let ratio = |ours: Option<f64>, peer: Option<f64>| Some(ours? / peer?);
    [
        Some(ours.tok_s[0] / peer.tok_s[0]),
        ratio(ours.peak_mb, peer.peak_mb),
        ratio(ours.first_s, peer.first_s),
    ]
}

impl Summary {
    /// The same as JSON.
    pub fn as_json(&self) -> Value {
        let [speed, memory, start] = self.ratios.unwrap_or_default();
        json!({
            "size": self.size.name(),
            "bench": self.work.name(),
            "engine": self.engine,
            "tok_s": self.tok_s[0],
            "tok_s_range": [self.tok_s[1], self.tok_s[2]],
            "step_ms": self.step_ms,
            "rss_mb": self.peak_mb,
            "first_s": self.first_s,
            "of_products": self.of_products,
            "of_sgemm": self.of_sgemm,
            "of_one": self.of_one,
            "loss": { "0": self.losses[0], "10": self.losses[1] },
            "ours_over_it": { "tok_s": speed, "rss_mb": memory, "first_s": start },
        })
    }
}

/// Where our losses are not those that are known, one line each.
pub fn wrong_losses(rows: &[Row], sizes: &[Size]) -> Vec<String> {
    let mut wrong = Vec::new();
    for &size in sizes {
        for row in rows.iter().filter(|row| row.is(Work::Train, size.name(), OURS)) {
            for &(step, known) in size.losses() {
                if let Some(loss) = row.loss(step).filter(|loss| (loss - known).abs() > TOLERANCE) {
                    wrong.push(format!(
                        "size {}, step {step}: the loss is {loss:.6}, not {known:.6}",
                        size.name()
                    ));
                }
            }
        }
    }
    wrong
}

/// How far a loss may be off for another order of summation.
const TOLERANCE: f64 = 2e-5;

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two rounds of us and of one peer, and the limit.
    pub fn rows() -> Vec<Row> {
        let train = |peer: &str, tok_s: f64, rss: f64, loss: f64| {
            Row(
                json!({ "bench": "train", "peer": peer, "size": "xs", "tok_s": tok_s, "step_ms": 2_048_000.0 / tok_s,
                "rss_mb": rss, "first_step_s": 0.05, "losses": [loss] }),
            )
        };
        vec![
            train(OURS, 150_000.0, 40.0, 4.172_252),
            train("torch-compile", 110_000.0, 800.0, 4.172_253),
            train(OURS, 170_000.0, 40.0, 4.172_252),
            train("torch-compile", 90_000.0, 800.0, 4.172_253),
            Row(
                json!({ "bench": "limit", "peer": OURS, "size": "xs", "products_ms": 6.4, "sgemm_ms": 3.2, "sgemm_gflop_s": 210.0 }),
            ),
        ]
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_of_medians() {
        let all = summarise(&rows(), &[Size::Xs]);
        assert_eq!(all.iter().map(|s| s.engine).collect::<Vec<_>>(), [OURS, "torch-compile"]);
        assert_eq!(all[0].tok_s, [160_000.0, 150_000.0, 170_000.0]);
        assert_eq!(all[0].ratios, None);
        assert_eq!(all[1].ratios, Some([Some(1.6), Some(0.05), Some(1.0)]));
        let share = all[0].of_products.expect("the limit was measured");
        assert!((share - 0.5).abs() < 0.01, "{share}");
    }

    #[test]
    fn a_wrong_loss_is_told() {
        let mut rows = rows();
        assert_eq!(wrong_losses(&rows, &[Size::Xs]), [""; 0]);
        rows[2].0["losses"] = json!([4.1723]);
        let wrong = wrong_losses(&rows, &[Size::Xs]);
        assert_eq!(wrong, ["size xs, step 0: the loss is 4.172300, not 4.172252"]);
    }
}
