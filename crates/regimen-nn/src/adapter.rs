//! Attaching, merging and drawing low-rank adapters (Hu et al. 2021).

use regimen_base::{Error, Key, Result};
use regimen_kernels::{Lora, Projection, Shape};

use crate::hf::is_adapter;
use crate::net::{Arch, Net, build, build_with, check_shape};
use crate::params::Params;

fn shape_of(net: &dyn Net) -> Result<&Shape> {
    net.arch().decoder().ok_or_else(|| Error::usage("only decoders have low-rank adapters"))
}

/// Freezes everything but the adapters; leaves a net without adapters alone.
pub fn train_adapters(params: &mut Params) {
    let paths: Vec<String> = params.layout().entries().iter().map(|e| e.path.clone()).collect();
    if paths.iter().any(|path| is_adapter(path)) {
        for path in paths {
            params.set_train(&path, is_adapter(&path));
        }
    }
}

/// The same net with fresh adapters, which alone train: it computes what it did, bit for bit, for B is 0. A is uniform
/// in ±1/√in (PEFT's initialisation).
///
/// # Errors
/// When the adapters do not fit the net, or it has some already.
pub fn attach(net: &dyn Net, lora: Lora, key: Key) -> Result<Box<dyn Net>> {
    let base = shape_of(net)?;
    if base.lora.is_some() {
        return Err(Error::failed("a net has adapters already"));
    }
    let shape = Shape { lora: Some(lora), ..base.clone() };
    check_shape(&shape)?;
    let layout = Arch::Decoder(shape.clone()).layout();
    // adapters lie behind everything else
    let mut with = build_with(&shape, net.device(), Params::beginning_with(net.params(), layout))?;
    let params = with.params_mut();
    let layout = params.layout().clone();
    for entry in layout.entries().iter().filter(|e| e.path.ends_with(".lora_A.weight")) {
        let mut rng = key.child(&entry.path).rng();
        let bound = 1.0 / (entry.shape[1] as f64).sqrt();
        for w in params.full_mut(entry.range.clone()) {
            *w = ((2.0 * rng.f64() - 1.0) * bound) as f32;
        }
    }
    train_adapters(params);
    Ok(with)
}

/// The same net without adapters: W + scale·B·A takes the place of W, in f32. Everything trains again.
///
/// # Errors
/// When the shape contradicts itself, which it did not before.
pub fn merge(net: &dyn Net) -> Result<Box<dyn Net>> {
    let with = shape_of(net)?;
    let shape = Shape { lora: None, ..with.clone() };
    let mut merged = build(&Arch::Decoder(shape.clone()), net.device())?;
    let params = merged.params_mut();
    for entry in params.layout().entries().to_vec() {
        params.write(&entry.path, 0, &net.params().read(&entry, 0..entry.range.len()));
    }
    let Some(lora) = &with.lora else { return Ok(merged) };
    for layer in 0..shape.layers {
        for projection in lora.targets.iter() {
            add(params, net.params(), &projection.path(layer), shape.widths(projection), lora);
        }
    }
    Ok(merged)
}

/// W[out, in] += scale·B[out, r]·A[r, in], summed in f64 and rounded once.
fn add(params: &mut Params, from: &Params, path: &str, (input, _): (usize, usize), lora: &Lora) {
    let matrix =
        |name: &str| from.get(&format!("{path}.{name}.weight")).expect("every target has an adapter");
    let (a, b) = (matrix("lora_A"), matrix("lora_B"));
    let w = params.get_mut(&format!("{path}.weight")).expect("every target is a projection");
    let scale = f64::from(lora.scale());
    let mut sum = vec![0.0_f64; input];
    for (row, b) in w.chunks_exact_mut(input).zip(b.chunks_exact(lora.rank)) {
        sum.fill(0.0);
        for (b, a) in b.iter().zip(a.chunks_exact(input)) {
            sum.iter_mut().zip(a).for_each(|(s, a)| *s += f64::from(*b) * f64::from(*a));
        }
        row.iter_mut().zip(&sum).for_each(|(w, s)| *w = (f64::from(*w) + scale * s) as f32);
    }
}

/// All projections of a shape that adapters can sit on.
pub fn all_linear(shape: &Shape) -> regimen_kernels::Targets {
    Projection::ALL.into_iter().filter(|p| shape.has(*p)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Documents, assert_close, randomise, run, shapes, values};
    use crate::{Device, Inputs, PlainDecoder, Taps, Want};

    fn base(shape: &Shape) -> Box<dyn Net> {
        let shape = Shape { lora: None, ..shape.clone() };
        let mut net = build(&Arch::Decoder(shape), &Device::cpu()).expect("the shape is sound");
        randomise(net.params_mut());
        net
    }

    fn logits(net: &mut dyn Net) -> Vec<f32> {
        let documents = Documents::new(37);
        let want = Want { logits: true, ..Want::default() };
        let out = net.forward(&Inputs::Tokens(documents.tokens()), want, &mut Taps::none()).expect("it fits");
        values(out.logits.expect("wanted"))
    }

    #[test]
    fn fresh_adapters_change_no_bit() {
        for shape in shapes() {
            let lora = Lora { rank: 4, alpha: 8.0, rslora: false, dropout: 0.0, targets: all_linear(&shape) };
            let mut net = base(&shape);
            let mut with = attach(&*net, lora, Key::new(1)).expect("they fit");
            assert_eq!(logits(&mut *net), logits(&mut *with));
            assert!(attach(&*with, lora, Key::new(1)).is_err_and(|e| e.what.contains("already")));
        }
    }

    #[test]
    fn merged_is_the_adapter_to_rounding() {
        for shape in shapes().into_iter().filter(|s| s.lora.is_some()) {
            let mut net = build(&Arch::Decoder(shape), &Device::cpu()).expect("the shape is sound");
            randomise(net.params_mut());
            let mut merged = merge(&*net).expect("it is sound");
            assert_close("merged", &logits(&mut *merged), &logits(&mut *net), 1e-5);
            assert!(merged.params().train().iter().all(|train| *train));
        }
    }

    #[test]
    fn only_adapters_get_gradients() {
        for shape in shapes().into_iter().filter(|s| s.lora.is_some()) {
            let mut fused = build(&Arch::Decoder(shape.clone()), &Device::cpu()).expect("the shape is sound");
            randomise(fused.params_mut());
            let mut plain = PlainDecoder::new(&shape, &Device::cpu()).expect("the shape is sound");
            plain.params_mut().flat_mut().copy_from_slice(fused.params().flat());
            let documents = Documents::new(37);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for (net, grads) in [(&mut *fused, &mut a), (&mut plain as &mut dyn Net, &mut b)] {
                train_adapters(net.params_mut());
                *grads = run(net, &documents.tokens(), &mut Taps::none()).grads;
                for entry in net.params().layout().entries() {
                    let moves = grads[entry.range.clone()].iter().any(|g| *g != 0.0);
                    assert_eq!(moves, is_adapter(&entry.path), "{}", entry.path);
                }
            }
            assert_close("gradients", &a, &b, 3e-5);
        }
    }
}
