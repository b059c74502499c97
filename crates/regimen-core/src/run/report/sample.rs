//! A report such as a small run leaves, for tests and for looking at the page.

use super::*;
use regimen_base::Key;

fn text(text: &str) -> String {
    text.to_owned()
}

/// A noisy curve: from `start` towards `end` with time constant `rate`.
fn curve(name: &str, steps: u64, (start, end, rate, noise): (f64, f64, f64, f64)) -> Curve {
    let point = |step: u64| {
        let draw = Key::new(5).child(name).at(steps).at(step).rng().normal();
        let x = step as f64 / steps as f64;
        let value = end + (start - end) * (-x * rate).exp();
        (step as f64, (value + noise * draw * (0.3 + (-x * 2.0).exp())).max(0.0))
    };
    Curve { name: text(name), points: (1..=steps).map(point).collect() }
}

fn stage(id: &str, about: &str, from: &[&str], ledger: [f64; 6], curves: Vec<Curve>) -> StageReport {
    let [steps, tokens, written, flops, seconds, peak] = ledger;
    let ledger = LedgerRow {
        stage: text(id),
        steps: steps as u64,
        tokens: tokens as u64,
        generated_tokens: written as u64,
        flops,
        seconds,
        peak_bytes: peak as u64,
    };
    StageReport {
        id: text(id),
        about: text(about),
        from: from.iter().map(|f| text(f)).collect(),
        curves,
        ledger,
    }
}

fn stages() -> Vec<StageReport> {
    let language = |steps, loss| {
        vec![
            curve("loss", steps, loss),
            curve("mean_token_accuracy", steps, (0.1, 0.74, 4.0, 0.02)),
            curve("grad_norm", steps, (4.0, 0.7, 9.0, 0.2)),
            curve("perf/tokens_per_second", steps, (90_000.0, 97_000.0, 50.0, 2_000.0)),
        ]
    };
    let rl = vec![
        curve("reward", 120, (0.42, 0.78, 2.2, 0.06)),
        curve("entropy", 120, (0.42, 0.16, 2.5, 0.03)),
        curve("completions/mean_length", 120, (31.0, 38.5, 2.0, 1.4)),
        curve("frac_reward_zero_std", 120, (0.2, 0.45, 2.0, 0.08)),
        curve("kl", 120, (0.0, 0.061, 2.0, 0.004)),
        curve("perf/tokens_per_second", 120, (21_000.0, 24_300.0, 9.0, 700.0)),
    ];
    vec![
        stage(
            "pretrain",
            "text of four tasks",
            &[],
            [1500.0, 6.144e6, 0.0, 1.1e13, 63.4, 2.12e8],
            language(1500, (4.1, 0.96, 9.0, 0.08)),
        ),
        stage(
            "sft",
            "worked solutions, loss on the reply",
            &["pretrain"],
            [300.0, 1.23e6, 0.0, 2.2e12, 13.8, 2.14e8],
            language(300, (1.3, 0.31, 6.0, 0.04)),
        ),
        stage(
            "rl",
            "GRPO, groups of 8, verified",
            &["sft"],
            [120.0, 1.51e6, 1.18e6, 4.6e12, 71.0, 2.63e8],
            rl,
        ),
    ]
}

fn scores(task: &str, rights: [u64; 3]) -> TaskScores {
    TaskScores { task: text(task), after: rights.map(|right| Some(Score { right, total: 256 })).to_vec() }
}

fn transcript(task: &str, prompt: &str, answer: &str, replies: [(&str, bool); 3]) -> Transcript {
    let times = ["after pretrain", "after sft", "after rl"];
    let reply = |(when, (said, right)): (&str, (&str, bool))| Reply {
        when: text(when),
        text: text(said),
        right: Some(right),
        stop: (said.len() > 120).then(|| text("cut off at 64 tokens")),
    };
    let replies = times.into_iter().zip(replies).map(reply).collect();
    Transcript { task: text(task), prompt: text(prompt), answer: Some(text(answer)), replies }
}

/// The sample.
pub(crate) fn report() -> Report {
    let fact = |label: &str, value: &str| Fact { label: text(label), value: text(value) };
    Report {
        title: text("quickstart"),
        about: text("A small reasoner from nothing: pre-train, worked solutions, then reinforcement."),
        headline: text(
            "chain-arith rose from 11.3 % after pretrain to 48.8 % after sft and 71.5 % after rl, on 256 held-out items.",
        ),
        facts: vec![
            fact("Model", "311 k parameters, 4 layers"),
            fact("Seed", "0"),
            fact("Device", "cpu · avx512 · 2 threads"),
            fact("Started", "2026-11-23 07:30 UTC"),
            fact("Took", "2 min 31 s"),
            fact("Difference sampler – trainer", "0 at every step"),
        ],
        notes: vec![text(
            "rl: 46 % of the groups gave no signal in the last twentieth of the stage; harder or easier prompts would.",
        )],
        stages: stages(),
        tasks: vec![
            scores("arith", [181, 203, 231]),
            scores("chain-arith", [29, 125, 183]),
            scores("countdown", [14, 51, 66]),
            scores("knights-knaves", [70, 118, 112]),
        ],
        transcripts: vec![
            transcript(
                "chain-arith",
                "Start with 7. Add 12. Double it. Take away 9. What do you have?",
                "29",
                [
                    ("24", false),
                    ("7+12=19\n19*2=38\n38-9=31\nanswer: 31", false),
                    ("7+12=19\n19*2=38\n38-9=29\nanswer: 29", true),
                ],
            ),
            transcript(
                "countdown",
                "Use 3, 5, 8 and 25 to make 64.",
                "64",
                [
                    ("25+8+5+3=64", false),
                    (
                        "25+5=30\n30+8=38\n38*3=114\n114-50=64\n25+5=30\n30+8=38\n38*3=114\n25+5=30\n30+8=38\n38*3=114\n114-50=64\n25+5=30\n30+8",
                        false,
                    ),
                    ("8*5=40\n40+25=65\n65-3=62\nanswer: 8*5+25-3", false),
                ],
            ),
            transcript(
                "knights-knaves",
                "A says: \"B is a knave.\" B says: \"We are both knaves.\" Who is what?",
                "A knight, B knave",
                [
                    ("", false),
                    (
                        "if B is a knight then both are knaves: no\nB knave, so A knight\nanswer: A knight, B knave",
                        true,
                    ),
                    (
                        "if B is a knight then both are knaves: no\nB knave, so A knight\nanswer: A knight, B knave",
                        true,
                    ),
                ],
            ),
        ],
        recipe: text(concat!(
            "# quickstart: a small reasoner from nothing\nname = \"quickstart\"\nseed = 0  # default\n\n",
            "[model]\nkind = \"decoder\"\nd-model = 96\nlayers = 4\nheads = 4\n\n",
            "[[stage]]\nid = \"pretrain\"\nlength = \"1500st\"\n\n",
            "[stage.stream.lm]\ndata = { kind = \"mix\", of = [\"arith\", \"chain-arith\", \"countdown\", \"knights-knaves\"] }\n",
            "objective = [{ kind = \"cross-entropy\", reduce = \"per-token\" }]\n\n",
            "[[stage]]\nid = \"rl\"\nfrom = \"sft\"\nlength = \"120st\"  # recipe\n",
            "rollout = { kind = \"group\", size = 8, temperature = 1.0 }\n",
        )),
        version: text("0.1.0"),
    }
}
