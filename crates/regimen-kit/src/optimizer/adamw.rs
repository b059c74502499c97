//! `adamw`: Adam with decoupled weight decay (Loshchilov and Hutter 2019), PyTorch's arithmetic, with parameter groups.

use std::ops::Range;

use regimen_base::{State, StateError};
use regimen_core::optimizer::{Optimizer, StepCx};
use regimen_core::registry::Piece;
use regimen_kernels::AdamW as Hyper;
use regimen_nn::Params;
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// Settings for the parameters whose path matches a pattern.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamGroup {
    /// A path of the layout, `*` matching anything: `model.embed_tokens.*`.
    pub pattern: String,
    /// Factor on the learning rate.
    pub lr_scale: f64,
    /// Weight decay of the group; the optimiser's own when absent.
    pub weight_decay: Option<f64>,
}

/// AdamW over flat slices.
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Whether vectors (norms, biases) decay too.
    pub decay_vectors: bool,
    /// Exceptions; the first match counts.
    pub groups: Vec<ParamGroup>,
    moments: Moments,
}

#[derive(Default)]
struct Moments {
    step: u64,
    first: Vec<f32>,
    second: Vec<f32>,
    runs: Vec<Run>,
}

/// Neighbouring parameters with the same settings.
struct Run {
    range: Range<usize>,
    lr_scale: f64,
    weight_decay: f64,
}

impl AdamW {
    /// An optimiser without any state yet.
    pub fn new(
        betas: (f64, f64),
        eps: f64,
        weight_decay: f64,
        decay_vectors: bool,
        groups: Vec<ParamGroup>,
    ) -> Self {
        let (beta1, beta2) = betas;
        Self { beta1, beta2, eps, weight_decay, decay_vectors, groups, moments: Moments::default() }
    }

    fn settings(&self, path: &str, dims: usize) -> (f64, f64) {
        let own = if dims > 1 || self.decay_vectors { self.weight_decay } else { 0.0 };
        match self.groups.iter().find(|g| regimen_nn::matches(&g.pattern, path)) {
            Some(group) => (group.lr_scale, group.weight_decay.unwrap_or(own)),
            None => (1.0, own),
        }
    }
}

impl Optimizer for AdamW {
    fn attach(&mut self, params: &Params) {
        let mut runs: Vec<Run> = Vec::new();
        for (entry, trains) in params.layout().entries().iter().zip(params.train()) {
            if !trains {
                continue;
            }
            let (lr_scale, weight_decay) = self.settings(&entry.path, entry.shape.len());
            match runs.last_mut() {
                Some(run)
                    if run.range.end == entry.range.start
                        && run.lr_scale == lr_scale
                        && run.weight_decay == weight_decay =>
                {
                    run.range.end = entry.range.end;
                }
                _ => runs.push(Run { range: entry.range.clone(), lr_scale, weight_decay }),
            }
        }
        let n = params.len();
        self.moments = Moments { step: 0, first: vec![0.0; n], second: vec![0.0; n], runs };
    }

    fn step(&mut self, params: &mut Params, grads: &[f32], cx: StepCx) {
        let Moments { step, first, second, runs } = &mut self.moments;
        *step += 1;
        for run in runs {
            let hyper = Hyper {
                lr: (cx.lr * run.lr_scale) as f32,
                beta1: self.beta1 as f32,
                beta2: self.beta2 as f32,
                eps: self.eps as f32,
                weight_decay: run.weight_decay as f32,
            };
            let r = run.range.clone();
            regimen_kernels::adamw(
                params.full_mut(r.clone()),
                &grads[r.clone()],
                &mut first[r.clone()],
                &mut second[r],
                *step,
                cx.scale as f32,
                &hyper,
            );
        }
    }

    fn save(&self, params: &Params) -> State {
        let mut state = State::new().with("step", self.moments.step);
        for (entry, trains) in params.layout().entries().iter().zip(params.train()) {
            if *trains {
                for (name, moments) in [("first", &self.moments.first), ("second", &self.moments.second)] {
                    state = state
                        .with_array(&format!("{name}/{}", entry.path), moments[entry.range.clone()].to_vec());
                }
            }
        }
        state
    }

    fn load(&mut self, params: &Params, mut state: State) -> Result<(), StateError> {
        self.attach(params);
        self.moments.step = state.take_u64("step")?;
        for (entry, trains) in params.layout().entries().iter().zip(params.train()) {
            if *trains {
                let len = entry.range.len();
                let first = state.take_array(&format!("first/{}", entry.path), len)?;
                let second = state.take_array(&format!("second/{}", entry.path), len)?;
                self.moments.first[entry.range.clone()].copy_from_slice(&first);
                self.moments.second[entry.range.clone()].copy_from_slice(&second);
            }
        }
        state.finish()
    }

    fn bytes(&self, parameters: u64) -> u64 {
        8 * parameters
    }
}

const GROUP: &[Field] = &[
    Field::new("match", Ty::Str, "parameter paths, `*` matching anything: `model.embed_tokens.*`").required(),
    Field::new("lr-scale", Ty::Float, "factor on the learning rate").or("1.0").min(0.0),
    Field::new("weight-decay", Ty::Float, "weight decay of this group").min(0.0),
];

pub(super) const PIECE: Piece<dyn Optimizer> = Piece {
    spec: KindSpec::new(
        Room::Optimizer,
        "adamw",
        "Adam with decoupled weight decay, PyTorch's arithmetic",
        &[
            Field::new("betas", Ty::List(&Ty::Float), "decay of the first and second moment")
                .or("[0.9, 0.999]")
                .aliases(&["adam-betas"]),
            Field::new("eps", Ty::Float, "added to the root of the second moment")
                .or("1e-8")
                .above(0.0)
                .aliases(&["adam-epsilon"]),
            Field::new("weight-decay", Ty::Float, "decoupled weight decay").or("0.0").min(0.0),
            Field::new("decay-vectors", Ty::Bool, "decay norms and biases too").or("false"),
            Field::new(
                "group",
                Ty::List(&Ty::Table(GROUP)),
                "exceptions by parameter path; the first match counts",
            )
            .or("[]"),
        ],
    )
    .source("Loshchilov and Hutter 2019 (arXiv:1711.05101)")
    .example(r#"{ kind = "adamw", betas = [0.9, 0.95], weight-decay = 0.1 }"#)
    .standard(),
    build: |node, _| {
        let betas = node.f64s("betas");
        let &[beta1, beta2] = betas.as_slice() else {
            return Err(node.error("`betas` needs two numbers, such as [0.9, 0.999]"));
        };
        if [beta1, beta2].iter().any(|b| !(0.0..1.0).contains(b)) {
            return Err(node.error("`betas` must be at least 0 and below 1"));
        }
        let group = |g: &regimen_recipe::Node| ParamGroup {
            pattern: g.str("match").to_owned(),
            lr_scale: g.f64("lr-scale"),
            weight_decay: g.opt_f64("weight-decay"),
        };
        let groups = node.list("group").iter().map(group).collect();
        let (eps, decay) = (node.f64("eps"), node.f64("weight-decay"));
        Ok(Box::new(AdamW::new((beta1, beta2), eps, decay, node.bool("decay-vectors"), groups)))
    },
};
