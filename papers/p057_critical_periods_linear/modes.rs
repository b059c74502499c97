//! `separate-modes`: a linear map that is diagonal, seen through several paths at once.
//!
//! Item i is the i-th unit vector on every path that is lit, and the wanted output is s_i times the same unit vector. A net
//! whose paths are added has to share each mode between them.

use regimen_base::{Key, Result, Split};
use regimen_core::registry::Piece;
use regimen_data::task::{Judgement, Parse, Task};
use regimen_data::{Body, Example, ExampleId, Features, Goal, Wanted};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// The items of the task, which are few and always the same.
struct SeparateModes(Vec<Example>);

impl SeparateModes {
    fn new(strengths: &[f64], paths: usize, dark: &[u64]) -> Self {
        let n = strengths.len();
        let item = |i: usize| {
            let mut values = vec![0.0; n * paths];
            for path in (0..paths).filter(|p| !dark.contains(&(*p as u64))) {
                values[path * n + i] = 1.0;
            }
            let wanted = |output: usize| {
                let value = if output == i { strengths[i] as f32 } else { 0.0 };
                Wanted { output: output as u32, value }
            };
            let goal = Goal::Values((0..n).map(wanted).collect());
            let id = ExampleId { source: 0, index: i as u64 };
            Example::new(id, Body::Features(Features { values, goal }))
        };
        Self((0..n).map(item).collect())
    }
}

impl Task for SeparateModes {
    fn name(&self) -> &'static str {
        "separate-modes"
    }

    fn example(&self, _: Split, key: Key) -> Example {
        self.0[key.rng().index(self.0.len())].clone()
    }

    fn list(&self, _: Split) -> Option<&[Example]> {
        Some(&self.0)
    }

    fn judge(&self, _: &Example, _: &str) -> Judgement {
        Judgement { score: 0.0, parse: Parse::Missing }
    }

    fn alphabet(&self) -> String {
        String::new()
    }
}

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "separate-modes",
        "unit vectors on several paths at once, wanted s_i times as large: a diagonal linear map",
        &[
            Field::new("strengths", Ty::List(&Ty::Float), "s of each mode").required(),
            Field::new("paths", Ty::Count, "paths that see the vector").or("2").min(1.0),
            Field::new("dark", Ty::List(&Ty::Count), "paths that see zeros instead").or("[]"),
        ],
    )
    .example(r#"{ kind = "separate-modes", strengths = [1.0, 0.5] }"#),
    build: |node, _| build(&node.f64s("strengths"), node.usize("paths"), &node.u64s("dark")),
};

