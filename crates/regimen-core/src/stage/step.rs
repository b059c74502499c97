//! One optimiser step.

use regimen_base::{Error, Result};
use regimen_kernels::{first_not_finite, global_norm, span};

use super::gradient::{Work, accumulate};
use super::paths::{loss_of, paths_of, place};
use super::{Feed, Stage, Stream};
use crate::controller::{Action, Event};
use crate::feed::{Judged, Rolled};
use crate::knobs::Knobs;
use crate::objective::Readings;
use crate::optimizer::StepCx;
use crate::picks::Unit;
use crate::probe::look;
use crate::rollout::Decoder;

/// Groups of one stream as they were drawn in a step.
pub type Drawn = (String, Vec<Judged>);

/// What a step leaves behind besides new weights.
pub struct Stepped {
    /// Its readings, by metric name.
    pub readings: Readings,
    /// Episodes that were drawn in it.
    pub drawn: Vec<Drawn>,
}

/// What the controllers want before a step.
pub enum Verdict {
    /// Train the streams named, or all.
    Go(Option<String>),
    /// End the stage here.
    Stop(String),
}

impl Stage {
    /// Asks the controllers, in order, and turns the knobs.
    pub(super) fn consult(&mut self) -> Result<Verdict> {
        let step = self.counters.step;
        let event = Event::Step { step, total: Some(self.total) };
        let mut route = None;
        for (name, controller) in &mut self.controllers {
            let key = self.key.child("controller").child(name).at(step);
            for action in controller.react(event, &self.signals, key) {
                match action {
                    Action::Set { knob, value } => self.knobs.set(&knob, value),
                    Action::Route(stream) => route = Some(stream),
                    Action::Clamp(clamp) => self.clamps.turn(&clamp, true)?,
                    Action::Release(clamp) => self.clamps.turn(&clamp, false)?,
                    Action::Stop(why) => return Ok(Verdict::Stop(why)),
                }
            }
        }
        Ok(Verdict::Go(route))
    }

    /// batch → forward → terms → reduce → backward → update, for the streams that `route` lets through.
    pub(super) fn step(&mut self, route: Option<&str>) -> Result<Stepped> {
        let mut stepped = Stepped { readings: Readings::default(), drawn: Vec::new() };
        let version = self.counters.step;
        self.policy.net.zero_grads();
        let mut streams = std::mem::take(&mut self.streams);
        let outcome = self.run_streams(&mut streams, route, &mut stepped);
        self.streams = streams;
        let loss = outcome?;
        if let Some(route) = route {
            for stream in &self.streams {
                let trained = f64::from(u8::from(stream.name == route));
                stepped.readings.set(&format!("routed/{}", stream.name), trained);
            }
        }
        if !loss.is_finite() {
            return Err(self.diverged("the loss", loss));
        }
        let part = span("update");
        self.policy.net.finish_grads();
        for (name, value) in self.update.before(self.policy.net.as_mut(), version) {
            stepped.readings.set(name, value);
        }
        let norm = global_norm(self.policy.net.grads());
        if !norm.is_finite() {
            return Err(self.diverged("the gradient's norm", norm));
        }
        let lr = self.knobs.get("lr", self.lr) * self.schedule.factor(version, self.total);
        let clip = self.knobs.get("max-grad-norm", self.max_grad_norm);
        let scale = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        let (params, grads) = self.policy.net.params_and_grads();
        self.optimizer.step(params, grads, StepCx { lr, scale });
        let trained = params.train_ranges();
        if let Some(bad) = trained.into_iter().find_map(|range| first_not_finite(params.full(range))) {
            return Err(self.diverged("a weight", f64::from(bad)));
        }
        self.update.after(self.policy.net.as_ref(), version);
        drop(part);
        self.counters.step += 1;
        let r = &mut stepped.readings;
        r.set("loss", loss);
        r.set("grad_norm", norm);
        r.set("learning_rate", lr);
        r.set("num_tokens", self.counters.tokens as f64);
        if let Some(epoch) = self.streams.iter().find_map(|s| s.feed.epoch()) {
            r.set("epoch", epoch);
        }
        self.signals = r.values();
        Ok(stepped)
    }

    fn run_streams(
        &mut self,
        streams: &mut [Stream],
        route: Option<&str>,
        stepped: &mut Stepped,
    ) -> Result<f64> {
        let many = streams.len() > 1;
        let clamps = self.clamps.rules();
        let looks = !self.probes.is_empty() && self.probe_periods.due(self.counters.step + 1);
        let mut loss = 0.0;
        for stream in streams.iter_mut().filter(|s| route.is_none_or(|r| r == s.name)) {
            let weight = self.knobs.get(&format!("stream.{}.weight", stream.name), stream.weight);
            if weight == 0.0 {
                continue;
            }
            let mut readings = Readings::default();
            let (units, temperature, fresh) = self.feed(stream, &mut readings, &mut stepped.drawn)?;
            let factors = factors(stream, weight, &self.knobs);
            self.count(&units, stream.objectives.iter().any(|o| !o.objective.needs().nets.is_empty()));
            let work = Work {
                units: &units,
                objectives: &stream.objectives,
                factors,
                temperature,
                cap: self.micro_batch_tokens,
                fresh,
                dropout: self.dropout(stream),
                clamps: &clamps,
            };
            let own = accumulate(self.policy.net.as_mut(), &mut self.casts, &work, &mut readings)?;
            loss += own;
            if looks {
                let _part = span("probe");
                let net = self.policy.net.as_mut();
                look(net, &units, self.micro_batch_tokens, &clamps, &self.probes, &mut readings)?;
            }
            if many {
                readings.set("loss", own);
            }
            merge(&mut stepped.readings, &readings, many.then_some(stream.name.as_str()));
        }
        Ok(loss)
    }

