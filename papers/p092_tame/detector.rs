//! `loss-shift`: which expert of a net reads a stream, told by the loss alone.
//!
//! While the smoothed loss of the active expert stays near its own mean, nothing happens. When it jumps above mean + κ·std, the
//! task is taken to have changed. For a few steps the next unused expert reads the stream while every expert's loss on it is
//! measured; then the one that fits within its own band takes over, or, when none does, the new one stays.
//! (arXiv:2210.03869; constants are ours.)

use regimen_base::{Key, Persist, State, StateError};
use regimen_core::controller::{Action, Controller, Event, Signals, Wiring};
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Names, Room, Ty};
use serde_json::Value;

/// The settings, and what is known of each expert.
pub struct LossShift {
    /// The knob that says which expert reads the stream.
    pub knob: String,
    /// Experts that there are.
    pub experts: usize,
    /// κ.
    pub kappa: f64,
    /// The share of the newest loss in the smoothed one.
    pub smooth: f64,
    /// Steps after a change in which no other is looked for, and nothing enters the band.
    pub residence: u64,
    /// Steps over which all experts are compared after a jump.
    pub window: u64,
    known: Known,
}

/// What changes from step to step.
#[derive(Clone, PartialEq, Debug)]
struct Known {
    active: usize,
    /// Experts that were ever used.
    used: usize,
    /// Steps since the last change.
    since: u64,
    /// The smoothed loss of the active expert; none yet after a change.
    smoothed: Option<f64>,
    /// Of each used expert the mean and the variance of its smoothed loss while it was active, and how many entered them.
    bands: Vec<[f64; 3]>,
    /// While experts are compared: how many steps so far, and the sums of their losses.
    compared: Option<(u64, Vec<f64>)>,
}

/// Steps that a band must have before it tells anything.
const FEWEST: f64 = 20.0;
/// How much of a band the newest value is, once there are many.
const NEWEST: f64 = 0.05;
/// A band is never narrower than this share of its mean, and this many nats.
const NARROWEST: (f64, f64) = (0.1, 0.02);

impl LossShift {
    fn new(knob: &str, experts: usize, kappa: f64, smooth: f64, residence: u64, window: u64) -> Self {
        let bands = vec![[0.0; 3]; experts];
        let known = Known { active: 0, used: 1, since: 0, smoothed: None, bands, compared: None };
        Self { knob: knob.to_owned(), experts, kappa, smooth, residence, window, known }
    }

    /// What a loss of expert `k` has to stay below.
    fn limit(&self, k: usize) -> f64 {
        let [mean, variance, _] = self.known.bands[k];
        let (share, nats) = NARROWEST;
        mean + self.kappa * variance.sqrt().max(share * mean).max(nats)
    }

    /// The step before had these losses.
    fn hear(&mut self, losses: &[f64]) {
        self.known.since += 1;
        if let Some((steps, mut sums)) = self.known.compared.take() {
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
            if steps + 1 < self.window {
                self.known.compared = Some((steps + 1, sums));
            } else {
                self.decide(&sums);
            }
            return;
        }
        let Some(&loss) = losses.get(self.known.active) else { return };
        let smoothed = match self.known.smoothed {
            Some(before) => before + self.smooth * (loss - before),
            None => loss,
        };
        self.known.smoothed = Some(smoothed);
        if self.known.since <= self.residence {
            return;
        }
        let active = self.known.active;
        if self.known.bands[active][2] >= FEWEST && smoothed > self.limit(active) {
            self.known.compared = Some((0, vec![0.0; self.experts]));
            // an unused expert reads on meanwhile, so that no other one forgets
            self.known.active = self.known.used.min(self.experts - 1);
            return;
        }
        let [mean, variance, count] = &mut self.known.bands[active];
        *count += 1.0;
        let share = (1.0 / *count).max(NEWEST);
        let apart = smoothed - *mean;
        *mean += share * apart;
        *variance = (1.0 - share) * (*variance + share * apart * apart);
    }

