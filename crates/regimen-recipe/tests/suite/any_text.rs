//! No text makes the recipe language panic.

use crate::fake::{GOOD, catalogue, read, resolve};
use proptest::prelude::*;
use regimen_recipe::Choice;

fn survives(text: &str, sets: &[&str]) -> Result<(), TestCaseError> {
    let arm = read(&[("recipe.toml", text)]).ok().and_then(|recipe| {
        let _ = recipe.check(&catalogue(), &[]).map_err(|report| report.render(true));
        recipe.arms().first().cloned()
    });
    for arm in [None, arm.as_deref()] {
        match resolve(text, arm, sets) {
            Err(report) => prop_assert!(!report.render(false).is_empty()),
            Ok(first) => {
                let again = resolve(&first.to_toml(), None, &[]).map_err(|report| {
                    TestCaseError::fail(format!(
                        "{}
{report}",
                        first.to_toml()
                    ))
                })?;
                prop_assert_eq!(first.root().to_json(), again.root().to_json());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in any::<String>(), set in any::<String>()) {
        survives(&text, &[&set])?;
    }

    #[test]
    fn a_good_recipe_with_something_else_in_it(
        at in 0..GOOD.len(),
        cut in 0..40usize,
        piece in prop::sample::select(vec![
            "", "[", "]", "{", "}", "=", ".", "\"", "'''", "#", "\n", "-1", "1e400", "[[stage]]\n", "é\u{202e}", "kind = \"kl\"",
            "[]", "stage", "use = \"main.rl\"", "nan", "1979-05-27", "\r\n", "a.b.c.d = 1\n", "base = 'x'\n",
        ]),
    ) {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + cut).min(GOOD.len()), piece);
        survives(&text, &[])?;
    }

    #[test]
    fn any_value_at_any_path(
        path in prop::sample::select(vec![
            "stage", "stage.main", "stage.main.stream", "stage.0.stream.rl", "stage.main.stream.rl.objective.kl", "model",
            "data", "data.people", "stage.main.stream.sft.use", "stage.main.cast.reference.from", "stage.main.controller.router",
            "seeds", "stage.main.eval", "stage.warmup.stream.sft.data.0.take", "stage.main.stream.rl.reward.format.spec",
        ]),
        value in prop_oneof![
            any::<String>(),
            prop::sample::select(vec![
                "1", "-3", "2.5", "inf", "true", "[]", "{}", "[[]]", "[{}]", "{ kind = \"grpo\" }", "[{ kind = \"arith\" }, 3]",
                "{ a.b.c = [1] }", "arith", "people", "warmup.sft", "9223372036854775807", "{ x = 1e300, y = \"\\u0000\" }",
            ]).prop_map(str::to_owned),
        ],
    ) {
        survives(GOOD, &[&format!("{path}={value}")])?;
    }
}

#[test]
fn depth_is_bounded() {
    let deep = format!("x = {}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(resolve(&deep, None, &[]).is_err());
    let dotted = format!("{}a = 1", "a.".repeat(5000));
    assert!(resolve(&dotted, None, &[]).is_err());
    let set = format!("{}a=1", "a.".repeat(50_000));
    assert!(resolve(GOOD, None, &[&set]).is_err());
}

#[test]
fn the_good_recipe_is_good() {
    assert!(catalogue().verify().is_empty());
    let recipe = read(&[("recipe.toml", GOOD)]).unwrap();
    assert!(recipe.resolve(&catalogue(), &Choice::default()).is_ok());
}
