//! The rooms: pieces sorted by what they may touch.

use crate::spec::{Field, Ty};

/// What a piece may see and give back. A room's name is its recipe key, its folder and its chapter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Room {
    /// Architectures: inputs to outputs.
    Arch,
    /// Text to token ids and back.
    Tokenizer,
    /// Procedural examples and their judgement.
    Task,
    /// Files of examples.
    Data,
    /// Turns around a task.
    Env,
    /// One example to any number of examples.
    Transform,
    /// Which example comes next.
    Sampler,
    /// Outputs to unreduced loss terms.
    Objective,
    /// Policy to groups of episodes.
    Rollout,
    /// Episodes to scores.
    Reward,
    /// Scores of a group to advantages.
    Advantage,
    /// Gradients to new weights.
    Update,
    /// The arithmetic of one update.
    Optimizer,
    /// The learning rate over a stage.
    Schedule,
    /// Signals to actions.
    Controller,
    /// Model to model.
    Edit,
    /// Readings while training.
    Probe,
    /// Readings of an evaluation.
    Metric,
    /// What runs have to show for a claim to hold.
    Claim,
}

/// Each room's name and one line about it, in the order of [`Room::ALL`].
const NAMES: [(&str, &str); 19] = [
    ("arch", "architectures: from inputs to outputs, with named parameters and taps"),
    ("tokenizer", "from text to token ids and back"),
    ("task", "procedural examples, and the judgement of a reply"),
    ("data", "files of examples"),
    ("env", "the turns around a task"),
    ("transform", "from one example to any number of examples"),
    ("sampler", "which example comes next"),
    ("objective", "from outputs to unreduced loss terms"),
    ("rollout", "how the policy generates episodes"),
    ("reward", "from an episode to a score"),
    ("advantage", "from the scores of a group to advantages"),
    ("update", "from gradients to new weights"),
    ("optimizer", "the arithmetic of one optimiser step"),
    ("schedule", "the learning rate over a stage"),
    ("controller", "from signals to actions while a stage runs"),
    ("edit", "from a model to another model"),
    ("probe", "readings while training, which change nothing"),
    ("metric", "readings of an evaluation"),
    ("claim", "what the runs of a paper have to show, in its claim.toml"),
];

const WEIGHT: Field =
    Field::new("weight", Ty::Float, "share among its neighbours in the list").or("1.0").min(0.0);

const SOURCE_FIELDS: &[Field] = &[
    Field::new("name", Ty::Str, "what paths and reports call it; absent: its kind"),
    WEIGHT,
    Field::new("take", Ty::Count, "use only this many examples; absent: all").min(1.0),
    Field::new(
        "pool",
        Ty::Count,
        "of a task: streams and stages that name the same pool see the same items; absent: each stream draws its own",
    ),
];

const CONSTANT: &[Field] = &[Field::new(
    "constant",
    Ty::Float,
    "divide the sum by units × this number: the longest completion gives Dr. GRPO's mean",
)
.required()
.above(0.0)];

const OBJECTIVE_FIELDS: &[Field] = &[
    Field::new("coef", Ty::Float, "factor of this objective in the stream's loss").or("1.0"),
    Field::new(
        "reduce",
        Ty::OneOf(&[Ty::Choice(&["per-token", "per-unit"]), Ty::Table(CONSTANT)]),
        "what the sum over the whole optimiser batch is divided by: weighted tokens, units (rows), or a constant",
    )
    .or("per-token"),
];

impl Room {
    /// Every room.
    pub const ALL: &'static [Self] = &[
        Self::Arch,
        Self::Tokenizer,
        Self::Task,
        Self::Data,
        Self::Env,
        Self::Transform,
        Self::Sampler,
        Self::Objective,
        Self::Rollout,
        Self::Reward,
        Self::Advantage,
        Self::Update,
        Self::Optimizer,
        Self::Schedule,
        Self::Controller,
        Self::Edit,
        Self::Probe,
        Self::Metric,
        Self::Claim,
    ];

    /// The name in recipes and on the command line.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// What lives there, in one line.
    pub const fn doc(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The room of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|room| room.name() == name)
    }

    /// Fields that every kind of the room has where it stands in a list of its neighbours. A kind's own field of the
    /// same name replaces the shared one.
    pub const fn shared_fields(self) -> &'static [Field] {
        match self {
            Self::Task | Self::Data => SOURCE_FIELDS,
            Self::Objective => OBJECTIVE_FIELDS,
            Self::Reward => &[WEIGHT],
            _ => &[],
        }
    }

    /// `an objective`, `a reward`.
    pub(crate) fn with_article(self) -> String {
        let name = self.name();
        match name {
            "data" => name.to_owned(),
            _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
            _ => format!("a {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_order_of_the_enum() {
        assert_eq!(Room::ALL.len(), NAMES.len());
        for (i, &room) in Room::ALL.iter().enumerate() {
            assert_eq!(room as usize, i);
            assert_eq!(Room::from_name(room.name()), Some(room));
        }
        assert_eq!(Room::Optimizer.name(), "optimizer");
        assert_eq!(Room::Metric.name(), "metric");
        assert_eq!(Room::from_name("loss"), None);
    }
}
