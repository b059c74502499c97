//! Good recipes: values, origins, merging, arms, the way back to TOML.

use crate::fake::{GOOD, catalogue, read, resolve};
use regimen_base::{Exit, Length};
use regimen_recipe::{Catalogue, Choice, Field, KindSpec, Node, Resolved, Room, Start, Ty};

fn good() -> Resolved {
    resolve(GOOD, None, &[]).unwrap_or_else(|report| panic!("{report}"))
}

fn stage<'a>(resolved: &'a Resolved, id: &str) -> &'a Node {
    resolved.stages().iter().find(|s| s.str("id") == id).expect("the recipe has it")
}

fn stream<'a>(stage: &'a Node, name: &str) -> &'a Node {
    stage.map("stream").into_iter().find(|(n, _)| *n == name).expect("the stage has it").1
}

#[test]
fn the_tables_are_sound() {
    assert_eq!(catalogue().verify(), [""; 0]);
}

#[test]
fn faults_of_the_tables_are_found() {
    static BAD: &[KindSpec] = &[
        KindSpec::new(
            Room::Reward,
            "Loud",
            "",
            &[
                Field::new("clip", Ty::Float, "x").or("2.0").max(1.0),
                Field::new("bound", Ty::Count, "x").or("-1").aliases(&["clip"]),
                Field::new("kind", Ty::Str, "").or("[1"),
            ],
        )
        .example("{ kind = \"Loud\", clp = 1 }")
        .stage_defaults(&[("learning", "1")]),
        KindSpec::new(Room::Sampler, "a", "x", &[]).standard(),
        KindSpec::new(Room::Sampler, "b", "x", &[]).standard().example("a"),
        KindSpec::new(Room::Sampler, "b", "x", &[]),
    ];
    insta::assert_snapshot!(Catalogue::new(&[BAD]).verify().join("\n"));
}