fn build(strengths: &[f64], paths: usize, dark: &[u64]) -> Result<Box<dyn Task>> {
    if strengths.is_empty() {
        return Err(regimen_base::Error::usage("`strengths` has no modes"));
    }
    Ok(Box::new(SeparateModes::new(strengths, paths, dark)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regimen_core::model::Model;
    use regimen_core::objective::{LossCx, Objective};
    use regimen_core::optimizer::{Optimizer, StepCx};
    use regimen_core::{Content, Flat, Picks, Unit};
    use regimen_kit::objective::SquaredError;
    use regimen_kit::optimizer::Sgd;
    use regimen_nn::{Arch, Device, Elementwise, Mlp, MlpInit, Taps, Want, build as build_net};
    use std::collections::BTreeMap;

    const STRENGTHS: [f64; 3] = [1.4, 1.0, 0.8];
    const DT: f64 = 0.01;

    fn net(depth: usize) -> Model {
        let n = STRENGTHS.len();
        let mlp = Mlp {
            inputs: n,
            hidden: vec![n; depth - 1],
            outputs: n,
            between: Elementwise::Linear,
            bias: false,
            paths: 2,
        };
        let mut net = build_net(&Arch::Mlp(mlp.clone()), &Device::cpu()).expect("it is sound");
        MlpInit::Diagonal { product: 0.01, jitter: 0.1 }.apply(&mlp, net.params_mut(), Key::new(1));
        Model::new(net, None)
    }

    /// The factor that each path has in each mode, from its first layer.
    fn factors(model: &Model, depth: usize) -> Vec<[f64; 2]> {
        let n = STRENGTHS.len();
        let weight = |p: usize, i: usize| {
            let own = |l: usize| {
                let path = format!("paths.{p}.layers.{l}.weight");
                f64::from(model.net.params().get(&path).expect("it is there")[i * n + i])
            };
            (0..depth).map(own).product::<f64>().powf(1.0 / depth as f64)
        };
        (0..n).map(|i| [weight(0, i), weight(1, i)]).collect()
    }

    /// A step of the classical fourth-order Runge–Kutta method.
    fn flow(p: [f64; 2], s: f64, depth: i32, moves: [f64; 2]) -> [f64; 2] {
        let slope = |p: [f64; 2]| {
            let error = s - p[0].powi(depth) - p[1].powi(depth);
            [0, 1].map(|i| moves[i] * p[i].powi(depth - 1) * error)
        };
        let ahead = |by: f64, k: [f64; 2]| [0, 1].map(|i| p[i] + by * k[i]);
        let k1 = slope(p);
        let k2 = slope(ahead(DT / 2.0, k1));
        let k3 = slope(ahead(DT / 2.0, k2));
        let k4 = slope(ahead(DT, k3));
        [0, 1].map(|i| p[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
    }

    /// The net, trained by the loop's own pieces, follows the differential equation within 5 % of s at every step, through
    /// a window in which the second path is frozen.
    #[test]
    fn the_net_follows_its_differential_equation() {
        for depth in [2, 4, 6] {
            let mut model = net(depth);
            let task = SeparateModes::new(&STRENGTHS, 2, &[]);
            let unit = |example: &Example| match &example.body {
                Body::Features(features) => Unit {
                    example: example.id,
                    content: Content::Features(features.clone()),
                    weight: 1.0,
                    advantage: None,
                    side: None,
                },
                other => panic!("{other:?}"),
            };
            let units: Vec<Unit> = task.0.iter().map(unit).collect();
            let (picks, flat) = (Picks::of(&units), Flat::of(&units).expect("rows"));
            let mut ode = factors(&model, depth);
            let mut sgd = Sgd::new(0.0);
            sgd.attach(model.net.params());
            let want = Want { grad: true, values: true, ..Want::default() };
            let (device, others) = (Device::cpu(), BTreeMap::new());
            let mut worst: f64 = 0.0;
            for step in 0..1000 {
                let frozen = step < 150;
                model.net.params_mut().set_train("paths.1.*", !frozen);
                model.net.zero_grads();
                let inputs = flat.inputs(&picks.picks, 1.0);
                let policy = model.net.forward(&inputs, want, &mut Taps::none()).expect("it fits");
                let cx = LossCx { picks: &picks, policy: &policy, others: &others, device: &device };
                let loss = SquaredError.term(&cx).expect("it has values").value.sum();
                model.net.backward(&mut loss.backward()).expect("a pass is pending");
                model.net.finish_grads();
                let (params, grads) = model.net.params_and_grads();
                sgd.step(params, grads, StepCx { lr: DT, scale: 1.0 });
                let moves = [1.0, if frozen { 0.0 } else { 1.0 }];
                for ((ode, net), s) in ode.iter_mut().zip(factors(&model, depth)).zip(STRENGTHS) {
                    *ode = flow(*ode, s, depth as i32, moves);
                    for i in 0..2 {
                        let apart = net[i].powi(depth as i32) - ode[i].powi(depth as i32);
                        worst = worst.max(apart.abs() / s);
                    }
                }
            }
            assert!(worst < 0.05, "depth {depth}: {worst}");
            assert!(worst > 1e-6, "a discrete step is not the flow");
        }
    }

    #[test]
    fn dark_paths_see_nothing_and_the_wanted_values_stay() {
        let task = SeparateModes::new(&STRENGTHS, 2, &[0]);
        let Body::Features(features) = &task.0[1].body else { panic!("rows of numbers") };
        assert_eq!(features.values, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let Goal::Values(wanted) = &features.goal else { panic!("values") };
        assert_eq!(wanted.iter().map(|w| w.value).collect::<Vec<_>>(), [0.0, 1.0, 0.0]);
    }
}
