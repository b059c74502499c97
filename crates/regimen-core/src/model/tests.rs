//! Checkpoints in pieces, with adapters, and as GGUF.

use std::collections::BTreeMap;

use regimen_base::{Key, Result};
use regimen_data::Tokenizer;
use regimen_nn::gguf::Store;
use regimen_nn::hf::{Hold, TensorFile, write_tensors};
use regimen_nn::{
    Activation, Arch, Device, Half, Init, Inputs, Lora, Norm, Pick, Positions, Projection, Shape, Taps,
    Tokens, Want, build,
};
use serde_json::json;

use super::*;

type Files = BTreeMap<String, Vec<u8>>;

fn model() -> Model {
    let tokenizer = Tokenizer::byte().expect("it is ours");
    let shape = Shape {
        vocab: tokenizer.vocab_size(),
        width: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        ffn: 64,
        norm: Norm::Rms,
        activation: Activation::SwiGlu,
        norm_eps: 1e-5,
        positions: Positions::rotary(1e4),
        qk_norm: false,
        tied: true,
        attention_bias: false,
        output_bias: false,
        mlp_bias: false,
        parallel: false,
        max_positions: 64,
        lora: None,
    };
    let mut net = build(&Arch::Decoder(shape), &Device::cpu()).expect("the shape is sound");
    net.params_mut().init(&Init { std: 0.2, residual: None }, Key::new(3));
    Model::new(net, Some(tokenizer))
}

fn logits(model: &mut Model) -> Vec<f32> {
    let ids: Vec<u32> = (0..20).map(|i| (i * 37 + 11) % 200 + 7).collect();
    let picks: Vec<Pick> = (0..20).map(|position| Pick { position, target: 9 }).collect();
    let tokens = Tokens { ids: &ids, starts: &[0, 20], picks: &picks, temperature: 1.0 };
    let want = Want { logits: true, ..Want::default() };
    let out = model.net.forward(&Inputs::Tokens(tokens), want, &mut Taps::none()).expect("the tokens fit");
    out.logits.expect("wanted").into_data().try_into_vec().expect("f32")
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |far, (a, b)| far.max((a - b).abs()))
}

fn files(model: &Model) -> Files {
    model.files().into_iter().collect()
}

impl Folder for Files {
    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.get(name).cloned().ok_or_else(|| Error::data(format!("there is no {name}")))
    }
}

fn read(files: &Files) -> Result<Model> {
    Model::read(files, &Device::cpu(), Hold::Full)
}

/// The same checkpoint with its tensors in two files and an index.
fn sharded(mut files: Files) -> Files {
    let whole = files.remove(WEIGHTS).expect("it has weights");
    let file = TensorFile::read(&whole).expect("just written");
    let mut map = BTreeMap::new();
    for half in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", half + 1);
        let own: Vec<_> =
            file.tensors().iter().enumerate().filter(|(i, _)| i % 2 == half).map(|(_, t)| t).collect();
        map.extend(own.iter().map(|(tensor, _)| ((*tensor).clone(), name.clone())));
        let numbers: Vec<Vec<f32>> = own.iter().map(|(_, t)| t.to_f32().expect("f32")).collect();
        let tensors = own.iter().zip(&numbers).map(|((n, t), v)| (n.as_str(), t.shape.clone(), v.as_slice()));
        files.insert(name, write_tensors(tensors, &BTreeMap::new()));
    }
    files.insert(INDEX.to_owned(), json!({"metadata": {}, "weight_map": map}).to_string().into_bytes());
    files
}

#[test]
fn pieces_are_the_whole() {
    let model = model();
    let again = read(&sharded(files(&model))).expect("it is whole");
    assert!(again.net.params().flat() == model.net.params().flat());
    let mut cut = sharded(files(&model));
    cut.remove("model-00002-of-00002.safetensors");
    assert!(read(&cut).is_err_and(|e| e.what.contains("model-00002-of-00002.safetensors")));
    let mut empty = sharded(files(&model));
    empty.insert("model-00002-of-00002.safetensors".to_owned(), write_tensors([], &BTreeMap::new()));
    assert!(read(&empty).is_err_and(|e| e.what.contains("is missing")));
}

#[test]
fn an_index_must_not_lead_outside() {
    for file in ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "model.bin", "C:x.safetensors", ""]
    {
        let mut files = files(&model());
        files.remove(WEIGHTS);
        files.insert(INDEX.to_owned(), json!({"weight_map": {"a": file}}).to_string().into_bytes());
        let told = read(&files).err().expect("it is refused");
        assert!(told.what.contains("not a safetensors file beside the index"), "{}", told.what);
    }
}

/// Every cut of a file, or of a large one its beginning, its end and some between.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length)
        .filter(move |cut| length <= 2000 || *cut < 200 || length - cut <= 200 || cut.is_multiple_of(997))
}

