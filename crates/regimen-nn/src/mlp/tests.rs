use burn::{Tensor, TensorData};
use regimen_base::Key;
use regimen_kernels::Pick;

use super::*;
use crate::testing::{assert_close, values};

fn mlp(paths: usize) -> Mlp {
    Mlp { inputs: 4, hidden: vec![6], outputs: 3, between: Elementwise::Relu, bias: true, paths }
}

fn net(mlp: &Mlp) -> MlpNet {
    let mut net = MlpNet::new(mlp, &Device::cpu()).expect("it is sound");
    MlpInit::FanIn { gain: 1.0 }.apply(mlp, net.params_mut(), Key::new(3));
    net
}

fn rows(width: usize) -> Vec<f32> {
    let mut rng = Key::new(5).rng();
    (0..2 * width).map(|_| rng.normal() as f32).collect()
}

const PICKS: [Pick; 3] =
    [Pick { position: 0, target: 2 }, Pick { position: 1, target: 0 }, Pick { position: 1, target: 1 }];

fn vectors(values: &[f32], width: usize) -> Inputs<'_> {
    Inputs::Vectors(Vectors { values, width, picks: &PICKS, temperature: 1.0 })
}

/// A loss that uses every kind of output.
fn loss(out: &Outputs) -> Tensor<1> {
    let device = Device::cpu().tensors(false);
    let weights = Tensor::<1>::from_data(TensorData::new(vec![1.0f32, -0.5, 2.0], [3]), &device);
    let (entropy, values) = (out.entropy.clone().expect("wanted"), out.values.clone().expect("wanted"));
    let logits = out.logits.clone().expect("wanted");
    let pick = out.logp.clone() * weights.clone() + entropy * 0.3 + values.clone() * values * weights;
    pick.sum() + logits.powf_scalar(2.0).sum() * 0.1
}

#[test]
fn gradients_of_every_output_are_slopes() {
    for paths in [1, 2] {
        let mlp = mlp(paths);
        let mut net = net(&mlp);
        let x = rows(mlp.width());
        let want = Want { grad: true, entropy: true, logits: true, values: true, ..Want::default() };
        let out = net.forward(&vectors(&x, mlp.width()), want, &mut Taps::none()).expect("it fits");
        let mut gradients = loss(&out).backward();
        net.backward(&mut gradients).expect("a pass is pending");
        net.finish_grads();
        let ours = net.grads().to_vec();
        let still = Want { grad: false, ..want };
        let mut slopes = Vec::new();
        for i in 0..ours.len() {
            let mut at = |h: f32| {
                let old = net.params().flat()[i];
                net.params_mut().flat_mut()[i] = old + h;
                let out = net.forward(&vectors(&x, mlp.width()), still, &mut Taps::none()).expect("it fits");
                net.params_mut().flat_mut()[i] = old;
                values(loss(&out))[0]
            };
            slopes.push((at(1e-2) - at(-1e-2)) / 2e-2);
        }
        assert_close("gradient", &ours, &slopes, 2e-2);
    }
}

#[test]
fn log_probs_are_those_of_a_softmax() {
    let mlp = mlp(1);
    let mut net = net(&mlp);
    let x = rows(4);
    let want = Want { logits: true, ..Want::default() };
    let out = net.forward(&vectors(&x, 4), want, &mut Taps::none()).expect("it fits");
    let logits = out.logits.expect("wanted").into_data().try_into_vec::<f32>().expect("numbers");
    let expected: Vec<f32> = logits
        .chunks(3)
        .zip(PICKS)
        .map(|(row, pick)| row[pick.target as usize] - row.iter().map(|x| x.exp()).sum::<f32>().ln())
        .collect();
    assert_close("logp", &values(out.logp), &expected, 1e-6);
}

#[test]
fn what_is_frozen_has_no_gradient_and_a_copy_says_the_same() {
    let mlp = mlp(2);
    let mut net = net(&mlp);
    assert_eq!(net.params_mut().set_train("paths.1.*", false), 4);
    let x = rows(mlp.width());
    let out = net.forward(&vectors(&x, 8), Want::training(), &mut Taps::none()).expect("it fits");
    let mut gradients = out.logp.clone().sum().backward();
    net.backward(&mut gradients).expect("pending");
    net.finish_grads();
    let half = net.grads().len() / 2;
    assert!(net.grads()[..half].iter().any(|g| *g != 0.0) && net.grads()[half..].iter().all(|g| *g == 0.0));
    let mut copy = net.frozen_copy();
    let same = copy.forward(&vectors(&x, 8), Want::default(), &mut Taps::none()).expect("it fits");
    assert_eq!(values(same.logp), values(out.logp.inner()));
}

