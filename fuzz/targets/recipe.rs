//! Any text as a recipe: read, checked and resolved. What resolves prints itself as a recipe that resolves to the same.
#![no_main]

#[path = "../../crates/regimen-recipe/tests/suite/fake.rs"]
#[allow(dead_code)]
mod fake;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arm = fake::read(&[("recipe.toml", text)]).ok().and_then(|recipe| {
        let _ = recipe.check(&fake::catalogue(), &[]).map_err(|report| report.render(true));
        recipe.arms().first().cloned()
    });
    for arm in [None, arm.as_deref()] {
        if let Ok(first) = fake::resolve(text, arm, &[]) {
            let again = fake::resolve(&first.to_toml(), None, &[]).expect("what was resolved is a recipe");
            assert_eq!(first.root().to_json(), again.root().to_json());
        }
    }
});