    /// After the comparison: the used expert that fits best, or the next one.
    fn decide(&mut self, sums: &[f64]) {
        let loss = |k: usize| sums[k] / self.window as f64;
        let fits =
            (0..self.known.used).filter(|&k| self.known.bands[k][2] >= FEWEST && loss(k) <= self.limit(k));
        let best = fits.min_by(|&a, &b| loss(a).total_cmp(&loss(b)));
        match best {
            Some(k) => self.known.active = k,
            None if self.known.used < self.experts => {
                self.known.active = self.known.used;
                self.known.used += 1;
            }
            None => self.known.active = self.experts - 1,
        }
        (self.known.since, self.known.smoothed) = (0, None);
    }
}

impl Controller for LossShift {
    fn wiring(&self) -> Wiring {
        let reads = (0..self.experts).map(|k| format!("path/{k}/loss")).collect();
        Wiring { reads, writes: vec![self.knob.clone()] }
    }

    fn react(&mut self, _: Event, signals: &Signals, _: Key) -> Vec<Action> {
        let losses: Option<Vec<f64>> =
            (0..self.experts).map(|k| signals.get(&format!("path/{k}/loss")).copied()).collect();
        if let Some(losses) = losses {
            self.hear(&losses);
        }
        vec![Action::Set { knob: self.knob.clone(), value: self.known.active as f64 }]
    }
}

impl Persist for LossShift {
    fn save(&self) -> State {
        let k = &self.known;
        let bands: Vec<f64> = k.bands.iter().flatten().copied().collect();
        let (steps, sums) = k.compared.clone().unwrap_or_default();
        State::new()
            .with("active", k.active as u64)
            .with("used", k.used as u64)
            .with("since", k.since)
            .with("smoothed", k.smoothed)
            .with("bands", bands)
            .with("compares", k.compared.is_some())
            .with("steps", steps)
            .with("sums", sums)
    }

