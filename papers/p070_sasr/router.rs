//! `sasr-router`: SFT or RL, drawn before every step by how large the SFT gradient still is.
//!
//! p(SFT) = G / (G + γ·G₀), with G the norm of the gradient at the latest SFT step and G₀ its mean over the warm-up
//! (arXiv:2505.13026). Far from the demonstrations the gradient is large and SFT likely; close to them RL is.

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};

/// The router with what it has measured.
pub struct SasrRouter {
    /// The stream of demonstrations.
    pub sft: String,
    /// The stream of rollouts.
    pub rl: String,
    /// Steps of SFT over which G₀ is measured, before anything is drawn.
    pub warmup: u64,
    /// γ.
    pub gamma: f64,
    measured: Measured,
}

/// What changes from step to step.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Measured {
    /// Norms of the warm-up: their sum, and how many there are.
    sum: f64,
    count: u64,
    /// The norm at the latest SFT step.
    latest: f64,
    /// Whether the step that ended last was one of SFT, so that its norm is what the signals tell.
    sft: bool,
}

impl SasrRouter {
    /// A router at its beginning.
    pub fn new(sft: &str, rl: &str, warmup: u64, gamma: f64) -> Self {
        let (sft, rl) = (sft.to_owned(), rl.to_owned());
        Self { sft, rl, warmup, gamma, measured: Measured::default() }
    }

    /// The chance of SFT now.
    fn chance(&self) -> f64 {
        let m = &self.measured;
        if m.count < self.warmup {
            return 1.0;
        }
        let reference = self.gamma * m.sum / m.count.max(1) as f64;
        // both are 0 where the demonstrations teach nothing any more
        if m.latest + reference > 0.0 { m.latest / (m.latest + reference) } else { 0.0 }
    }
}

impl Controller for SasrRouter {
    fn wiring(&self) -> Wiring {
        Wiring { reads: vec!["grad_norm".to_owned()], writes: Vec::new() }
    }

    fn react(&mut self, _: Event, signals: &Signals, key: Key) -> Vec<Action> {
        if let (true, Some(&norm)) = (self.measured.sft, signals.get("grad_norm")) {
            self.measured.latest = norm;
            if self.measured.count < self.warmup {
                self.measured.sum += norm;
                self.measured.count += 1;
            }
        }
        self.measured.sft = key.rng().chance(self.chance());
        let stream = if self.measured.sft { &self.sft } else { &self.rl };
        vec![Action::Route(stream.clone())]
    }
}

impl Persist for SasrRouter {
    fn save(&self) -> State {
        let m = &self.measured;
        State::new().with("sum", m.sum).with("count", m.count).with("latest", m.latest).with("sft", m.sft)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let (sum, count) = (state.take_f64("sum")?, state.take_u64("count")?);
        let latest = state.take_f64("latest")?;
        let sft = state.take("sft")?.as_bool();
        let sft =
            sft.ok_or_else(|| StateError("`sft` of the saved state is neither true nor false".to_owned()))?;
        self.measured = Measured { sum, count, latest, sft };
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Controller> = Piece {
    spec: KindSpec::new(
        Room::Controller,
        "sasr-router",
        "SFT or RL, drawn before every step by how large the SFT gradient is beside its mean over the warm-up",
        &[
            Field::new("sft", Ty::Name(Names::Stream), "the stream of demonstrations").or("sft"),
            Field::new("rl", Ty::Name(Names::Stream), "the stream of rollouts").or("rl"),
            Field::new("warmup", Ty::Count, "steps of SFT over which the reference norm is measured")
                .or("20")
                .min(1.0),
            Field::new("gamma", Ty::Float, "factor of the reference norm: larger means less SFT")
                .or("1.0")
                .above(0.0),
        ],
    )
    .source("arXiv:2505.13026")
    .example(r#"{ kind = "sasr-router", gamma = 2.0 }"#),
    build: |node, _| {
        let (sft, rl) = (node.str("sft"), node.str("rl"));
        Ok(Box::new(SasrRouter::new(sft, rl, node.u64("warmup"), node.f64("gamma"))))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    /// One step: what the router draws, told the norm of the step before.
    fn step(router: &mut SasrRouter, step: u64, norm: f64) -> String {
        let signals = Signals::from([("grad_norm".to_owned(), norm)]);
        let event = Event::Step { step, total: None };
        match router.react(event, &signals, Key::new(9).at(step)).as_slice() {
            [Action::Route(stream)] => stream.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// A router with G₀ = 2 behind its warm-up of three steps.
    fn warm(gamma: f64) -> SasrRouter {
        let mut router = SasrRouter::new("sft", "rl", 3, gamma);
        for (at, norm) in [(0, 0.0), (1, 1.0), (2, 2.0)] {
            assert_eq!(step(&mut router, at, norm), "sft", "the warm-up is SFT");
        }
        router
    }

    #[test]
    fn the_chance_is_the_latest_norm_beside_the_warm_ups() {
        let mut router = warm(0.5);
        step(&mut router, 3, 3.0);
        assert_eq!(router.measured.sum, 6.0);
        assert!((router.chance() - 3.0 / (3.0 + 0.5 * 2.0)).abs() < 1e-12);
    }

    #[test]
    fn the_norm_of_an_rl_step_is_not_looked_at() {
        let mut router = warm(1.0);
        let mut latest = 3.0;
        let mut last = step(&mut router, 3, latest);
        let mut seen = [0, 0];
        for at in 4..200 {
            let norm = at as f64;
            if last == "sft" {
                latest = norm;
            }
            last = step(&mut router, at, norm);
            assert_eq!(router.measured.latest, latest, "step {at}");
            seen[usize::from(last == "rl")] += 1;
        }
        assert!(seen[0] > 20 && seen[1] > 0, "{seen:?}");
    }

    #[test]
    fn small_gradients_mean_rl_and_large_ones_sft() {
        let share = |norm: f64| {
            let mut router = warm(1.0);
            step(&mut router, 3, 3.0);
            (4..1004).filter(|&at| step(&mut router, at, norm) == "sft").count() as f64 / 1000.0
        };
        assert!((share(2.0) - 0.5).abs() < 0.05, "{}", share(2.0));
        assert!(share(0.1) < 0.1 && share(40.0) > 0.9);
    }

    #[test]
    fn saved_anywhere_it_goes_on_as_it_would_have() {
        let norm = |at: u64| 0.5 + (at * 7 % 5) as f64;
        let mut whole = SasrRouter::new("sft", "rl", 3, 1.0);
        let streams: Vec<String> = (0..40).map(|at| step(&mut whole, at, norm(at))).collect();
        for cut in 0..40 {
            let mut first = SasrRouter::new("sft", "rl", 3, 1.0);
            (0..cut).for_each(|at| drop(step(&mut first, at, norm(at))));
            let mut second = SasrRouter::new("sft", "rl", 3, 1.0);
            second.load(first.save()).expect("its own state");
            let rest: Vec<String> = (cut..40).map(|at| step(&mut second, at, norm(at))).collect();
            assert_eq!(rest, streams[cut as usize..], "cut at {cut}");
        }
    }
}
