//! Checkpoints with something wrong in them: as a model to start from, and to write with.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tempfile::TempDir;

use super::told::{TEXT, ready, refused, refused_run, sound};
use crate::program::{inside, outcome, write};

const LAST: &str = "runs/bad/stages/01-train/checkpoint-5";

/// A tensor: its name, shape and numbers.
type Tensor = (String, Vec<usize>, Vec<u8>);

/// A trained run, and a recipe `bad.toml` that starts from the folder `from`.
fn trained() -> TempDir {
    let dir = ready();
    inside(&dir, &["run", "bad.toml"]).success();
    let (before, after) = TEXT.split_once("kind = \"decoder\"").expect("it is there");
    let (_, after) = after.split_once("[data.mine]").expect("it is there");
    write(&dir, "bad.toml", &format!("{before}from = \"from\"\n\n[data.mine]{after}"));
    dir
}

/// The checkpoint in Hugging Face's layout alone, with other weights.
fn with_weights(dir: &TempDir, weights: &[u8]) {
    let (last, from) = (dir.path().join(LAST), dir.path().join("from"));
    fs::create_dir_all(&from).expect("the folder is ours");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(last.join(file), from.join(file)).expect("it is there");
    }
    fs::write(from.join("model.safetensors"), weights).expect("the folder is ours");
}

fn weights(dir: &TempDir) -> Vec<u8> {
    fs::read(dir.path().join(LAST).join("model.safetensors")).expect("it is there")
}

/// The checkpoint with its tensors changed.
fn with_tensors(dir: &TempDir, change: impl FnOnce(&mut Vec<Tensor>)) {
    let bytes = weights(dir);
    let file = SafeTensors::deserialize(&bytes).expect("we wrote it");
    let mut tensors: Vec<Tensor> =
        file.tensors().into_iter().map(|(name, t)| (name, t.shape().to_vec(), t.data().to_vec())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).expect("shape and bytes agree"))
    });
    let notes = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    with_weights(dir, &safetensors::serialize(views, Some(notes)).expect("it can be written"));
}

/// Both ways to use the folder say the same, and the run that it came from is untouched.
fn refused_both(dir: &TempDir, wanted: &str) {
    let before = outcome(&dir.path().join("runs/bad"));
    let starting = refused_run(dir, &["--name", "next"], 4);
    let writing = refused(inside(dir, &["generate", "from", "--prompt", "a"]), 4);
    for told in [&starting, &writing] {
        assert!(told.contains("from") && told.contains("model.safetensors"), "where: {told}");
        assert!(told.contains(wanted), "{told}");
    }
    assert!(starting.contains("stage `train`"), "{starting}");
    assert_eq!(before, outcome(&dir.path().join("runs/bad")));
    sound(dir, &dir.path().join("runs/bad"));
    let next = dir.path().join("runs/next");
    assert!(!next.exists() || sound(dir, &next).is_empty(), "a checkpoint of a model that was refused");
}

fn find<'a>(tensors: &'a mut [Tensor], name: &str) -> &'a mut Tensor {
    tensors.iter_mut().find(|t| t.0 == name).expect("it is there")
}

const NORM: &str = "model.norm.weight";

#[test]
fn the_folder_as_it_is_works() {
    let dir = trained();
    with_tensors(&dir, |_| {});
    inside(&dir, &["run", "bad.toml", "--name", "next"]).success();
    inside(&dir, &["generate", "from", "--prompt", "a", "--max-new", "2"]).success();
}

#[test]
fn a_missing_tensor() {
    let dir = trained();
    with_tensors(&dir, |tensors| tensors.retain(|t| t.0 != NORM));
    refused_both(&dir, "tensor `model.norm.weight` [32] is missing");
}

#[test]
fn an_extra_tensor() {
    let dir = trained();
    with_tensors(&dir, |tensors| tensors.push(("model.more.weight".to_owned(), vec![2], vec![0; 8])));
    refused_both(&dir, "tensor `model.more.weight` is not part of this architecture");
}

#[test]
fn a_tensor_of_another_shape() {
    let dir = trained();
    with_tensors(&dir, |tensors| find(tensors, NORM).1 = vec![4, 8]);
    refused_both(&dir, "tensor `model.norm.weight` has shape [4, 8], the architecture wants [32]");
}

#[test]
fn a_tensor_with_nan_or_infinity() {
    let dir = trained();
    for (number, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        with_tensors(&dir, |tensors| {
            find(tensors, NORM).2[12..16].copy_from_slice(&number.to_le_bytes());
        });
        refused_both(&dir, &format!("tensor `model.norm.weight` holds {name} at [3]"));
        let _ = fs::remove_dir_all(dir.path().join("runs/next"));
    }
}

#[test]
fn a_truncated_checkpoint() {
    let dir = trained();
    let bytes = weights(&dir);
    for length in [0, 5, 100, bytes.len() / 2, bytes.len() - 1] {
        with_weights(&dir, &bytes[..length]);
        refused_both(&dir, "is truncated");
        let _ = fs::remove_dir_all(dir.path().join("runs/next"));
    }
}

#[test]
fn a_checkpoint_folder_without_a_file() {
    let dir = trained();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        with_tensors(&dir, |_| {});
        let missing: PathBuf = dir.path().join("from").join(file);
        fs::remove_file(&missing).expect("it is there");
        let told = refused_run(&dir, &["--name", "next"], 4);
        assert!(told.contains(&format!("from/{file}")), "{told}");
        let told = refused(inside(&dir, &["generate", "from", "--prompt", "a"]), 4);
        assert!(told.contains(&format!("from/{file}")), "{told}");
        let _ = fs::remove_dir_all(dir.path().join("runs/next"));
    }
}

/// One of our own checkpoints is compared with its digests, and the earlier one is still a way on.
#[test]
fn a_truncated_checkpoint_of_a_run() {
    let dir = ready();
    inside(&dir, &["run", "bad.toml", "--set", "stage.train.checkpoint-every=2st"]).success();
    let whole = outcome(&dir.path().join("runs/bad"));
    let last = dir.path().join(LAST);
    for file in ["model.safetensors", "state.safetensors"] {
        let bytes = fs::read(last.join(file)).expect("it is there");
        fs::write(last.join(file), &bytes[..bytes.len() / 2]).expect("the folder is ours");
        for args in [&["generate", "runs/bad", "--prompt", "a"][..], &["resume", "runs/bad"]] {
            let told = refused(inside(&dir, args), 4);
            assert!(told.contains("checkpoint-5 is damaged") && told.contains(file), "{told}");
            assert!(told.contains("remove its folder"), "{told}");
        }
        inside(&dir, &["inspect", "runs/bad", "--step", "4"]).success();
        fs::remove_dir_all(&last).expect("the folder is ours");
        inside(&dir, &["resume", "runs/bad"]).success();
        assert!(whole == outcome(&dir.path().join("runs/bad")), "the way on ends in other bytes");
    }
}
