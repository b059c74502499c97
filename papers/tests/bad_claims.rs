//! Every way to write a claim wrongly, beside what it is told.

use std::fs;
use std::path::Path;

use regimen_papers::{Claims, registry};
use regimen_recipe::Recipe;

const RECIPE: &str = r#"
model = { kind = "decoder", width = 32, layers = 1, heads = 2 }
tokenizer = "char"

[[stage]]
id = "main"
length = "20st"
eval-every = 5
stream.worked = { data = "arith", transform = ["chat", "train-on-reply"], objective = "cross-entropy" }
eval.data = [{ kind = "arith", name = "test" }]

[[stage]]
id = "quiet"
length = "5st"
stream.worked = { data = "arith", transform = ["chat", "train-on-reply"], objective = "cross-entropy" }

[[arm]]
id = "method"

[[arm]]
id = "baseline"
set."stage.main.lr" = 1e-4
"#;

fn read(text: &str) -> Result<Claims, String> {
    let recipe = Recipe::read("recipe.toml", &|_| Ok(RECIPE.to_owned())).expect("a recipe");
    let claims = Claims::read("claim.toml", text, &recipe, &registry().catalogue());
    claims.map_err(|report| report.render(false))
}

#[test]
fn each_is_told_what_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_claims");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the folder is there")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
            name.strip_suffix(".toml").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10);
    for name in names {
        let text = fs::read_to_string(folder.join(format!("{name}.toml"))).expect("it is text");
        let told = read(&text).err().unwrap_or_else(|| panic!("{name} is a good claim"));
        insta::with_settings!({
            snapshot_path => "bad_claims", prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(name, told);
        });
    }
}

#[test]
fn a_good_claim_says_what_it_reads() {
    let text = r#"
title = "A paper"
kind = "method"
[metric]
right = "main/test/exact_match"
early = { of = "main/eval/test/exact_match", read = "mean", to = 10 }
learned = { of = "main/loss", read = "onset", falls-to = 1.5, hold = 2 }
[primary]
says = "it is better"
kind = "positive"
a = "method:right"
b = "max(baseline:right, 0.1)"
[[secondary]]
says = "it is better on the way, and cheaper"
kind = "all-of"
of = [
  { kind = "above", what = "method:early - baseline:early", threshold = 0.05 },
  { kind = "ratio", a = "baseline:ledger/flops", b = "method:main/ledger/flops" },
]
[[secondary]]
says = "it learns first"
kind = "onset-before"
early = "method:learned"
late = "baseline:learned"
"#;
    let claims = read(text).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(
        (claims.seeds.len(), claims.arms.as_slice()),
        (8, &["method".to_owned(), "baseline".to_owned()][..])
    );
    let words: Vec<String> = claims.all().map(|stated| stated.claim.words()).collect();
    assert!(
        words[0].starts_with("method:main/test/exact_match - max(baseline:main/test/exact_match, 0.1) > 0"),
        "{words:?}"
    );
    assert!(words[1].contains("mean of method:main/eval/test/exact_match in -inf..=10"), "{words:?}");
    assert!(words[2].contains("onset of method:main/loss ≤ 1.5 comes before"), "{words:?}");
    assert_eq!(
        claims.read_by_arm()["method"],
        ["main/test/exact_match", "main/eval/test/exact_match", "main/ledger/flops", "main/loss"]
    );
    let tuning = claims.with_seeds(&[100, 101]);
    assert!(tuning.all().all(|stated| stated.claim.seeds == [100, 101]));
}
