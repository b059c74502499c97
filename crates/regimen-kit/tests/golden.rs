//! Golden curves: loss and gradient norm of small regimens, step by step. A change that should not alter numbers must
//! leave them alone; one that should says why and makes them again with `REGIMEN_BLESS=1 cargo test --test golden`.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use support::{SMALL, run};

const CASES: &[(&str, &[&str])] = &[
    ("small", &[]),
    ("layer-norm-gelu", &["model.norm=layer", "model.activation=gelu", "model.tied=false"]),
    ("qk-norm", &["model.qk-norm=true", "model.kv-heads=2"]),
    ("relu2-bias", &["model.activation=relu2", "model.attention-bias=true"]),
    (
        "sequence-ratio",
        &["stage.rl.stream.rl.objective.grpo.ratio=sequence", "stage.rl.stream.rl.rollout.inner-steps=3"],
    ),
    (
        "per-token-no-std",
        &["stage.rl.stream.rl.objective.grpo.reduce=per-token", "stage.rl.stream.rl.advantage.std=false"],
    ),
    (
        "wsd-decay",
        &[
            "stage.pretrain.schedule={ kind = \"wsd\", warmup = 2 }",
            "stage.pretrain.optimizer.weight-decay=0.1",
        ],
    ),
    ("accumulated", &["stage.pretrain.micro-batch-tokens=40", "stage.rl.micro-batch-tokens=40"]),
];

#[test]
fn curves_are_what_they_were() {
    let tmp = tempfile::tempdir().expect("a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for (name, sets) in CASES {
        let looker = run(SMALL, sets, &tmp.path().join(name).join("run"));
        let mut curve = String::new();
        for (stage, step, r) in &looker.readings {
            writeln!(curve, "{stage} {step} {:.9e} {:.9e}", r["loss"], r["grad_norm"])
                .expect("into a string");
        }
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("REGIMEN_BLESS").is_some() {
            fs::write(&file, &curve).expect("written");
            continue;
        }
        let golden = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(golden.lines().count(), curve.lines().count(), "{name}: other steps");
        wrong.extend(
            golden
                .lines()
                .zip(curve.lines())
                .filter(|(g, c)| !near(g, c))
                .map(|(g, c)| format!("{name}: {g} is now {c}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Equal up to the last digits, which another libm may round differently.
fn near(golden: &str, now: &str) -> bool {
    golden.split(' ').zip(now.split(' ')).all(|(g, n)| match (g.parse::<f64>(), n.parse::<f64>()) {
        (Ok(g), Ok(n)) => (g - n).abs() <= 2e-5 * g.abs().max(1e-3),
        _ => g == n,
    })
}
