//! `ewc`: elastic weight consolidation; weights that earlier tasks needed are held where those tasks left them.

use regimen_base::{Persist, State, StateError};
use regimen_core::registry::Piece;
use regimen_core::update::Update;
use regimen_nn::Net;
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::refill;

/// Adds the gradient of ½·λ·Σ F·(θ − θ*)². At the end of each task of `every` steps, θ* is the weights and F grows by the
/// mean of the squared gradients over the task's last `window` steps, after being multiplied by `decay` (the online form of
/// Schwarz et al. 2018). Squared gradients of batches stand for the Fisher information of single examples, which is larger
/// by about the size of a batch: λ has to make up for it.
pub struct Ewc {
    /// Steps of a task.
    pub every: u64,
    /// Steps at its end over which F is measured.
    pub window: u64,
    /// λ.
    pub strength: f64,
    /// Of F from task to task.
    pub decay: f64,
    importance: Vec<f32>,
    anchor: Vec<f32>,
    squares: Vec<f32>,
}

impl Ewc {
    /// Before the first task.
    pub fn new(every: u64, window: u64, strength: f64, decay: f64) -> Self {
        let (importance, anchor, squares) = (Vec::new(), Vec::new(), Vec::new());
        Self { every, window: window.min(every), strength, decay, importance, anchor, squares }
    }
}

impl Update for Ewc {
    fn attach(&mut self, net: &dyn Net) {
        let n = net.params().len();
        (self.importance, self.anchor, self.squares) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    }

    fn before(&mut self, net: &mut dyn Net, step: u64) -> Vec<(&'static str, f64)> {
        if step % self.every >= self.every - self.window {
            self.squares.iter_mut().zip(net.grads()).for_each(|(sum, g)| *sum += g * g);
        }
        let weights = net.params().flat().to_vec();
        let strength = self.strength as f32;
        let mut penalty = 0.0;
        let held = self.importance.iter().zip(weights.iter().zip(&self.anchor));
        for (g, (f, (w, anchor))) in net.grads_mut().iter_mut().zip(held) {
            let pull = strength * f * (w - anchor);
            penalty += 0.5 * f64::from(pull) * f64::from(w - anchor);
            *g += pull;
        }
        vec![("ewc/penalty", penalty)]
    }

    fn after(&mut self, net: &dyn Net, step: u64) {
        if !(step + 1).is_multiple_of(self.every) {
            return;
        }
        let (decay, window) = (self.decay as f32, self.window as f32);
        for (f, sum) in self.importance.iter_mut().zip(&mut self.squares) {
            *f = decay * *f + *sum / window;
            *sum = 0.0;
        }
        self.anchor.copy_from_slice(net.params().flat());
    }
}

impl Persist for Ewc {
    fn save(&self) -> State {
        let Self { importance, anchor, squares, .. } = self;
        State::new()
            .with_array("importance", importance.clone())
            .with_array("anchor", anchor.clone())
            .with_array("squares", squares.clone())
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        refill(&mut self.importance, "importance", &mut state)?;
        refill(&mut self.anchor, "anchor", &mut state)?;
        refill(&mut self.squares, "squares", &mut state)?;
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Update> = Piece {
    spec: KindSpec::new(
        Room::Update,
        "ewc",
        "elastic weight consolidation: a pull to where earlier tasks left the weights that they needed",
        &[
            Field::new("every", Ty::Count, "steps of a task; its end is where the pull changes")
                .required()
                .min(1.0),
            Field::new(
                "window",
                Ty::Count,
                "steps at a task's end whose squared gradients are its importance",
            )
            .or("50")
            .min(1.0),
            Field::new("strength", Ty::Float, "λ, for squared gradients of batches")
                .or("100.0")
                .min(0.0)
                .aliases(&["lambda"]),
            Field::new("decay", Ty::Float, "of the importance from task to task").or("1.0").min(0.0).max(1.0),
        ],
    )
    .source("Kirkpatrick et al. 2017 (arXiv:1612.00796); online form: Schwarz et al. 2018 (arXiv:1805.06370)")
    .example(r#"{ kind = "ewc", every = 200, strength = 100.0 }"#),
    build: |node, _| {
        let (strength, decay) = (node.f64("strength"), node.f64("decay"));
        Ok(Box::new(Ewc::new(node.u64("every"), node.u64("window"), strength, decay)))
    },
};