#[test]
fn inputs_that_do_not_fit_are_told() {
    let mut net = net(&mlp(1));
    let said = |net: &mut MlpNet, inputs: &Inputs| {
        net.forward(inputs, Want::default(), &mut Taps::none()).expect_err("it does not fit").to_string()
    };
    assert!(said(&mut net, &vectors(&[0.0; 10], 5)).contains("a row has 5 numbers, the model reads 4"));
    let picks = [Pick { position: 0, target: 3 }];
    let far = Inputs::Vectors(Vectors { values: &[0.0; 4], width: 4, picks: &picks, temperature: 1.0 });
    assert!(said(&mut net, &far).contains("output 3 is asked for, the model has 3"));
    let tokens = crate::Tokens { ids: &[0], starts: &[0, 1], picks: &[], temperature: 1.0 };
    assert!(said(&mut net, &Inputs::Tokens(tokens)).contains("reads rows of numbers"));
}

#[test]
fn a_product_has_the_norm_that_was_asked_for() {
    let mlp = Mlp {
        inputs: 5,
        hidden: vec![7, 4],
        outputs: 3,
        between: Elementwise::Linear,
        bias: false,
        paths: 2,
    };
    let mut net = MlpNet::new(&mlp, &Device::cpu()).expect("sound");
    MlpInit::Product { norm: 0.25 }.apply(&mlp, net.params_mut(), Key::new(1));
    for p in 0..2 {
        // the product's columns are what unit vectors become
        let mut square = 0.0f64;
        for i in 0..5 {
            let mut x = vec![0.0; 10];
            x[p * 5 + i] = 1.0;
            let picks: Vec<Pick> = (0..3).map(|target| Pick { position: 0, target }).collect();
            let row = Inputs::Vectors(Vectors { values: &x, width: 10, picks: &picks, temperature: 1.0 });
            let want = Want { values: true, ..Want::default() };
            let out = net.forward(&row, want, &mut Taps::none()).expect("it fits");
            square += values(out.values.expect("wanted")).iter().map(|y| f64::from(*y).powi(2)).sum::<f64>();
        }
        assert!((square.sqrt() - 0.25).abs() < 1e-6, "{}", square.sqrt());
    }
}

#[test]
fn diagonal_factors_multiply_to_the_product() {
    let mlp = Mlp {
        inputs: 3,
        hidden: vec![3, 3, 3],
        outputs: 3,
        between: Elementwise::Linear,
        bias: false,
        paths: 2,
    };
    let mut params = Params::zeros(mlp.layout());
    MlpInit::Diagonal { product: 0.01, jitter: 0.1 }.apply(&mlp, &mut params, Key::new(2));
    let mut seen = Vec::new();
    for p in 0..2 {
        for i in 0..3 {
            let factor = |l: usize| {
                f64::from(params.get(&format!("paths.{p}.layers.{l}.weight")).expect("there")[i * 3 + i])
            };
            let product = (0..4).map(factor).product::<f64>();
            assert!((0.009..0.011).contains(&product), "{product}");
            seen.push((product * 1e9).round() as i64);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 6, "each path and mode has its own");
}

#[test]
fn a_config_says_all_and_is_checked() {
    for mlp in [mlp(1), Mlp { between: Elementwise::Linear, bias: false, hidden: vec![], ..mlp(3) }] {
        let arch = Arch::Mlp(mlp.clone());
        let text = arch.config().expect("a net of numbers has its own");
        assert_eq!(Arch::of_config(&text).expect("its own"), Some(arch));
        for (field, value) in [("inputs", "0"), ("hidden", "[-1]"), ("between", "\"tanh\""), ("paths", "1.5")]
        {
            let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            config[field] = serde_json::from_str(value).expect("JSON");
            assert!(Arch::of_config(&config.to_string()).is_err(), "{field} = {value}");
        }
        let huge = text.replace("\"outputs\": 3", "\"outputs\": 9007199254740991");
        assert!(Arch::of_config(&huge).is_err());
    }
    assert_eq!(Arch::of_config("{\"model_type\": \"llama\"}").expect("JSON"), None);
}
