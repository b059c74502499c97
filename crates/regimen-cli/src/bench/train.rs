//! Training, measured on the one training loop: data stream, objective, reduction, optimiser and all.

use std::collections::BTreeMap;
use std::sync::Arc;

use regimen_base::{Key, Result};
use regimen_core::Clamps;
use regimen_core::build::micro_batch_tokens;
use regimen_core::feed::{DataFeed, Judges, RolloutFeed, Supply};
use regimen_core::generate::Generator;
use regimen_core::model::Model;
use regimen_core::objective::{Objective, Weighted};
use regimen_core::probe::Periods;
use regimen_core::reward::Weighted as WeightedReward;
use regimen_core::rollout::{Settings, SingleTurn};
use regimen_core::run::Clock;
use regimen_core::stage::{Counters, Drawn, Feed, Progress, Stage, Stream, Watch, train};
use regimen_core::{Knobs, Reduce};
use regimen_data::sampler::Sequence;
use regimen_data::{Catalogue, ChatTemplate, Ledger, Source};
use regimen_kernels::Sampling;
use regimen_kit::advantage::GroupRelative;
use regimen_kit::objective::{CrossEntropy, Dpo, Grpo, Loss, Ratio};
use regimen_kit::optimizer::AdamW;
use regimen_kit::schedule::{Shape, Shaped, Warmup};
use regimen_kit::update::Plain;

use super::Size;
use super::additions::{self, Additions, Exact};
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
    /// Tokens of a step: those that were drawn, or else all that the net read.
    pub tokens: f64,
    /// When the first step was done, in seconds since 1970.
    pub first: f64,
}

impl Trained {
    /// Seconds of the steps that count.
    pub fn kept(&self) -> &[f64] {
        self.seconds.get(WARM_UP..).filter(|kept| !kept.is_empty()).unwrap_or(&self.seconds)
    }
}

/// Trains `model` for `steps` steps.
///
/// # Errors
/// What the loop says, such as a loss that is not finite.
pub fn run(work: Training, size: Size, model: Model, steps: u64) -> Result<Trained> {
    let mut stage = work.stage(size, model, steps)?;
    let trained = Trained { seconds: Vec::new(), losses: Vec::new(), tokens: 0.0, first: 0.0 };
    let mut watch = Stopwatch { clock: Clock::start(), trained };
    train(&mut stage, &mut watch)?;
    let Counters { tokens, generated, .. } = stage.counters;
    let counted = if generated > 0 { generated } else { tokens };
    watch.trained.tokens = counted as f64 / steps as f64;
    Ok(watch.trained)
}

/// What is trained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Training {
    /// Every token of full documents: lr 1e-3, decay 0.01 on every parameter, no clipping.
    Next,
    /// 64 short rows a step, their completions: TRL's SFT with its defaults, lr 1e-3.
    Worked,
    /// 32 pairs of such rows a step, the reference read in every step: TRL's DPO with its defaults, lr 1e-4.
    Preferred,
    /// 8 prompts × 8 completions of 32 tokens a step, sampled, rewarded and trained: TRL's GRPO with its defaults,
    /// lr 1e-4.
    Asked,
}

/// TRL's batches: rows of SFT; pairs of DPO; prompts, completions of each and tokens of each of GRPO.
const ROWS: usize = 64;
const PAIRS: usize = 32;
const PROMPTS: usize = 8;
const GROUP: usize = 8;
const NEW: usize = 32;

/// The cast member that preferences are held to.
const REFERENCE: &str = "reference";

/// The prompt as it is, without any marker.
const BARE: &str = "{% for message in messages %}{{ message.content }}{% endfor %}";

