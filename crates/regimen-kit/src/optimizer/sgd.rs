//! `sgd`: gradient descent, with momentum where asked; PyTorch's arithmetic.

use regimen_base::{State, StateError};
use regimen_core::optimizer::{Optimizer, StepCx};
use regimen_core::registry::Piece;
use regimen_nn::Params;
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// v ← μ·v + g; θ ← θ − lr·v. Without momentum v is g.
pub struct Sgd {
    /// μ.
    pub momentum: f64,
    velocity: Vec<f32>,
}

impl Sgd {
    /// An optimiser without any state yet.
    pub fn new(momentum: f64) -> Self {
        Self { momentum, velocity: Vec::new() }
    }
}

impl Optimizer for Sgd {
    fn attach(&mut self, params: &Params) {
        self.velocity = if self.momentum > 0.0 { vec![0.0; params.len()] } else { Vec::new() };
    }

    fn step(&mut self, params: &mut Params, grads: &[f32], cx: StepCx) {
        let (lr, scale, momentum) = (cx.lr as f32, cx.scale as f32, self.momentum as f32);
        for range in params.train_ranges() {
            let (weights, grads) = (&mut params.flat_mut()[range.clone()], &grads[range.clone()]);
            if self.velocity.is_empty() {
                weights.iter_mut().zip(grads).for_each(|(w, g)| *w -= lr * (g * scale));
                continue;
            }
            for ((w, g), v) in weights.iter_mut().zip(grads).zip(&mut self.velocity[range]) {
                *v = momentum * *v + g * scale;
                *w -= lr * *v;
            }
        }
    }

    fn save(&self, params: &Params) -> State {
        let mut state = State::new();
        for entry in params.layout().entries().iter().filter(|_| !self.velocity.is_empty()) {
            let velocity = self.velocity[entry.range.clone()].to_vec();
            state = state.with_array(&format!("velocity/{}", entry.path), velocity);
        }
        state
    }

    fn load(&mut self, params: &Params, mut state: State) -> Result<(), StateError> {
        self.attach(params);
        for entry in params.layout().entries().iter().filter(|_| self.momentum > 0.0) {
            let velocity = state.take_array(&format!("velocity/{}", entry.path), entry.range.len())?;
            self.velocity[entry.range.clone()].copy_from_slice(&velocity);
        }
        state.finish()
    }

    fn bytes(&self, parameters: u64) -> u64 {
        if self.momentum > 0.0 { 4 * parameters } else { 0 }
    }
}

pub(super) const PIECE: Piece<dyn Optimizer> = Piece {
    spec: KindSpec::new(
        Room::Optimizer,
        "sgd",
        "gradient descent, with momentum where asked",
        &[Field::new("momentum", Ty::Float, "share of the last step's direction that is kept")
            .or("0.0")
            .min(0.0)
            .max(0.9999)],
    )
    .example(r#"{ kind = "sgd", momentum = 0.9 }"#),
    build: |node, _| Ok(Box::new(Sgd::new(node.f64("momentum")))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_nn::Layout;

    /// `torch.optim.SGD` on f(w) = ½·Σ w² from (1, −2), lr 0.1, momentum 0.9: v and w by hand.
    #[test]
    fn three_steps_by_hand() {
        let layout = || Layout::new([("w".to_owned(), vec![2])]);
        let cx = StepCx { lr: 0.1, scale: 1.0 };
        // with momentum 1 → 0.9 → 0.72 → 0.486, for v = 1, 1.8, 2.34
        for (momentum, expected) in [(0.0, [0.729, -1.458]), (0.9, [0.486, -0.972])] {
            let mut params = Params::zeros(layout());
            params.flat_mut().copy_from_slice(&[1.0, -2.0]);
            let mut sgd = Sgd::new(momentum);
            sgd.attach(&params);
            for cut in 0..3 {
                if cut == 1 {
                    let state = sgd.save(&params);
                    sgd = Sgd::new(momentum);
                    sgd.load(&params, state).expect("its own state");
                }
                let grads = params.flat().to_vec();
                sgd.step(&mut params, &grads, cx);
            }
            for (w, e) in params.flat().iter().zip(expected) {
                assert!((w - e).abs() < 1e-6, "{w} is not {e}");
            }
        }
    }

    #[test]
    fn what_is_frozen_stays() {
        let mut params = Params::zeros(Layout::new([("a".to_owned(), vec![1]), ("b".to_owned(), vec![1])]));
        params.set_train("a", false);
        let mut sgd = Sgd::new(0.5);
        sgd.attach(&params);
        sgd.step(&mut params, &[1.0, 1.0], StepCx { lr: 1.0, scale: 0.5 });
        assert_eq!(params.flat(), [0.0, -0.5]);
    }
}
