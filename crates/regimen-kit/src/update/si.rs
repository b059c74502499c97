//! `si`: synaptic intelligence; weights are held by how much of the loss their way has taken off.

use regimen_base::{Persist, State, StateError};
use regimen_core::registry::Piece;
use regimen_core::update::Update;
use regimen_nn::Net;
use regimen_recipe::{Field, KindSpec, Room, Ty};

use super::refill;

/// Adds the gradient of c·Σ Ω·(θ − θ*)². Along a task of `every` steps ω adds up −g·Δθ, with g the gradient of the batch
/// without the penalty; at its end Ω grows by ω / ((θ − θ*)² + ξ), where ω is above 0, and θ* is the weights.
pub struct Si {
    /// Steps of a task.
    pub every: u64,
    /// c.
    pub strength: f64,
    /// ξ.
    pub damping: f64,
    path: Vec<f32>,
    importance: Vec<f32>,
    anchor: Vec<f32>,
    /// Weights and gradient before the step that is under way; nothing of them outlives it.
    start: Vec<f32>,
    gradient: Vec<f32>,
}

impl Si {
    /// Before the first task.
    pub fn new(every: u64, strength: f64, damping: f64) -> Self {
        let empty = Vec::new;
        let (path, importance, anchor) = (empty(), empty(), empty());
        Self { every, strength, damping, path, importance, anchor, start: empty(), gradient: empty() }
    }
}

impl Update for Si {
    fn attach(&mut self, net: &dyn Net) {
        let n = net.params().len();
        (self.path, self.importance) = (vec![0.0; n], vec![0.0; n]);
        self.anchor = net.params().flat().to_vec();
    }

    fn before(&mut self, net: &mut dyn Net, _: u64) -> Vec<(&'static str, f64)> {
        self.start.clear();
        self.start.extend_from_slice(net.params().flat());
        self.gradient.clear();
        self.gradient.extend_from_slice(net.grads());
        let strength = self.strength as f32;
        let mut penalty = 0.0;
        let held = self.importance.iter().zip(self.start.iter().zip(&self.anchor));
        for (g, (omega, (w, anchor))) in net.grads_mut().iter_mut().zip(held) {
            let pull = 2.0 * strength * omega * (w - anchor);
            penalty += 0.5 * f64::from(pull) * f64::from(w - anchor);
            *g += pull;
        }
        vec![("si/penalty", penalty)]
    }

    fn after(&mut self, net: &dyn Net, step: u64) {
        let steps = net.params().flat().iter().zip(&self.start).zip(&self.gradient);
        for (path, ((now, before), g)) in self.path.iter_mut().zip(steps) {
            *path -= g * (now - before);
        }
        if !(step + 1).is_multiple_of(self.every) {
            return;
        }
        let damping = self.damping as f32;
        let ends = net.params().flat().iter().zip(&mut self.anchor);
        for ((omega, path), (now, anchor)) in self.importance.iter_mut().zip(&mut self.path).zip(ends) {
            let way = now - *anchor;
            *omega += path.max(0.0) / (way * way + damping);
            (*path, *anchor) = (0.0, *now);
        }
    }
}

impl Persist for Si {
    fn save(&self) -> State {
        State::new()
            .with_array("path", self.path.clone())
            .with_array("importance", self.importance.clone())
            .with_array("anchor", self.anchor.clone())
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        refill(&mut self.path, "path", &mut state)?;
        refill(&mut self.importance, "importance", &mut state)?;
        refill(&mut self.anchor, "anchor", &mut state)?;
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Update> = Piece {
    spec: KindSpec::new(
        Room::Update,
        "si",
        "synaptic intelligence: a pull to where earlier tasks left the weights whose way took off most of the loss",
        &[
            Field::new("every", Ty::Count, "steps of a task; its end is where the pull changes")
                .required()
                .min(1.0),
            Field::new("strength", Ty::Float, "c").or("0.1").min(0.0),
            Field::new("damping", Ty::Float, "ξ, added to the square of a weight's way").or("0.1").above(0.0),
        ],
    )
    .source("Zenke et al. 2017 (arXiv:1703.04200)")
    .example(r#"{ kind = "si", every = 200, strength = 0.1 }"#),
    build: |node, _| Ok(Box::new(Si::new(node.u64("every"), node.f64("strength"), node.f64("damping")))),
};