#[test]
fn values_are_typed_and_defaults_filled_in() {
    let r = good();
    assert_eq!(r.root().str("name"), "two stages");
    assert_eq!(r.root().u64("seed"), 3);
    assert_eq!(r.root().opt_str("about"), None);
    assert_eq!(r.root().str("device"), "cpu");
    let model = r.root().table("model");
    assert_eq!((model.kind(), model.room(), model.usize("layers")), ("decoder", Some(Room::Arch), 4));
    assert!(model.bool("tied"));
    let warmup = stage(&r, "warmup");
    assert_eq!(warmup.length("length"), Length::Steps(60));
    assert_eq!(warmup.length("log-every"), Length::Steps(1));
    assert_eq!(warmup.opt_length("eval-every"), None);
    assert_eq!(warmup.f64("lr"), 3e-4);
    assert_eq!(warmup.table("schedule").get("warmup").as_length(), Some(Length::Steps(6)));
    assert_eq!(warmup.table("optimizer").f64s("betas"), [0.9, 0.95]);
    let sft = stream(warmup, "sft");
    assert_eq!(sft.table("sampler").kind(), "shuffle");
    assert_eq!(sft.list("transform").iter().map(Node::kind).collect::<Vec<_>>(), ["chat", "train-on-reply"]);
    assert_eq!(sft.list("objective")[0].table("reduce").f64("constant"), 1024.0);
    assert_eq!(sft.list("data")[1].range("digits"), (1, 2));
    let rl = stream(stage(&r, "main"), "rl");
    assert_eq!(rl.table("rollout").u64("size"), 4);
    assert_eq!(rl.list("objective")[1].str("to"), "reference");
    assert_eq!(rl.list("objective")[0].str("reduce"), "per-unit");
    assert_eq!(rl.list("reward")[1].json("spec").to_string(), r#"{"a":[1,2.5],"b":"x"}"#);
    assert!(rl.opt_table("sampler").is_some() && rl.list("data").is_empty());
}

#[test]
fn a_name_stands_for_its_data_set() {
    let r = good();
    let data = &stream(stage(&r, "warmup"), "sft").list("data")[0];
    assert_eq!(
        (data.kind(), data.str("name"), data.u64("people"), data.u64("take")),
        ("knights-knaves", "people", 3, 500)
    );
    assert_eq!(stream(stage(&r, "main"), "rl").table("env").table("of").u64("people"), 3);
    assert_eq!(stage(&r, "main").table("eval").list("data")[0].u64("people"), 3);
}

#[test]
fn a_stream_goes_on_with_an_earlier_one() {
    let r = good();
    let sft = stream(stage(&r, "main"), "sft");
    assert_eq!((sft.str("use"), sft.f64("weight"), sft.list("transform").len()), ("warmup.sft", 0.5, 2));
    assert_eq!(r.plan().stages[1].uses, [("sft".to_owned(), "warmup".to_owned(), "sft".to_owned())]);
}

#[test]
fn the_one_data_set_of_a_short_recipe_is_taken() {
    let text = "model = { from = './m' }\n[data]\nkind = 'lines'\npath = 'a.txt'\n[[stage]]\nid = 'lm'\nlength = '1ep'\n\
                stream.lm = { objective = 'cross-entropy' }\neval.data = 'data'";
    let r = resolve(text, None, &["data.path=some where/2024.txt", "data.column=7"]).unwrap();
    let data = &stream(stage(&r, "lm"), "lm").list("data")[0];
    assert_eq!((data.str("path"), data.str("column")), ("some where/2024.txt", "7"));
    assert_eq!(data.get("path").origin(), "--set");
    assert_eq!(stage(&r, "lm").table("eval").list("data")[0].str("path"), "some where/2024.txt");
    assert_eq!(r.plan().stages[0].from, Start::Model);
}

#[test]
fn every_value_knows_where_it_comes_from() {
    let r = resolve(GOOD, Some("rl-only"), &["stage.warmup.stream.sft.data.1.digits=[3, 4]"]).unwrap();
    let warmup = stage(&r, "warmup");
    assert_eq!(warmup.get("lr").origin(), "recipe.toml:14");
    assert_eq!(warmup.get("batch").origin(), "default");
    assert_eq!(warmup.path(), "stage.warmup");
    let arith = &stream(warmup, "sft").list("data")[1];
    assert_eq!((arith.range("digits"), arith.get("digits").origin().as_str()), ((3, 4), "--set"));
    assert_eq!(arith.path(), "stage.warmup.stream.sft.data.arith");
    let main = stage(&r, "main");
    assert_eq!((main.f64("lr"), main.get("lr").origin().as_str()), (5e-5, "arm rl-only, recipe.toml:54"));
    let error = arith.error("the file is empty");
    assert_eq!((error.to_string().as_str(), error.exit), ("recipe.toml:17: the file is empty", Exit::Usage));
    assert_eq!(stage(&good(), "main").get("lr").origin(), "default");
}

#[test]
fn the_first_objective_gives_its_stage_defaults() {
    let text = "model = { from = './m' }\n[[stage]]\nid = 'rl'\nlength = '9st'\n\
                stream.rl = { data = 'arith', rollout = 'group', objective = ['grpo'] }";
    let r = resolve(text, None, &[]).unwrap();
    let lr = stage(&r, "rl").get("lr");
    assert_eq!(
        (lr.as_f64(), lr.origin().as_str(), lr.given()),
        (Some(1e-6), "default of objective.grpo", false)
    );
    let r = resolve(text, None, &["stage.rl.learning_rate=2e-6"]).unwrap();
    assert_eq!(stage(&r, "rl").f64("lr"), 2e-6);
}

#[test]
fn arms_set_and_drop() {
    let recipe = read(&[("recipe.toml", GOOD)]).unwrap();
    assert_eq!(recipe.arms(), ["full", "rl-only"]);
    recipe.check(&catalogue(), &[]).unwrap();
    let r = resolve(GOOD, Some("rl-only"), &[]).unwrap();
    assert_eq!(r.arm(), Some("rl-only"));
    let main = stage(&r, "main");
    assert_eq!(stream(main, "rl").list("objective").len(), 1);
    let controllers = main.map("controller");
    assert_eq!(controllers.len(), 1);
    assert_eq!((controllers[0].1.kind(), controllers[0].1.str("to")), ("fixed-route", "rl"));
}

#[test]
fn later_wins() {
    let base = "seed = 1\nname = 'base'\nmodel = { kind = 'decoder', dim = 64, layers = 2 }\n[[stage]]\nid = 'a'\nlength = '1st'\n\
                learning_rate = 1e-3\nstream.lm = { data = 'arith', objective = 'cross-entropy', sampler = { kind = 'mix', weights = { x = 1 } } }";
    let mid = "base = 'b'\nseed = 2\n[model]\nnum_hidden_layers = 3";
    let top = "extends = 'lib/mid.toml'\nabout = 'top'\n[[stage]]\nid = 'a'\nlr = 2e-3\nstream.lm = { sampler = 'shuffle' }\n\
               [[stage]]\nid = 'b'\nlength = '2st'\nstream.lm = { use = 'a.lm' }\n\
               [[arm]]\nid = 'x'\nset.\"stage.a.lr\" = 3e-3\nset.seed = 5";
    let files = [("top.toml", top), ("lib/mid.toml", mid), ("lib/b.toml", base)];
    let recipe = read(&files).unwrap();
    let get = |arm: Option<&str>, sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let r = recipe.resolve(&catalogue(), &Choice { arm, sets: &sets }).unwrap_or_else(|e| panic!("{e}"));
        (r.stages()[0].f64("lr"), r.root().u64("seed"), r)
    };
    let (lr, seed, r) = get(None, &[]);
    assert_eq!((lr, seed), (2e-3, 2));
    assert_eq!((r.root().str("name"), r.root().str("about")), ("base", "top"));
    assert_eq!(r.root().table("model").u64("layers"), 3);
    assert_eq!(r.root().get("name").origin(), "lib/b.toml:2");
    assert_eq!(stream(&r.stages()[0], "lm").table("sampler").kind(), "shuffle");
    assert_eq!(r.plan().stages.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(r.plan().stages[1].from, Start::Stage("a".to_owned()));
    let (lr, seed, _) = get(Some("x"), &["seed=7", "seed=8"]);
    assert_eq!((lr, seed), (3e-3, 8));
    let (.., r) = get(None, &["model.from=runs/x/checkpoint"]);
    assert_eq!(
        (r.root().table("model").kind(), r.root().table("model").str("from")),
        ("", "runs/x/checkpoint")
    );
}

#[test]
fn a_circle_of_bases_is_refused() {
    let report = read(&[("a.toml", "base = 'b'"), ("b.toml", "base = 'a'")]).unwrap_err();
    assert_eq!(report.messages(), ["the recipe builds on itself"]);
    assert!(report.render(false).contains("a.toml → b.toml → a.toml"), "{report}");
}

#[test]
fn the_plan_ties_stages_together() {
    let r = good();
    let plan = r.plan();
    assert_eq!(plan.stages[0].from, Start::Model);
    let main = &plan.stages[1];
    assert_eq!(main.from, Start::Stage("warmup".to_owned()));
    assert_eq!(main.casts, [("reference".to_owned(), Start::Stage("warmup".to_owned()))]);
    assert_eq!(main.knobs["stream.rl.objective.kl.coef"], 0.02);
    assert_eq!(main.knobs["lr"], 1e-3);
    assert_eq!(main.writers["stream.sft.weight"], "controller.router");
    assert_eq!(main.writers["stream.rl.objective.kl.coef"], "controller.less-kl");
    assert!(!plan.stages[2].trains);
}

#[test]
fn the_way_to_toml_and_back() {
    for arm in [None, Some("full"), Some("rl-only")] {
        let first =
            resolve(GOOD, arm, &["stage.warmup.log-every=5", "about=it's \"quoted\" # no comment"]).unwrap();
        let text = first.to_toml();
        let second = resolve(&text, None, &[]).unwrap_or_else(|report| panic!("{report}\n{text}"));
        assert_eq!(first.root().to_json(), second.root().to_json(), "{text}");
        assert_eq!(first.plan(), second.plan());
    }
    insta::assert_snapshot!(resolve(GOOD, None, &["seed=9"]).unwrap().to_toml());
}

#[test]
fn what_nobody_reads_is_told() {
    let r = good();
    assert!(r.unread().iter().any(|u| u.path == "stage" && u.given));
    for stage in r.stages() {
        stage.mark_all_read();
    }
    let paths: Vec<String> = r.unread().into_iter().filter(|u| u.given).map(|u| u.path).collect();
    assert_eq!(paths, ["name", "seed", "model", "tokenizer"]);
    assert_eq!(r.report_unread().unwrap().len(), 4);
    let _ = (r.root().str("name"), r.root().u64("seed"), r.root().table("tokenizer").kind());
    let model = r.root().table("model").clone();
    let _ = (model.kind(), model.u64("layers"), model.u64("dim"));
    assert!(r.report_unread().is_none());
    assert!(r.unread().iter().any(|u| u.path == "model.tied" && !u.given));
}

#[test]
#[should_panic(expected = "the code reads `klip` of objective.grpo")]
fn reading_what_no_spec_declares_is_a_fault_of_the_program() {
    let r = good();
    let _ = stream(stage(&r, "main"), "rl").list("objective")[0].f64("klip");
}

#[test]
fn nodes_can_cross_threads() {
    fn sendable<T: Send + Sync>(_: &T) {}
    sendable(&good());
}

#[test]
fn a_report_becomes_an_error() {
    let report = resolve("sed = 1\nmodel = { from = './m' }\nstage = []", None, &[]).unwrap_err();
    assert!(report.render(true).contains("\u{1b}["));
    assert!(!report.render(false).contains('\u{1b}'));
    let error: regimen_base::Error = report.into();
    assert_eq!(error.exit, Exit::Usage);
    assert!(
        error.what.starts_with("recipe.toml:1: the recipe has no field `sed` (did you mean `seed`?)"),
        "{error}"
    );
}

#[test]
fn fields_without_a_kind_belong_to_the_standard_kind() {
    let r =
        resolve(GOOD, None, &["stage.warmup.optimizer.weight-decay=0.1", "stage.main.schedule={}"]).unwrap();
    let optimizer = stage(&r, "warmup").table("optimizer");
    assert_eq!((optimizer.kind(), optimizer.f64("weight-decay")), ("adamw", 0.1));
    assert_eq!(stage(&r, "main").table("schedule").kind(), "constant");
}

#[test]
fn nothing_in_a_recipe_acts_on_the_terminal() {
    let report =
        resolve("na\u{1b}[2Jme = 1\r\n'\u{1b}]0;x\u{7}' = 'x'\n", None, &["a\u{1b}c=1"]).unwrap_err();
    assert!(report.render(false).chars().all(|c| !c.is_control() || c == '\n'), "{:?}", report.render(false));
    let error: regimen_base::Error = report.into();
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
}

#[test]
fn sources_can_be_kept() {
    let r = resolve(GOOD, None, &["seed=4"]).unwrap();
    assert_eq!(r.sources(), [("recipe.toml", GOOD), ("--set", "seed=4")]);
}