    fn load(&mut self, mut state: State) -> Result<(), StateError> {
        let wrong = |name: &str| StateError(format!("`{name}` of the saved state is not what it should be"));
        let mut numbers = |name: &str| {
            let value = state.take(name)?;
            let list =
                value.as_array().map(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
            list.flatten().ok_or_else(|| wrong(name))
        };
        let (bands, sums) = (numbers("bands")?, numbers("sums")?);
        if bands.len() != 3 * self.experts {
            return Err(wrong("bands"));
        }
        let compares = state.take("compares")?.as_bool().ok_or_else(|| wrong("compares"))?;
        let steps = state.take_u64("steps")?;
        self.known = Known {
            active: state.take_u64("active")? as usize,
            used: state.take_u64("used")? as usize,
            since: state.take_u64("since")?,
            smoothed: state.take("smoothed")?.as_f64(),
            bands: bands.chunks(3).map(|b| [b[0], b[1], b[2]]).collect(),
            compared: compares.then_some((steps, sums)),
        };
        if self.known.active >= self.experts || self.known.used > self.experts {
            return Err(wrong("active"));
        }
        state.finish()
    }
}

pub(super) const PIECE: Piece<dyn Controller> = Piece {
    spec: KindSpec::new(
        Room::Controller,
        "loss-shift",
        "a jump of the loss tells that the task has changed: an expert that fits takes over, or an unused one",
        &[
            Field::new("knob", Ty::Name(Names::Knob), "which path reads the stream: `stream.NAME.path`").required(),
            Field::new("experts", Ty::Count, "paths that can be experts, the first ones").required().min(1.0),
            Field::new("kappa", Ty::Float, "κ: standard deviations above the mean that are a jump")
                .or("4.0")
                .above(0.0),
            Field::new("smooth", Ty::Float, "share of the newest loss in the smoothed one")
                .or("0.2")
                .above(0.0)
                .max(1.0),
            Field::new("residence", Ty::Count, "steps after a change in which no other is looked for").or("60"),
            Field::new("window", Ty::Count, "steps over which experts are compared after a jump").or("5").min(1.0),
        ],
    )
    .source("arXiv:2210.03869")
    .example(r#"{ kind = "loss-shift", knob = "stream.digits.path", experts = 8 }"#),
    build: |node, _| {
        let (knob, experts) = (node.str("knob"), node.usize("experts"));
        let (kappa, smooth) = (node.f64("kappa"), node.f64("smooth"));
        Ok(Box::new(LossShift::new(knob, experts, kappa, smooth, node.u64("residence"), node.u64("window"))))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Three tasks' losses under four experts: an expert that was trained on a task does it well, any other badly.
    struct World {
        /// Which task each expert has learned.
        learned: [Option<usize>; 4],
    }

    impl World {
        fn losses(&self, task: usize, step: u64) -> Vec<f64> {
            let noise = |k: u64| 0.05 * (Key::new(4).at(step).at(k).rng().f64() - 0.5);
            let loss = |(k, learned): (usize, &Option<usize>)| {
                let mean = if *learned == Some(task) { 0.3 } else { 2.5 };
                mean + noise(k as u64)
            };
            self.learned.iter().enumerate().map(loss).collect()
        }

        fn steps(
            &mut self,
            detector: &mut LossShift,
            task: usize,
            steps: std::ops::Range<u64>,
        ) -> Vec<usize> {
            let mut active = Vec::new();
            for step in steps {
                let signals: Signals = self
                    .losses(task, step)
                    .into_iter()
                    .enumerate()
                    .map(|(k, loss)| (format!("path/{k}/loss"), loss))
                    .collect();
                let event = Event::Step { step, total: None };
                match detector.react(event, &signals, Key::new(0)).as_slice() {
                    [Action::Set { value, .. }] => active.push(*value as usize),
                    other => panic!("{other:?}"),
                }
                // a few steps are enough to learn a task
                if detector.known.since == 10 && detector.known.compared.is_none() {
                    self.learned[detector.known.active] = Some(task);
                }
            }
            active
        }
    }

    fn detector() -> LossShift {
        LossShift::new("stream.x.path", 4, 4.0, 0.2, 30, 5)
    }

    #[test]
    fn new_tasks_get_experts_and_old_ones_their_own() {
        let (mut world, mut detector) = (World { learned: [None; 4] }, detector());
        let first = world.steps(&mut detector, 0, 0..150);
        assert!(first.iter().all(|&k| k == 0), "no false alarm");
        let second = world.steps(&mut detector, 1, 150..300);
        assert_eq!(second[149], 1);
        assert!(second.iter().position(|&k| k == 1).is_some_and(|delay| delay < 5));
        let again = world.steps(&mut detector, 0, 300..450);
        assert_eq!((again[149], detector.known.used), (0, 2), "an old task spawns nothing");
        let third = world.steps(&mut detector, 2, 450..600);
        assert_eq!((third[149], detector.known.used), (2, 3));
    }

    #[test]
    fn saved_anywhere_it_goes_on_as_it_would_have() {
        let run = |cut: Option<u64>| {
            let (mut world, mut detector) = (World { learned: [None; 4] }, detector());
            let mut all = Vec::new();
            for step in 0..320 {
                if cut == Some(step) {
                    let state = detector.save();
                    detector = LossShift::new("stream.x.path", 4, 4.0, 0.2, 30, 5);
                    detector.load(state).expect("its own state");
                }
                let task = if step < 120 { 0 } else { 1 + usize::from(step >= 230) };
                all.extend(world.steps(&mut detector, task, step..step + 1));
            }
            all
        };
        let whole = run(None);
        for cut in [0, 1, 31, 100, 121, 123, 124, 126, 150, 231, 233, 236, 300] {
            assert_eq!(run(Some(cut)), whole, "cut at {cut}");
        }
    }
}