    /// What decides which inputs the adapters drop in this step. Drawn completions are trained on as they were drawn: by
    /// the whole net.
    fn dropout(&self, stream: &Stream) -> Option<u64> {
        let lora = self.policy.net.arch().decoder().and_then(|shape| shape.lora);
        let drops = lora.is_some_and(|lora| lora.dropout > 0.0);
        let key = || self.key.child("dropout").child(&stream.name).at(self.counters.step);
        (drops && matches!(stream.feed, Feed::Data(_))).then(|| key().to_u128() as u64)
    }

    /// The stream's next units, the temperature of their log-probs, and whether they were drawn just now.
    fn feed(
        &mut self,
        stream: &mut Stream,
        readings: &mut Readings,
        drawn: &mut Vec<Drawn>,
    ) -> Result<(Vec<Unit>, f32, bool)> {
        let step = self.counters.step;
        match &mut stream.feed {
            Feed::Data(feed) => {
                let _part = span("data");
                let mut fresh = feed.next(step)?;
                let Some(placing) = stream.placing else {
                    fresh.extend(feed.recall(step, 0)?.into_iter().map(|(unit, _)| unit));
                    return Ok((fresh, 1.0, false));
                };
                let net = self.policy.net.as_mut();
                let of = paths_of(net)?;
                for path in 0..placing.compare {
                    let there = fresh.iter().map(|unit| place(unit, path, of)).collect::<Result<Vec<_>>>()?;
                    readings.set(&format!("path/{path}/loss"), loss_of(net, &there)?);
                }
                let path = self.knobs.get(&format!("stream.{}.path", stream.name), placing.path as f64);
                readings.set("path/now", path);
                let path = path.max(0.0) as usize;
                let mut units = fresh.iter().map(|unit| place(unit, path, of)).collect::<Result<Vec<_>>>()?;
                for (unit, path) in feed.recall(step, path)? {
                    units.push(place(&unit, path, of)?);
                }
                Ok((units, 1.0, false))
            }
            Feed::Rollout(feed) => {
                let lead = format!("stream.{}.rollout.", stream.name);
                let settings = feed.rollout.settings_mut();
                settings.sampling.temperature =
                    self.knobs.get(&format!("{lead}temperature"), f64::from(settings.sampling.temperature))
                        as f32;
                let temperature = settings.sampling.temperature;
                let mut go = |_: usize, _: u32| true;
                let generator = self.generator.as_mut();
                let mut decoder = Decoder {
                    generator: generator.ok_or_else(|| Error::failed("a net of numbers draws no tokens"))?,
                    weights: self.policy.net.params().weights(),
                    version: step,
                    tokenizer: self.policy.tokenizer()?,
                    on_token: &mut go,
                };
                let key = self.key.child("rollout").child(&stream.name).at(step);
                let Rolled { units, fresh } = feed.next(&mut decoder, key, step, readings)?;
                let is_fresh = fresh.is_some();
                if let Some(groups) = fresh {
                    let tokens =
                        groups.iter().flat_map(|(g, ..)| &g.episodes).map(|e| e.drawn() as u64).sum::<u64>();
                    self.counters.generated += tokens;
                    self.counters.flops += 2.0 * self.policy.parameters() as f64 * tokens as f64;
                    drawn.push((stream.name.clone(), groups));
                }
                Ok((units, temperature, is_fresh))
            }
        }
    }

    fn count(&mut self, units: &[Unit], reads_others: bool) {
        let tokens: u64 = units.iter().map(|u| u.size() as u64).sum();
        let loss_tokens: usize = units.iter().map(Unit::places).sum();
        self.counters.tokens += tokens;
        self.counters.loss_tokens += loss_tokens as u64;
        self.counters.units += units.len() as u64;
        // frozen weights have no gradient of their own
        let trained: usize = self.policy.net.params().train_ranges().iter().map(ExactSizeIterator::len).sum();
        let per_weight = if reads_others { 6.0 } else { 4.0 };
        let per_token = per_weight * self.policy.parameters() as f64 + 2.0 * trained as f64;
        self.counters.flops += per_token * tokens as f64;
    }

    fn diverged(&self, what: &str, value: f64) -> Error {
        Error::failed(format!("{what} is {value} at step {}", self.counters.step + 1))
            .remedy("lower `lr`, lengthen the warm-up, or lower `max-grad-norm`")
    }
}

/// Objective factors now: coefficient × stream weight.
fn factors(stream: &Stream, weight: f64, knobs: &Knobs) -> Vec<f64> {
    let coef = |(i, o): (usize, &crate::objective::Weighted)| {
        let by_name = format!("stream.{}.objective.{}.coef", stream.name, o.name);
        let by_index = format!("stream.{}.objective.{i}.coef", stream.name);
        knobs.get(&by_name, knobs.get(&by_index, o.coef)) * weight
    };
    stream.objectives.iter().enumerate().map(coef).collect()
}

/// Readings of a stream; with several streams their names go before the metric's.
fn merge(all: &mut Readings, own: &Readings, stream: Option<&str>) {
    for (name, value) in own.values() {
        match stream {
            Some(stream) => all.set(&format!("{stream}/{name}"), value),
            None => all.set(&name, value),
        }
    }
}
