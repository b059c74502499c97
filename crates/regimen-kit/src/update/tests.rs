//! Each update on two weights, beside its formula.

use regimen_base::Key;
use regimen_core::update::Update;
use regimen_nn::{Arch, Device, Elementwise, Mlp, Net, build};

use super::*;

/// y = w·x with two inputs: two weights.
fn net() -> Box<dyn Net> {
    let between = Elementwise::Linear;
    let mlp = Mlp { inputs: 2, hidden: vec![], outputs: 1, between, bias: false, paths: 1 };
    build(&Arch::Mlp(mlp), &Device::cpu()).expect("it is sound")
}

/// A step of gradient descent with the given gradient; returns the gradient that the update made of it.
fn step(update: &mut dyn Update, net: &mut dyn Net, at: u64, g: [f32; 2], lr: f32) -> [f32; 2] {
    net.grads_mut().copy_from_slice(&g);
    update.before(net, at);
    let made = [net.grads()[0], net.grads()[1]];
    for (w, g) in net.params_mut().flat_mut().iter_mut().zip(made) {
        *w -= lr * g;
    }
    update.after(net, at);
    made
}

#[test]
fn ewc_pulls_back_by_the_squared_gradients_of_the_last_steps() {
    let mut ewc = Ewc::new(3, 2, 10.0, 0.5);
    let mut net = net();
    ewc.attach(&*net);
    for (at, g) in [(0, [9.0, 9.0]), (1, [1.0, 0.0]), (2, [2.0, -1.0])] {
        assert_eq!(step(&mut ewc, &mut *net, at, g, 0.1), g, "the first task is free");
    }
    // F = mean of the squares of steps 1 and 2
    let (f, anchor) = ([2.5, 0.5], [net.params().flat()[0], net.params().flat()[1]]);
    assert_eq!(step(&mut ewc, &mut *net, 3, [1.0, 1.0], 0.1), [1.0, 1.0], "nothing has moved yet");
    let made = step(&mut ewc, &mut *net, 4, [0.0, 4.0], 0.1);
    let moved = [-0.1f32, -0.1];
    for i in 0..2 {
        let pull = 10.0 * f[i] * moved[i];
        assert!((made[i] - [0.0, 4.0][i] - pull).abs() < 1e-4, "{made:?}");
    }
    step(&mut ewc, &mut *net, 5, [2.0, 2.0], 0.1);
    let weights = net.params().flat().to_vec();
    assert!(weights[0] != anchor[0]);
    // F decays, and grows by the mean of the squares of steps 4 and 5: of the batch's own gradient, without the pull
    net.params_mut().flat_mut().iter_mut().for_each(|w| *w += 1.0);
    let made = step(&mut ewc, &mut *net, 6, [0.0, 0.0], 0.0);
    for (made, f) in made.into_iter().zip([0.5 * 2.5 + 2.0, 0.5 * 0.5 + 10.0]) {
        assert!((made - 10.0 * f).abs() < 1e-3, "{made} is not {}", 10.0 * f);
    }
}

#[test]
fn si_pulls_back_by_what_the_way_took_off() {
    let mut si = Si::new(2, 3.0, 0.5);
    let mut net = net();
    si.attach(&*net);
    step(&mut si, &mut *net, 0, [1.0, -2.0], 0.1);
    step(&mut si, &mut *net, 1, [3.0, 0.0], 0.1);
    // ω = Σ lr·g², the way is lr·Σ g
    let omega = [1.0f32 / (0.4f32 * 0.4 + 0.5), 0.4 / (0.2f32 * 0.2 + 0.5)];
    net.params_mut().flat_mut().iter_mut().for_each(|w| *w += 1.0);
    let made = step(&mut si, &mut *net, 2, [0.0, 0.0], 0.0);
    for (made, omega) in made.into_iter().zip(omega) {
        assert!((made - 2.0 * 3.0 * omega).abs() < 1e-4, "{made} is not {}", 6.0 * omega);
    }
}

#[test]
fn saved_anywhere_they_go_on_as_they_would_have() {
    let fresh: [fn() -> Box<dyn Update>; 3] =
        [|| Box::new(Plain), || Box::new(Ewc::new(4, 3, 2.0, 0.9)), || Box::new(Si::new(4, 0.5, 0.1))];
    let gradient = |at: u64| {
        let mut rng = Key::new(1).at(at).rng();
        [rng.normal() as f32, rng.normal() as f32]
    };
    for fresh in fresh {
        for cut in 0..12 {
            let run = |saved: bool| {
                let (mut update, mut net) = (fresh(), net());
                update.attach(&*net);
                for at in 0..12 {
                    if saved && at == cut {
                        let state = update.save();
                        update = fresh();
                        update.attach(&*net);
                        update.load(state).expect("its own state");
                    }
                    step(&mut *update, &mut *net, at, gradient(at), 0.05);
                }
                net.params().flat().to_vec()
            };
            assert_eq!(run(true), run(false), "cut at {cut}");
        }
    }
}