impl Training {
    fn stage(self, size: Size, mut model: Model, steps: u64) -> Result<Stage> {
        let key = Key::new(0).child("bench");
        let context = model.shape()?.max_positions;
        let (feed, objective): (_, Box<dyn Objective>) = match self {
            Self::Next => {
                let supply = supply(Arc::new(Documents(size)), key)?;
                let feed = DataFeed::new(supply, Vec::new(), size.batch(), context);
                (Feed::Data(Box::new(feed)), Box::new(CrossEntropy))
            }
            Self::Worked => {
                let feed =
                    DataFeed::new(supply(Arc::new(Additions::Worked), key)?, Vec::new(), ROWS, context);
                (Feed::Data(Box::new(feed)), Box::new(CrossEntropy))
            }
            Self::Preferred => {
                let supply = supply(Arc::new(Additions::Preferred), key)?;
                let feed = DataFeed::new(supply, Vec::new(), PAIRS, context);
                let loss = Loss::Sigmoid;
                let objective = Dpo { to: REFERENCE.to_owned(), beta: 0.1, loss, label_smoothing: 0.0 };
                (Feed::Data(Box::new(feed)), Box::new(objective))
            }
            Self::Asked => {
                model = Model::new(model.net, Some(additions::tokenizer()?));
                let feed = asked(supply(Arc::new(Additions::Asked), key)?, &model)?;
                let objective = Grpo { clip: 0.2, clip_high: 0.2, ratio: Ratio::Token };
                (Feed::Rollout(Box::new(feed)), Box::new(objective))
            }
        };
        let (lr, decay, clip) = match self {
            Self::Next => (1e-3, 0.01, 0.0),
            Self::Worked => (1e-3, 0.0, 1.0),
            Self::Preferred | Self::Asked => (1e-4, 0.0, 1.0),
        };
        let mut casts = BTreeMap::new();
        if self == Self::Preferred {
            casts.insert(REFERENCE.to_owned(), model.net.frozen_copy());
        }
        let objective =
            Weighted { name: "objective".to_owned(), coef: 1.0, reduce: Reduce::PerToken, objective };
        let mut optimizer = AdamW::new((0.9, 0.999), 1e-8, decay, true, Vec::new());
        regimen_core::optimizer::Optimizer::attach(&mut optimizer, model.net.params());
        Ok(Stage {
            id: size.name().to_owned(),
            key,
            total: steps,
            generator: Some(Generator::new(model.shape()?)),
            micro_batch_tokens: micro_batch_tokens(model.net.arch()),
            policy: model,
            casts,
            streams: vec![Stream {
                name: "text".to_owned(),
                weight: 1.0,
                feed,
                objectives: vec![objective],
                placing: None,
            }],
            update: Box::new(Plain),
            optimizer: Box::new(optimizer),
            schedule: Box::new(Shaped { warmup: Warmup::Steps(0), floor: 0.0, shape: Shape::Constant }),
            lr,
            max_grad_norm: clip,
            clamps: Clamps::default(),
            probes: Vec::new(),
            probe_periods: Periods::default(),
            controllers: Vec::new(),
            knobs: Knobs::default(),
            counters: Counters::default(),
            signals: BTreeMap::new(),
        })
    }
}

fn supply(source: Arc<dyn Source>, key: Key) -> Result<Supply> {
    let catalogue = Catalogue::new(vec![source])?;
    Ok(Supply {
        ledger: Ledger::new(&catalogue),
        catalogue,
        judges: Judges::default(),
        sampler: Box::new(Sequence::default()),
        key,
    })
}

fn asked(supply: Supply, model: &Model) -> Result<RolloutFeed> {
    let settings = Settings {
        size: GROUP,
        sampling: Sampling::default(),
        max_new: NEW,
        stop: Vec::new(),
        prefix: None,
        inner_steps: 1,
        drop_truncated: false,
    };
    let reward = WeightedReward { name: "exact".to_owned(), weight: 1.0, reward: Box::new(Exact) };
    Ok(RolloutFeed::new(
        supply,
        ChatTemplate::new(BARE, model.tokenizer()?)?,
        Box::new(SingleTurn(settings)),
        vec![reward],
        Box::new(GroupRelative { std: true, filter: false }),
        PROMPTS,
    ))
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
            let trained = run(Training::Next, size, model, 11).expect("it trains");
            assert_eq!((trained.losses.len(), trained.kept().len()), (11, 6));
            for &(step, loss) in size.losses().iter().filter(|(step, _)| *step < 11) {
                let gap = (trained.losses[step] - loss).abs();
                assert!(gap < 2e-5, "{} step {step}: {} is not {loss}", size.name(), trained.losses[step]);
            }
        }
    }

    /// The work that the peers' script prints: 606 tokens a step on average, and 8 × 8 × 32 drawn ones.
    #[test]
    fn short_rows_and_rollouts_are_the_peers_work() {
        let of = |work| run(work, Size::Xs, model(Size::Xs, None).expect("made here"), 6).expect("it trains");
        let (worked, preferred, asked) = (of(Training::Worked), of(Training::Preferred), of(Training::Asked));
        assert!((560.0..650.0).contains(&preferred.tokens), "{}", preferred.tokens);
        assert!((preferred.losses[0] - std::f64::consts::LN_2).abs() < 1e-6, "{:?}", preferred.losses);
        assert!((560.0..650.0).contains(&worked.tokens), "{}", worked.tokens);
        assert_eq!(asked.tokens, 2048.0);
        assert!(worked.losses[5] < worked.losses[0], "{:?}", worked.losses);
    }
}
