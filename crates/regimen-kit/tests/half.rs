//! Models whose matrices are held in 16 bits while adapters train beside them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use regimen_core::model::Model;
use regimen_core::run::{Checkpoint, RunDir};
use regimen_kernels::Team;
use regimen_nn::hf::Hold;
use regimen_nn::{Device, Half};
use support::{Looker, SMALL, exact_files, go, resolve, run};

/// Adapters by SFT, then by RL with the same ones, beside the model in `{from}`.
const RECIPE: &str = r#"
name = "half"
seed = 5
model = { from = "{from}" }
[[stage]]
id = "sft"
length = "4st"
batch = 4
lr = 1e-2
checkpoint-every = 2
lora = { r = 4, dropout = 0.1 }
eval = { data = [{ kind = "arith" }], n = 6, sampling = { kind = "group", size = 1, temperature = 0.0, max-new = 12 } }
[stage.stream.worked]
data = [{ kind = "arith", solution = "short", take = 10 }]
transform = ["chat", "train-on-reply"]
objective = ["cross-entropy"]
[[stage]]
id = "rl"
length = "3st"
batch = 3
lr = 1e-2
checkpoint-every = 2
lora = { r = 4 }
cast.reference = { from = "model" }
[stage.stream.rl]
data = [{ kind = "arith" }]
rollout = { kind = "group", size = 4, max-new = 16 }
reward = [{ kind = "verifier" }, { kind = "format", weight = 0.3 }]
advantage = "group-relative"
objective = [{ kind = "grpo", reduce = "per-unit" }, { kind = "kl", to = "reference", coef = 0.02 }]
"#;

const BF16: &str = "model.dtype=bf16";

/// A pretrained model, and the recipe that starts from it.
fn pretrained(folder: &Path) -> (PathBuf, String) {
    let path = folder.join("first");
    run(SMALL, &[], &path);
    let model = newest(&path, "pretrain").folder().to_owned();
    (model.clone(), recipe(&model))
}

fn recipe(model: &Path) -> String {
    RECIPE.replace("{from}", &model.display().to_string())
}

fn newest(run: &Path, stage: &str) -> Checkpoint {
    let stages = RunDir::view(run).expect("a run").stages().expect("stages");
    let stage = stages.into_iter().find(|s| s.id() == stage).expect("the stage");
    stage.newest().expect("readable").expect("a checkpoint")
}

fn read(checkpoint: &Checkpoint, hold: Hold) -> Model {
    Model::read(checkpoint, &Device::cpu(), hold).expect("a model")
}

/// Beside the same numbers in f32, adapters become the same to the last bit.
#[test]
fn sixteen_bits_train_as_their_numbers_in_f32() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (model, recipe_of_model) = pretrained(tmp.path());
    let first = Checkpoint::open(&model).expect("a checkpoint");
    let rounded = tmp.path().join("rounded");
    fs::create_dir_all(&rounded).expect("a folder");
    for (name, bytes) in read(&first, Hold::Half(Half::Bf16)).files() {
        fs::write(rounded.join(name), bytes).expect("written");
    }
    let (half, full) = (tmp.path().join("half"), tmp.path().join("full"));
    let looker = run(&recipe_of_model, &[BF16], &half);
    let other = run(&recipe(&rounded), &[], &full);
    assert_eq!(looker.losses(), other.losses());
    let (sft, rl) = (newest(&half, "sft"), newest(&half, "rl"));
    for (a, b) in [(&sft, newest(&full, "sft")), (&rl, newest(&full, "rl"))] {
        let name = "adapter_model.safetensors";
        assert!(a.read(name).expect("adapters") == b.read(name).expect("adapters"), "{}", a.stage());
        assert!(read(a, Hold::Full).net.params() == read(&b, Hold::Full).net.params(), "{}", a.stage());
    }
    let gaps = looker.readings.iter().filter_map(|(_, _, r)| r.get("sampling/sampling_logp_difference/max"));
    assert_eq!(gaps.collect::<Vec<_>>(), [&0.0; 3]);
    // what is frozen is saved as it is held; adapters that were merged leave a model in f32
    assert_eq!(read(&sft, Hold::AsStored).net.params().half(), Some(Half::Bf16));
    assert_eq!(read(&rl, Hold::AsStored).net.params().half(), None);
}

#[test]
fn a_stopped_run_ends_in_the_same_bytes() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (_, recipe) = pretrained(tmp.path());
    let (whole, parts) = (tmp.path().join("a/run"), tmp.path().join("b/run"));
    run(&recipe, &[BF16], &whole);
    let resolved = resolve(&recipe, &[BF16]);
    let team = Team::new(3).expect("threads");
    team.install(|| {
        for (stage, step) in [("sft", 1), ("sft", 3), ("rl", 2)] {
            go(&resolved, &parts, &mut Looker::stopping_after(stage, step)).expect("a part");
        }
        go(&resolved, &parts, &mut Looker::default()).expect("the rest");
    });
    for stage in ["sft", "rl"] {
        let (a, b) = (newest(&whole, stage), newest(&parts, stage));
        assert!(exact_files(a.folder()) == exact_files(b.folder()), "{stage}");
    }
}

#[test]
fn what_is_held_in_16_bits_cannot_train() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (_, recipe) = pretrained(tmp.path());
    let recipe = recipe.replace("lora = { r = 4, dropout = 0.1 }\n", "");
    let error = go(&resolve(&recipe, &["model.dtype=f16"]), &tmp.path().join("run"), &mut Looker::default());
    let error = error.expect_err("everything would train");
    assert!(error.what.contains("`model.embed_tokens.weight` is to train"), "{}", error.what);
    assert!(error.remedy.is_some_and(|r| r.contains("lora")));
}
