//! Training, measured on the one training loop: data stream, objective, reduction, optimiser and all.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Key, Result};
use regimen_core::build::micro_batch_tokens;
use regimen_core::feed::{DataFeed, Judges, Supply};
use regimen_core::generate::Generator;
use regimen_core::model::Model;
use regimen_core::objective::Weighted;
use regimen_core::run::Clock;
use regimen_core::stage::{Counters, Drawn, Feed, Progress, Stage, Stream, Watch, train};
use regimen_core::{Knobs, Reduce};
use regimen_data::sampler::Sequence;
use regimen_data::{Catalogue, Ledger, Source};
use regimen_kit::objective::CrossEntropy;
use regimen_kit::optimizer::AdamW;
use regimen_kit::schedule::{Shape, Shaped, Warmup};

use super::Size;
use super::tokens::Documents;

/// Steps that are left out of the median.
const WARM_UP: usize = 5;

/// What became of a training run.
#[derive(Debug)]
pub struct Trained {
    /// Seconds of every step, from the end of the one before: making the tokens and reading the loss are inside.
    pub seconds: Vec<f64>,
    /// The loss of every step, before its update.
    pub losses: Vec<f64>,
    /// When the first step was done, in seconds since 1970.
    pub first: f64,
}

impl Trained {
    /// Seconds of the steps that count.
    pub fn kept(&self) -> &[f64] {
        self.seconds.get(WARM_UP..).filter(|kept| !kept.is_empty()).unwrap_or(&self.seconds)
    }
}

/// Trains `model` for `steps` steps: AdamW, lr 1e-3, betas 0.9 and 0.999, decay 0.01 on every parameter, no clipping.
///
/// # Errors
/// What the loop says, such as a loss that is not finite.
pub fn run(size: Size, model: Model, steps: u64) -> Result<Trained> {
    let mut stage = stage(size, model, steps)?;
    let trained = Trained { seconds: Vec::new(), losses: Vec::new(), first: 0.0 };
    let mut watch = Stopwatch { clock: Clock::start(), trained };
    train(&mut stage, &mut watch)?;
    Ok(watch.trained)
}

fn stage(size: Size, model: Model, steps: u64) -> Result<Stage> {
    let source: Arc<dyn Source> = Arc::new(Documents(size));
    let catalogue = Catalogue::new(vec![source])?;
    let key = Key::new(0).child("bench");
    let supply = Supply {
        ledger: Ledger::new(&catalogue),
        catalogue,
        judges: Judges::default(),
        sampler: Box::new(Sequence::default()),
        key,
    };
    let context = model.shape().max_positions;
    let objective = Weighted {
        name: "cross-entropy".to_owned(),
        coef: 1.0,
        reduce: Reduce::PerToken,
        objective: Box::new(CrossEntropy),
    };
    let stream = Stream {
        name: "text".to_owned(),
        weight: 1.0,
        feed: Feed::Data(Box::new(DataFeed::new(supply, Vec::new(), size.batch(), context))),
        objectives: vec![objective],
    };
    let mut optimizer = AdamW::new((0.9, 0.999), 1e-8, 0.01, true, Vec::new());
    regimen_core::optimizer::Optimizer::attach(&mut optimizer, model.net.params());
    Ok(Stage {
        id: size.name().to_owned(),
        key,
        total: steps,
        generator: Generator::new(model.shape()),
        micro_batch_tokens: micro_batch_tokens(model.shape()),
        policy: model,
        casts: BTreeMap::new(),
        streams: vec![stream],
        optimizer: Box::new(optimizer),
        schedule: Box::new(Shaped { warmup: Warmup::Steps(0), floor: 0.0, shape: Shape::Constant }),
        lr: 1e-3,
        max_grad_norm: 0.0,
        controllers: Vec::new(),
        knobs: Knobs::default(),
        counters: Counters::default(),
        signals: BTreeMap::new(),
    })
}

/// Looks at the clock after every step.
struct Stopwatch {
    clock: Clock,
    trained: Trained,
}

impl Watch for Stopwatch {
    fn step(&mut self, progress: &Progress, _: &[Drawn]) -> Result<()> {
        self.trained.seconds.push(self.clock.lap());
        self.trained.losses.push(progress.readings.get("loss").copied().unwrap_or(f64::NAN));
        if progress.step == 1 {
            self.trained.first = Clock::unix();
        }
        Ok(())
    }

    fn wants_checkpoint(&self, _: u64) -> bool {
        false
    }

    fn checkpoint(&mut self, _: &Stage, _: bool) -> Result<()> {
        Ok(())
    }

    fn wants_evaluation(&self, _: u64) -> bool {
        false
    }

    fn evaluate(&mut self, _: &mut Stage) -> Result<()> {
        Ok(())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::model::model;

    /// The whole loop against PyTorch: same weights, same tokens, eleven steps.
    #[test]
    fn losses_are_those_of_pytorch() {
        for size in [Size::Xs, Size::Tiny] {
            let model = model(size, None).expect("it is made here");
            let trained = run(size, model, 11).expect("it trains");
            assert_eq!((trained.losses.len(), trained.kept().len()), (11, 6));
            for &(step, loss) in size.losses().iter().filter(|(step, _)| *step < 11) {
                let gap = (trained.losses[step] - loss).abs();
                assert!(gap < 2e-5, "{} step {step}: {} is not {loss}", size.name(), trained.losses[step]);
            }
        }
    }
}