#[test]
fn a_cut_at_any_byte_of_any_file_is_told() {
    let targets = Projection::ALL.into_iter().collect();
    let lora = Lora { rank: 2, alpha: 8.0, rslora: false, dropout: 0.0, targets };
    let with = model().with_adapters(lora, Key::new(1)).expect("they fit");
    for whole in [files(&with), sharded(files(&with))] {
        assert!(read(&whole).is_ok());
        for (name, bytes) in &whole {
            // what a text ends with means nothing
            let last = bytes.iter().rposition(|b| !b.is_ascii_whitespace()).expect("no file is empty");
            for cut in cuts(last + 1) {
                let mut files = whole.clone();
                files.insert(name.clone(), bytes[..cut].to_vec());
                let told = read(&files).err();
                assert!(told.is_some_and(|e| !e.what.is_empty()), "{name} cut to {cut} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn a_configuration_beyond_the_weights_is_refused_before_room_is_made() {
    for (key, value) in [("hidden_size", 1_u64 << 31), ("vocab_size", 1 << 31), ("num_hidden_layers", 4000)] {
        let mut files = files(&model());
        let mut config: Value = serde_json::from_slice(&files["config.json"]).expect("JSON");
        config[key] = json!(value);
        config["intermediate_size"] = json!(1 << 20);
        files.insert("config.json".to_owned(), config.to_string().into_bytes());
        let told = read(&files).err().expect("it is refused");
        assert!(
            told.what.contains("but the weights are") || told.what.contains("absurd"),
            "{key}: {}",
            told.what
        );
    }
}

#[test]
fn adapters_come_back_bit_for_bit() {
    let targets = Projection::ALL.into_iter().collect();
    let lora = Lora { rank: 4, alpha: 8.0, rslora: true, dropout: 0.25, targets };
    let mut with = model().with_adapters(lora, Key::new(1)).expect("they fit");
    let at = with.net.params().layout().entries().iter().find(|e| e.path.ends_with("lora_B.weight"));
    let at = at.expect("it has").range.clone();
    with.net.params_mut().flat_mut()[at].fill(0.01);
    with.language.as_mut().expect("a decoder").base = Some("some/where".to_owned());
    let mut again = read(&files(&with)).expect("just written");
    let base = |model: &Model| model.language().expect("a decoder").base.clone();
    assert_eq!(base(&again), base(&with));
    assert!(again.net.params() == with.net.params(), "weights, and what trains");
    assert_eq!(again.net.params().train_ranges().len(), 1);
    assert_eq!(logits(&mut again), logits(&mut with));
    let mut merged = again.merged().expect("it is sound");
    assert!(merged.shape().expect("a decoder").lora.is_none() && merged.adapter_files().is_empty());
    assert!(furthest(&logits(&mut merged), &logits(&mut with)) < 1e-4);
}

#[test]
fn matrices_in_16_bits_are_saved_as_they_are() {
    let lora = Lora {
        rank: 4,
        alpha: 8.0,
        rslora: false,
        dropout: 0.0,
        targets: Projection::ALL.into_iter().collect(),
    };
    for half in [Half::Bf16, Half::F16] {
        let hold = |files: &Files, hold| Model::read(files, &Device::cpu(), hold).expect("just written");
        let whole = files(&model());
        let held = hold(&whole, Hold::Half(half)).with_adapters(lora, Key::new(1)).expect("they fit");
        assert_eq!((held.net.params().half(), held.net.params().half_that_trains()), (Some(half), None));
        let saved = files(&held);
        // nearly all of it: what is left are norms and the header
        assert!(saved[WEIGHTS].len() < whole[WEIGHTS].len() * 53 / 100);
        let [mut same, mut wide] = [Hold::AsStored, Hold::Full].map(|how| hold(&saved, how));
        assert!(same.net.params() == held.net.params());
        assert_eq!(wide.net.params().half(), None);
        assert_eq!(logits(&mut same), logits(&mut wide));
        let [a, b] = [same, wide].map(|m| m.merged().expect("sound"));
        assert!(a.net.params() == b.net.params());
    }
    let mut beyond = model();
    beyond.net.params_mut().flat_mut()[3] = 7e4;
    let told =
        Model::read(&files(&beyond), &Device::cpu(), Hold::Half(Half::F16)).err().expect("it is refused");
    assert!(told.what.contains("holds 70000 at [0, 3], which is beyond the range of F16"), "{}", told.what);
}

#[test]
fn gguf_and_back() {
    let mut model = model();
    let before = logits(&mut model);
    for (store, far) in [(Store::F16, 0.02), (Store::Q8_0, 0.3)] {
        let bytes = model.to_gguf(store).expect("llama.cpp knows it");
        let mut again = Model::read_gguf(&bytes, &Device::cpu(), None).expect("just written");
        let off = furthest(&logits(&mut again), &before);
        assert!(off < far && off > 0.0, "{store:?}: {off}");
        let text = "12 + 30 = 42";
        let encoded = |model: &Model| model.tokenizer().expect("a decoder").encode_text(text);
        assert_eq!(encoded(&again), encoded(&model));
        assert_eq!(again.shape(), model.shape());
    }
}

#[test]
fn a_net_of_numbers_comes_back_from_its_files() {
    use regimen_nn::{Elementwise, Mlp, MlpInit};
    let mlp =
        Mlp { inputs: 3, hidden: vec![5], outputs: 2, between: Elementwise::Relu, bias: true, paths: 2 };
    let mut net = build(&Arch::Mlp(mlp.clone()), &Device::cpu()).expect("it is sound");
    MlpInit::FanIn { gain: 1.0 }.apply(&mlp, net.params_mut(), Key::new(4));
    let model = Model::new(net, None);
    let mut all = files(&model);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["config.json", "model.safetensors"]);
    let again = read(&all).expect("it is whole");
    assert_eq!((again.net.arch(), again.net.params()), (model.net.arch(), model.net.params()));
    assert!(again.shape().is_err_and(|e| e.what.contains("reads numbers")) && again.speech().is_none());
    let other = Model::new(build(&Arch::Mlp(Mlp { inputs: 4, ..mlp }), &Device::cpu()).expect("sound"), None);
    all.insert("model.safetensors".to_owned(), files(&other)["model.safetensors"].clone());
    assert!(read(&all).is_err_and(|e| e.what.contains("has shape [5, 4], the architecture wants [5, 3]")));
}
